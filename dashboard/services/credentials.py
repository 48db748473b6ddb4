"""A person's own credential on a registry: verified before it is kept, encrypted, removed on wish; how they stand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.db import models
from django.utils import timezone

from dashboard.models import AuditEntry, Credential, Registry, Role, User, encryption
from dashboard.registry import patterns
from dashboard.registry.auth import AuthScheme
from dashboard.registry.auth import Credential as ClientCredential
from dashboard.registry.errors import RegistryError

from . import access, audit, connections, roles
from .audit import Actor
from .connections import OwnCredential

BUDGET = 15.0
MAX_REGISTRIES = 100
MAX_ROLES = 100
MAX_GROUPS = 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the registry said of a credential. `needless`: it lets everybody in, so nothing was proved."""

    accepted: bool
    needless: bool = False
    error: RegistryError | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """As whom a person acts on a registry.

    `acts_as` is the name there ("" for nobody), `own` is None where the default credential is used, and says
    how that of `group` stands where people act with a group's; `kept` says whether
    a credential of theirs is stored, and `checked_at` when the registry last answered about it.
    """

    registry: Registry
    acts_as: str
    own: OwnCredential | None
    group: str
    kept: bool
    checked_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class RoleLine:
    """A role in the repositories like `pattern`; `registry` is None for every one."""

    role: Role
    pattern: str
    registry: Registry | None


@dataclass(frozen=True, slots=True)
class Account:
    """A person, where they come from ("" = made here), what they may do, and how they stand with each registry.

    `has_password`: they have one here.
    """

    username: str
    origin: str
    has_password: bool
    roles: Sequence[RoleLine]
    standings: Sequence[Standing]


def account_of(*, user: User) -> Account:
    """How `user` stands with each registry, at most MAX_REGISTRIES of them; no registry is asked."""
    kept = {row.registry_id: row for row in Credential.objects.filter(user=user)}
    return Account(
        username=user.username,
        origin=str(user.origin_registry or ""),
        has_password=user.has_usable_password(),
        roles=_roles(user),
        standings=[
            _standing(user, registry, kept.get(registry.pk)) for registry in roles.registries_for(user)[:MAX_REGISTRIES]
        ],
    )


def _roles(user: User) -> list[RoleLine]:
    if user.is_superuser:
        return [RoleLine(Role.ADMINISTRATOR, patterns.EVERY, None)]
    rules = roles.rules_for(user).select_related("registry").order_by("-role", "registry__slug", "pattern")
    found = [RoleLine(Role(rule.role), rule.pattern, rule.registry) for rule in rules[:MAX_ROLES]]
    return [line for line in dict.fromkeys(found) if not any(_says_more(other, line) for other in found)]


def _says_more(other: RoleLine, line: RoleLine) -> bool:
    """Whether `line` goes without saying where `other` is said."""
    wider = patterns.covers(other.pattern, line.pattern) and other.registry in (None, line.registry)
    return other != line and other.role >= line.role and wider


def _standing(user: User, registry: Registry, row: Credential | None) -> Standing:
    acting = connections.acting(user=user, registry=registry)
    own = acting.own
    if own is None and registry.act_with == Registry.ActWith.OWN:
        own = OwnCredential.USABLE
    return Standing(
        registry=registry,
        acts_as=acting.name or (row.username if row else ""),
        own=own,
        group=acting.group,
        kept=row is not None,
        checked_at=row.checked_at if row else None,
    )


def verify(*, registry: Registry, username: str, password: str) -> Verdict:
    """Asks the registry whether it accepts the credential; raises nothing."""
    try:
        with connections.asked_anew(registry) as client:
            ping = client.session(ClientCredential(username, password), budget=BUDGET).ping()
    except RegistryError as error:
        return Verdict(accepted=False, error=error)
    return Verdict(accepted=ping.status == 200, needless=ping.scheme is AuthScheme.NONE)


