"""When this session last proved who is there: by its password, or at the provider that signs people in.

What is hard to undo asks for it again after MINUTES. Signing in counts as a proof.
"""

from __future__ import annotations

import time
from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from dashboard.models import User

MINUTES = 15
KEY = "confirmed_at"
PROXY_BACKEND = "dashboard.services.proxy_signin.ProxyBackend"
OIDC_BACKEND = "dashboard.services.oidc_signin.OidcBackend"


def note(request: HttpRequest, *, at: float | None = None) -> None:
    """The proof was given at `at` (seconds since 1970), now if None; one in the future counts as given now."""
    now = time.time()
    request.session[KEY] = min(now, now if at is None else at)


def is_recent(request: HttpRequest) -> bool:
    """Whether the last proof is young enough. The proxy that signs people in vouches for each request anew."""
    if signed_in_by(request) == PROXY_BACKEND:
        return True
    at = request.session.get(KEY)
    return isinstance(at, int | float) and 0 <= time.time() - at < MINUTES * 60


def signed_in_by(request: HttpRequest) -> str:
    """The backend that this session's person came in by; "" for nobody."""
    return str(request.session.get(BACKEND_SESSION_KEY, ""))


@receiver(user_logged_in, dispatch_uid="confirmed")
def _signed_in(sender: object, request: HttpRequest, user: User, **_kwargs: Any) -> None:
    note(request)
