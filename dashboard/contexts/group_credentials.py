"""The credentials of groups on a registry as administrators see them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.urls import reverse

from dashboard.models import Credential, Registry
from dashboard.services import connections
from dashboard.services.connections import OwnCredential

from .formats import legible


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group, the name that its credential has on the registry ("": none), and how it stands."""

    pk: int
    name: str
    username: str
    standing: OwnCredential
    checked_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class GroupCredentialsPage:
    """Everything that group_credentials.html shows beside its form. `used`: people act with them on this registry."""

    host: str
    url: str
    edit_url: str
    used: bool
    lines: Sequence[GroupLine]


def group_credentials_page(
    registry: Registry, groups: Iterable[tuple[Group, Credential | None]]
) -> GroupCredentialsPage:
    """The view model of the settings page."""
    return GroupCredentialsPage(
        host=registry.public_host,
        url=reverse("group-credentials", args=[registry.slug]),
        edit_url=reverse("edit-registry", args=[registry.slug]),
        used=registry.act_with == Registry.ActWith.GROUP,
        lines=[
            GroupLine(
                pk=group.pk,
                name=legible(group.name, 150),
                username=legible(row.username, 255) if row else "",
                standing=connections.standing_of(row) if row else OwnCredential.MISSING,
                checked_at=row.checked_at if row else None,
            )
            for group, row in groups
        ],
    )
