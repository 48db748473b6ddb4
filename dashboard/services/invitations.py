"""Links by which people set their password: invitations of new people, new passwords of those who are there.

A link works once and for a week. A new one takes the place of those before it. Whoever is disabled has none.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from dashboard.models import AuditEntry, Invitation, User

from . import audit, sessions, tokens
from .audit import Actor

LIFETIME = dt.timedelta(days=7)
ACCEPTED, RESET = "invitation-accepted", "password-set"
LINK_MADE = "link-made"
"""Codes in the audit."""


class NoLonger(Exception):
    """The link was used, is too old, or its person is disabled."""


@dataclass(frozen=True, slots=True)
class Made:
    """A link's token, which is not kept, until when it works, and which user of the registry comes with it."""

    token: str
    kind: Invitation.Kind
    expires_at: dt.datetime
    registry_user: str = ""


def make(*, user: User, actor: Actor) -> Made:
    """A new link for `user`, in place of earlier ones: an invitation until one was accepted, then a new password.

    The user of the registry that was to come with the invitation before comes with the new one.
    Raises NoLonger for somebody who is disabled.
    """
    now = timezone.now()
    token = tokens.new_token()
    with transaction.atomic():
        kind = Invitation.Kind.RESET if user.is_active else Invitation.Kind.INVITE
        unused = Invitation.objects.filter(user=user, used_at=None)
        if not user.is_active and not unused.filter(kind=Invitation.Kind.INVITE).exists():
            raise NoLonger
        wish = registry_user_with(user) if kind == Invitation.Kind.INVITE else ""
        unused.delete()
        row = _add(user, kind, token, now, actor, wish)
        audit.record(
            actor=actor,
            action=AuditEntry.Action.PERSON,
            outcome=AuditEntry.Outcome.DONE,
            code=LINK_MADE,
            reason=user.get_username(),
        )
    return Made(token, kind, row.expires_at, wish)


def first(*, user: User, actor: Actor, registry_user: str = "") -> Made:
    """The link of somebody new; with it comes a user of the registry, if one is named. The caller writes the audit."""
    token = tokens.new_token()
    row = _add(user, Invitation.Kind.INVITE, token, timezone.now(), actor, registry_user)
    return Made(token, Invitation.Kind.INVITE, row.expires_at, registry_user)


def registry_user_with(user: User) -> str:
    """The user of the registry that comes with the unused invitation of `user`; "" for none."""
    rows = Invitation.objects.filter(user=user, used_at=None, kind=Invitation.Kind.INVITE).order_by("-pk")
    return rows.values_list("registry_user", flat=True).first() or ""


def void(*, user: User) -> None:
    """No link of `user` works any more."""
    Invitation.objects.filter(user=user, used_at=None).delete()


def look_up(token: str) -> Invitation | None:
    """The invitation of a token, open or not; None if there is none. Found by the hash of the token alone."""
    wanted = tokens.hashed(token)
    row = Invitation.objects.select_related("user").filter(token_hash=wanted).first()
    return row if row is not None and tokens.same(row.token_hash, wanted) else None


def is_open(invitation: Invitation) -> bool:
    """Whether it can be used now."""
    awaited = invitation.user.is_active == (invitation.kind == Invitation.Kind.RESET)
    return awaited and invitation.is_open(timezone.now())


def accept(invitation: Invitation, *, password: str, address: str) -> User:
    """Sets the password, which the validators accepted, and ends earlier sessions. Raises NoLonger."""
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=invitation.user_id)
        invitation.user = user
        now = timezone.now()
        unused = Invitation.objects.filter(pk=invitation.pk, used_at=None, expires_at__gt=now)
        if not is_open(invitation) or not unused.update(used_at=now):
            raise NoLonger
        user.set_password(password)
        user.is_active = True
        user.save(update_fields=["password", "is_active"])
        void(user=user)
        audit.record(
            actor=Actor(user.get_username(), address),
            action=AuditEntry.Action.PERSON,
            outcome=AuditEntry.Outcome.DONE,
            code=ACCEPTED if invitation.kind == Invitation.Kind.INVITE else RESET,
        )
        sessions.end_all(user)
    return user


def _add(
    user: User, kind: Invitation.Kind, token: str, now: dt.datetime, actor: Actor, registry_user: str
) -> Invitation:
    return Invitation.objects.create(
        user=user,
        kind=kind,
        token_hash=tokens.hashed(token),
        created_at=now,
        created_by=actor.user[:150],
        expires_at=now + LIFETIME,
        registry_user=registry_user,
    )
