"""Who signs in, who fails to, and who is locked out, told to the audit."""

from __future__ import annotations

from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from dashboard.models import AuditEntry, User
from dashboard.services import audit, throttle
from dashboard.services.audit import Actor
from dashboard.services.client_address import client_address


@receiver(user_logged_in, dispatch_uid="audit")
def signed_in(sender: object, request: HttpRequest, user: User, **_kwargs: Any) -> None:
    """Adds the entry; it belongs to no registry."""
    audit.record(
        actor=Actor(user.get_username(), client_address(request)),
        action=AuditEntry.Action.SIGN_IN,
        outcome=AuditEntry.Outcome.DONE,
    )


@receiver(user_login_failed, dispatch_uid="audit")
def refused(sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **_kwargs: Any) -> None:
    """Adds the entry of a failure. What is tried while somebody is locked out is in the entry of the lock."""
    if not getattr(request, "axes_locked_out", False):
        _refusal(request, credentials.get("username"), getattr(request, "refusal", ""))


@receiver(user_locked_out, dispatch_uid="audit")
def locked_out(sender: object, request: HttpRequest, username: str | None = None, **_kwargs: Any) -> None:
    """Adds the entry of the failure that was one too many; the signal comes for each that follows, too."""
    if throttle.locks_now(request, username):
        _refusal(request, username, "locked-out")


def _refusal(request: HttpRequest | None, typed: object, code: str) -> None:
    """Under the name only of somebody who exists: people type passwords where names belong."""
    known = User.objects.like(typed).first() if isinstance(typed, str) and typed else None
    audit.record(
        actor=Actor(known.get_username() if known else "", client_address(request) if request else ""),
        action=AuditEntry.Action.SIGN_IN,
        outcome=AuditEntry.Outcome.REFUSED,
        code=code,
    )
