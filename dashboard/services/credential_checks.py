"""Kept credentials after they were kept: asked about again, refused, following a password that was changed here.

Registries lock accounts: one that the registry refuses is asked about once more, at most once in EVERY whatever
happens, and once that is noted nothing is asked with it until it is entered again.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from django.contrib.auth.models import Group
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from dashboard.models import AuditEntry, Credential, Registry, User
from dashboard.models.encryption import SecretUnreadable

from . import access, audit, credentials
from .audit import Actor
from .connections import Acting
from .credentials import Verdict
from .quick_writes import write_within

EVERY = dt.timedelta(minutes=1)
BUDGET = 5.0
MAX_SECRETS = 3
"""So many different passwords of one name are tried when that name is switched on again."""
PATIENCE_MS = 200
REFUSED = "credential-refused"
"""A code in the audit."""


class Standing(StrEnum):
    """How a kept credential stands after it was refused: UNKNOWN where the registry could not be asked about it."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class TooSoon(Exception):
    """The registry refused it less than EVERY ago: it is not asked again yet."""


def after_refusal(*, acting: Acting, actor: Actor) -> Standing:
    """Asks once more about the kept credential that the registry has just refused to `acting`, and notes the answer.

    Whether the answer is new or not older than EVERY, it is what counts: a refused right is not a refused password.
    UNKNOWN for the default credential, of which nothing is kept here.
    """
    row = acting.kept
    if row is None or not acting.name:
        return Standing.UNKNOWN
    if _takes_turn(row):
        _ask(row, actor, budget=BUDGET)
    now = Credential.objects.filter(pk=row.pk).first()
    if now is None or now.state == Credential.State.REFUSED:
        return Standing.REFUSED
    answered = now.asked_again_at is not None and now.checked_at >= now.asked_again_at
    return Standing.ACCEPTED if answered else Standing.UNKNOWN


def of_person(*, user: User, registry: Registry, actor: Actor) -> Verdict | None:
    """Asks about a person's kept credential again and notes the answer; None if there is none to ask about.

    Raises TooSoon, SecretUnreadable.
    """
    return _again(Credential.objects.filter(user=user, registry=registry), actor)


def of_group(*, group: Group, registry: Registry, actor: Actor) -> Verdict | None:
    """The same with the credential of a group."""
    return _again(Credential.objects.filter(group=group, registry=registry), actor)


def follow(*, registry: Registry, username: str, password: str) -> list[str]:
    """Keeps a password, which the registry has just accepted, wherever a credential of that name is kept; for whom."""
    rows = list(_of_name(registry, username))
    for row in rows:
        credentials.keep_in(row, username, password)
    return [owner_of(row) for row in rows]


def refuse(*, registry: Registry, username: str) -> None:
    """Whatever credential of that name is kept is refused from now on: its user was switched off or removed."""
    rows = Credential.objects.filter(registry=registry, origin=registry.origin, username=username)
    rows.update(state=Credential.State.REFUSED, checked_at=timezone.now())
    access.forget_name(registry, username)


def ask_about(*, registry: Registry, username: str, actor: Actor) -> None:
    """Asks about the kept credentials of a name that was switched on again: at most MAX_SECRETS passwords of it."""
    verdicts: dict[str, Verdict] = {}
    for row in _of_name(registry, username):
        try:
            secret = row.secret()
        except SecretUnreadable:
            continue
        if secret not in verdicts and len(verdicts) < MAX_SECRETS:
            verdicts[secret] = credentials.verify(registry=registry, username=username, password=secret, budget=BUDGET)
        if secret in verdicts:
            _note(row, verdicts[secret], actor)


def owner_of(row: Credential) -> str:
    """Whose a kept credential is: a user name, or that of a group with a word before it."""
    return row.user.get_username() if row.user else _("group %(name)s") % {"name": row.group}


def owners(registry: Registry) -> dict[str, list[str]]:
    """Whose credentials are kept, by their names on the registry."""
    found: dict[str, list[str]] = {}
    for row in _here(registry):
        found.setdefault(row.username, []).append(owner_of(row))
    return found


def _here(registry: Registry) -> QuerySet[Credential]:
    """Those that are bound to where the registry is now, people before groups."""
    rows = Credential.objects.filter(registry=registry, origin=registry.origin)
    return rows.select_related("registry", "user", "group").order_by(
        F("group__name").asc(nulls_first=True), "user__username"
    )


def _of_name(registry: Registry, username: str) -> QuerySet[Credential]:
    return _here(registry).filter(username=username)


def _again(rows: QuerySet[Credential], actor: Actor) -> Verdict | None:
    row = rows.select_related("registry", "user", "group").first()
    if row is None or row.origin != row.registry.origin:
        return None
    since = timezone.now() - EVERY
    if row.state == Credential.State.REFUSED and row.asked_again_at is not None and row.asked_again_at > since:
        raise TooSoon
    Credential.objects.filter(pk=row.pk).update(asked_again_at=timezone.now())
    return _ask(row, actor, budget=credentials.BUDGET)


def _takes_turn(row: Credential) -> bool:
    """Whether it may be asked about now; of several pages and processes at once only one may."""
    won: list[int] = []
    now = timezone.now()
    due = Q(asked_again_at=None) | Q(asked_again_at__lte=now - EVERY)
    rows = Credential.objects.filter(due, pk=row.pk, state=Credential.State.ACCEPTED)
    return write_within(PATIENCE_MS, lambda: won.append(rows.update(asked_again_at=now))) and won == [1]


def _ask(row: Credential, actor: Actor, *, budget: float) -> Verdict:
    """Raises SecretUnreadable."""
    verdict = credentials.verify(registry=row.registry, username=row.username, password=row.secret(), budget=budget)
    _note(row, verdict, actor)
    return verdict


def _note(row: Credential, verdict: Verdict, actor: Actor) -> None:
    """Unless another password was entered meanwhile, or the answer says nothing of the password."""
    if not verdict.accepted and not verdict.refused:
        return
    state = Credential.State.ACCEPTED if verdict.accepted else Credential.State.REFUSED
    same = Credential.objects.filter(pk=row.pk, encrypted_secret=row.encrypted_secret)
    changed = same.update(state=state, checked_at=timezone.now())
    access.forget_name(row.registry, row.username)
    if changed and state == Credential.State.REFUSED and row.state != state:
        audit.record(
            actor=actor,
            action=AuditEntry.Action.CREDENTIAL,
            outcome=AuditEntry.Outcome.DONE,
            registry=row.registry.slug,
            code=REFUSED,
            reason=f"{row.username} ({owner_of(row)})",
        )
