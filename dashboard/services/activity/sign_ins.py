"""Who signs in, told to the audit."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from dashboard.models import AuditEntry, User
from dashboard.services import audit
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
