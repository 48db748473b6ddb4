"""The way to the OpenID Connect provider and back. What it needs is an extra, so it is imported when it is used."""

from __future__ import annotations

import logging
from http import HTTPStatus

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from dashboard.contexts.sign_in import not_let_in

from .pages import render_page

logger = logging.getLogger(__name__)


@login_not_required
@require_GET
def begin(request: HttpRequest) -> HttpResponse:
    """Leads to the provider, with `again` so that it asks for the password there; and from there to `next`."""
    return _flow(request, "Begin")


@login_not_required
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    """Where the provider sends people back to."""
    return _flow(request, "Callback")


def refuse(request: HttpRequest, code: str, status: HTTPStatus = HTTPStatus.FORBIDDEN) -> HttpResponse:
    """Why somebody does not come in."""
    return render_page(request, "not_let_in.html", {"page": not_let_in(code)}, status=status)


def _flow(request: HttpRequest, name: str) -> HttpResponse:
    if not settings.OIDC_ISSUER:
        raise Http404(_("Nobody signs in at a provider here."))
    from dashboard.services.oidc import Unreachable

    from . import oidc_flow

    try:
        answer: HttpResponse = getattr(oidc_flow, name).as_view()(request)
    except Unreachable as error:
        logger.warning("OpenID Connect: %s", error)
        return refuse(request, "not-configured", HTTPStatus.SERVICE_UNAVAILABLE)
    answer.headers["Cache-Control"] = "no-store"
    return answer
