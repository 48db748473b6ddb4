"""People: invited, changed, disabled, deleted, each with an entry in the audit; the administrator of the environment.

An administrator of everything is left at all times: nobody takes that from the last active one, or from himself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from dashboard.models import AuditEntry, Credential, Deletion, Job, User, UserSession

from . import audit, invitations, sessions
from .audit import Actor
from .invitations import Made

ONESELF, LAST, BUSY, EXISTS = "oneself", "last-administrator", "busy", "exists"
INVITED, CHANGED, DISABLED, ENABLED, DELETED = (
    "person-invited",
    "person-changed",
    "person-disabled",
    "person-enabled",
    "person-deleted",
)
MADE_ADMINISTRATOR, UNMADE_ADMINISTRATOR = "administrator-made", "administrator-unmade"
"""Codes in the audit."""


class PersonRefused(Exception):
    """It was not done. `code`: ONESELF, LAST, BUSY (something of his is being deleted or put back), EXISTS."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Belongings:
    """How much goes with a person."""

    credentials: int
    rules: int
    groups: int
    sessions: int


def ensure_administrator() -> str:
    """Makes the administrator that DJANGO_SUPERUSER_USERNAME and _PASSWORD name; "" if there is nothing to do.

    Somebody of that name is left as he is: the environment makes an administrator once and never resets a password.
    """
    name, password = settings.SUPERUSER_USERNAME, settings.SUPERUSER_PASSWORD
    if not name or not password or User.objects.like(name).exists():
        return ""
    User.objects.create_superuser(username=name, password=password)
    return str(name)


def invite(
    *, username: str, full_name: str, groups: Iterable[Group], actor: Actor, registry_user: str = ""
) -> tuple[User, Made]:
    """A new person who cannot sign in until the invitation is accepted. Raises PersonRefused (EXISTS).

    `registry_user`: the user of the registry's password file that is made then; "" for none.
    """
    user = User(username=username, first_name=full_name, is_active=False)
    user.set_unusable_password()
    groups = list(groups)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            user.groups.set(groups)
            made = invitations.first(user=user, actor=actor, registry_user=registry_user)
            _record(actor, INVITED, user, _of_groups(groups), _with_registry_user(registry_user))
    except IntegrityError:
        raise PersonRefused(EXISTS) from None
    return user, made


def change(*, user: User, full_name: str, groups: Iterable[Group], administers: bool, actor: Actor) -> None:
    """Full name, groups, and whether he is an administrator of everything. Raises PersonRefused (ONESELF, LAST)."""
    groups = list(groups)
    with transaction.atomic():
        row = _locked(user)
        if row.is_superuser and not administers:
            _require_another(row, actor)
        if row.is_superuser != administers:
            _record(actor, MADE_ADMINISTRATOR if administers else UNMADE_ADMINISTRATOR, row)
        if row.get_full_name() != full_name or set(row.groups.all()) != set(groups):
            _record(actor, CHANGED, row, full_name, _of_groups(groups))
        row.first_name, row.last_name = full_name, ""
        row.is_superuser = row.is_staff = administers
        row.save(update_fields=["first_name", "last_name", "is_superuser", "is_staff"])
        row.groups.set(groups)


def disable(*, user: User, actor: Actor) -> None:
    """Nobody signs in as this person any more, and where he is signed in he is not. Raises PersonRefused."""
    with transaction.atomic():
        row = _locked(user)
        _require_another(row, actor)
        row.is_active = False
        row.save(update_fields=["is_active"])
        invitations.void(user=row)
        sessions.end_all(row)
        _record(actor, DISABLED, row)


def enable(*, user: User, actor: Actor) -> None:
    """He may sign in as before."""
    with transaction.atomic():
        row = _locked(user)
        invitations.void(user=row)
        row.is_active = True
        row.save(update_fields=["is_active"])
        _record(actor, ENABLED, row)


def belongings(user: User) -> Belongings:
    """What goes with this person."""
    return Belongings(
        credentials=Credential.objects.filter(user=user).count(),
        rules=user.access_rules.count(),
        groups=user.groups.count(),
        sessions=UserSession.objects.filter(user=user).count(),
    )


def delete(*, user: User, actor: Actor) -> None:
    """The person goes; what he did stays, by his name. Raises PersonRefused (ONESELF, LAST, BUSY)."""
    with transaction.atomic():
        row = _locked(user)
        _require_another(row, actor)
        running = Deletion.objects.filter(user=row, state=Deletion.State.IN_PROGRESS)
        if running.exists() or Job.objects.filter(requested_by=row, state__in=Job.LIVE).exists():
            raise PersonRefused(BUSY)
        sessions.end_all(row)
        _record(actor, DELETED, row)
        row.delete()


def _locked(user: User) -> User:
    """His row as it is, locked with those of all administrators, so that two cannot take it from each other at once."""
    rows = User.objects.select_for_update().filter(Q(pk=user.pk) | Q(is_superuser=True)).order_by("pk")
    return {row.pk: row for row in rows}[user.pk]


def _require_another(user: User, actor: Actor) -> None:
    """Nothing, if `user` is somebody else than the actor, and not the last who administers everything."""
    if user.get_username() == actor.user:
        raise PersonRefused(ONESELF)
    others = User.objects.filter(is_superuser=True, is_active=True).exclude(pk=user.pk)
    if user.is_superuser and user.is_active and not others.exists():
        raise PersonRefused(LAST)


def _of_groups(groups: Iterable[Group]) -> str:
    names = ", ".join(sorted(group.name for group in groups))
    return _("groups: %(names)s") % {"names": names} if names else ""


def _with_registry_user(name: str) -> str:
    return _("registry user: %(name)s") % {"name": name} if name else ""


def _record(actor: Actor, code: str, user: User, *details: str) -> None:
    audit.record(
        actor=actor,
        action=AuditEntry.Action.PERSON,
        outcome=AuditEntry.Outcome.DONE,
        code=code,
        reason="; ".join(filter(None, [user.get_username(), *details])),
    )
