"""The account page: as whom this person acts on each registry, and what to do about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from dashboard.models import Credential, Registry, User
from dashboard.services import connections
from dashboard.services.connections import OwnCredential


@dataclass(frozen=True, slots=True)
class RegistryLine:
    """A registry, and the credential this person acts with there. `own` is None where the default one is used."""

    host: str
    acts_as: str
    own: OwnCredential | None
    checked_at: dt.datetime | None
    kept: bool
    url: str


@dataclass(frozen=True, slots=True)
class AccountPage:
    """Everything that account.html shows."""

    username: str
    origin: str
    is_staff: bool
    may_delete: bool
    registries: Sequence[RegistryLine]


def account_page(user: User) -> AccountPage:
    """The view model of the account page."""
    kept = {row.registry_id: row for row in Credential.objects.filter(user=user)}
    return AccountPage(
        username=user.username,
        origin=str(user.origin_registry or ""),
        is_staff=user.is_staff,
        may_delete=user.has_perm("dashboard.delete_image"),
        registries=[_line(user, registry, kept.get(registry.pk)) for registry in Registry.objects.all()[:100]],
    )


def _line(user: User, registry: Registry, row: Credential | None) -> RegistryLine:
    acting = connections.acting(user=user, registry=registry)
    return RegistryLine(
        host=registry.public_host,
        acts_as=acting.name or (row.username if row else ""),
        own=acting.own or (OwnCredential.USABLE if registry.act_with == Registry.ActWith.OWN else None),
        checked_at=row.checked_at if row else None,
        kept=row is not None,
        url=reverse("credential", args=[registry.slug]) if registry.act_with == Registry.ActWith.OWN else "",
    )
