"""The password that somebody signs in with: asked again, and changed. Wrong ones are throttled as at signing in."""

from __future__ import annotations

from django.contrib.auth import authenticate, update_session_auth_hash
from django.http import HttpRequest

from dashboard.models import AuditEntry, User

from . import audit, confirmed, throttle
from .audit import Actor


def is_right(request: HttpRequest, *, user: User, password: str) -> bool:
    """Whether `user` could sign in with it now: the same backends, the same throttle."""
    found = authenticate(request, username=user.get_username(), password=password)
    if found is None or found.pk != user.pk:
        return False
    throttle.forget(request, user.get_username())
    return True


def confirm(request: HttpRequest, *, actor: Actor) -> None:
    """Notes that the password was right."""
    confirmed.note(request)
    audit.record(
        actor=actor, action=AuditEntry.Action.SIGN_IN, outcome=AuditEntry.Outcome.DONE, code="password-confirmed"
    )


def change(request: HttpRequest, *, user: User, password: str, actor: Actor) -> None:
    """Sets a new password. Every other session of this person ends by it, this one goes on."""
    user.set_password(password)
    user.save(update_fields=["password"])
    update_session_auth_hash(request, user)
    confirmed.note(request)
    audit.record(actor=actor, action=AuditEntry.Action.PERSON, outcome=AuditEntry.Outcome.DONE, code="password-changed")
