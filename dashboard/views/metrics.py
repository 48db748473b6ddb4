"""Metrics for Prometheus, by a token of their own; a session opens nothing here. Answers are plain text."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from dashboard.services import metrics as services


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Everything that is measured, from our database alone."""
    if not services.is_set_up():
        return _said(HTTPStatus.NOT_FOUND, "Metrics are off: set DASHBOARD_METRICS_TOKEN (see docs/metrics.md).")
    if not services.may_read(request.headers.get("Authorization", "")):
        response = _said(HTTPStatus.UNAUTHORIZED, "Send Authorization: Bearer and the token of the metrics.")
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    try:
        text = services.exposition()
    except DatabaseError:
        return _said(HTTPStatus.SERVICE_UNAVAILABLE, "The database does not answer.")
    response = HttpResponse(text, content_type=services.CONTENT_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response


def _said(status: HTTPStatus, text: str) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain")