def keep(*, user: User, registry: Registry, username: str, password: str) -> Verdict:
    """Verifies a credential and, if it is accepted, keeps it in place of the person's earlier one."""
    verdict = verify(registry=registry, username=username, password=password)
    if verdict.accepted and not verdict.needless:
        store(user=user, registry=registry, username=username, password=password)
    return verdict


def store(*, user: User, registry: Registry, username: str, password: str) -> Credential:
    """Keeps a credential that the registry has just accepted."""
    row = Credential.objects.filter(user=user, registry=registry).first() or Credential(user=user, registry=registry)
    return _keep(row, username, password)


def _keep(row: Credential, username: str, password: str) -> Credential:
    row.origin, row.username = row.registry.origin, username
    row.state, row.checked_at = Credential.State.ACCEPTED, timezone.now()
    row.set_secret(password)
    row.save()
    access.forget()
    return row


def keep_for_group(*, group: Group, registry: Registry, username: str, password: str, actor: Actor) -> Verdict:
    """Verifies the credential of a group and, if it is accepted, keeps it in place of its earlier one."""
    verdict = verify(registry=registry, username=username, password=password)
    if verdict.accepted and not verdict.needless:
        row = Credential.objects.filter(group=group, registry=registry).first()
        _keep(row or Credential(group=group, registry=registry), username, password)
        _note(actor, registry, "group-credential-set", f"{group.name}: {username}")
    return verdict


def remove_of_group(*, group: Group, registry: Registry, actor: Actor) -> bool:
    """Forgets the credential of a group; whether there was one."""
    count, _ = Credential.objects.filter(group=group, registry=registry).delete()
    access.forget()
    if count:
        _note(actor, registry, "group-credential-removed", group.name)
    return count > 0


def of_groups(registry: Registry) -> list[tuple[Group, Credential | None]]:
    """Every group, by name, with its credential on a registry; at most MAX_GROUPS."""
    kept = {row.group_id: row for row in Credential.objects.filter(registry=registry, group__isnull=False)}
    return [(group, kept.get(group.pk)) for group in Group.objects.order_by("name")[:MAX_GROUPS]]


def _note(actor: Actor, registry: Registry, code: str, reason: str) -> None:
    audit.record(
        actor=actor,
        action=AuditEntry.Action.CREDENTIAL,
        outcome=AuditEntry.Outcome.DONE,
        registry=registry.slug,
        code=code,
        reason=reason,
    )


def check_again(*, user: User, registry: Registry) -> Verdict | None:
    """Asks the registry about the kept credential again and notes the answer; None if there is none to ask about."""
    row = Credential.objects.filter(user=user, registry=registry).select_related("registry").first()
    if row is None or row.origin != registry.origin:
        return None
    verdict = verify(registry=registry, username=row.username, password=row.secret())
    if verdict.error is None:
        row.state = Credential.State.ACCEPTED if verdict.accepted else Credential.State.REFUSED
        row.checked_at = timezone.now()
        row.save(update_fields=["state", "checked_at"])
        access.forget()
    return verdict


def remove(*, user: User, registry: Registry) -> bool:
    """Forgets the person's credential; whether there was one."""
    count, _ = Credential.objects.filter(user=user, registry=registry).delete()
    access.forget()
    return count > 0


def rotate_all() -> tuple[int, int]:
    """Encrypts every stored secret, of people and of registries, anew under the newest key; how many, and how many no
    key can read.
    """
    rotated = unreadable = 0
    for row, column in _secrets():
        try:
            anew = encryption.rotate(getattr(row, column))
        except encryption.SecretUnreadable:
            unreadable += 1
            continue
        setattr(row, column, anew)
        row.save(update_fields=[column])
        rotated += 1
    return rotated, unreadable


def _secrets() -> Iterator[tuple[models.Model, str]]:
    """Each stored secret: its row, and the column that holds it."""
    for credential in Credential.objects.iterator(chunk_size=200):
        yield credential, "encrypted_secret"
    for registry in Registry.objects.all():
        for column in ("encrypted_default_password", "encrypted_events_token"):
            if getattr(registry, column):
                yield registry, column
