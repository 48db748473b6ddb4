"""A person's account: which roles they have, and as whom they act on each registry. No registry is asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.models import Credential, Registry, Role, User
from dashboard.registry import patterns

from . import connections, roles
from .connections import OwnCredential

MAX_REGISTRIES = 100
MAX_ROLES = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """As whom a person acts on a registry.

    `acts_as` is the name there ("" for nobody), `own` is None where the default credential is used, and says
    how that of `group` stands where people act with a group's; `kept` says whether a credential of theirs is stored,
    and `checked_at` when the registry last answered about it, or about that of the group.
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
        checked_at=acting.kept.checked_at if acting.kept else row.checked_at if row else None,
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
