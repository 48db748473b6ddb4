"""Where a registry sends its notifications. A program asks, by a token of its own; answers are plain text."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from dashboard.registry.media_types import bare
from dashboard.services.notifications import receive, tokens
from dashboard.services.notifications.envelope import MEDIA_TYPES, MalformedEnvelope, TooManyEvents, read_envelope

MAX_BODY_BYTES = 32 * 1024 * 1024
_CHUNK = 64 * 1024


class BodyTooLarge(Exception):
    """More than MAX_BODY_BYTES."""


@csrf_exempt
@login_not_required
@require_POST
def events(request: HttpRequest, slug: str) -> HttpResponse:
    """Takes an envelope of events: 202 once they are stored; 503 where the registry should send them again."""
    registry = tokens.sender(slug=slug, authorization=request.headers.get("Authorization", ""))
    if registry is None:  # nor does it tell whether there is such a registry
        return _answer(
            HTTPStatus.UNAUTHORIZED, "The token is not that of this registry.", {"WWW-Authenticate": "Bearer"}
        )
    if bare(request.headers.get("Content-Type", "")) not in MEDIA_TYPES:
        return _answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Not an envelope of events.")
    try:
        found = read_envelope(_read(request))
    except (BodyTooLarge, TooManyEvents):
        return _answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Too much at once.")
    except (MalformedEnvelope, UnreadablePostError):
        return _answer(HTTPStatus.BAD_REQUEST, "Malformed; nothing was stored.")
    if not receive.store(registry=registry, events=found):
        return _answer(HTTPStatus.SERVICE_UNAVAILABLE, "Busy; send it again.", {"Retry-After": "1"})
    return _answer(HTTPStatus.ACCEPTED, "Stored.")


def _read(request: HttpRequest) -> bytes:
    """The body, which has a limit of its own: Django's is for forms. Raises BodyTooLarge, UnreadablePostError."""
    body = bytearray()
    while chunk := request.read(_CHUNK):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
    return bytes(body)


def _answer(status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain", headers=headers)
