"""The account page: as whom this person acts on each registry, and what to do about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from dashboard.models import Registry
from dashboard.registry import docker_config, patterns
from dashboard.services.account import Account, RoleLine, Standing
from dashboard.services.connections import OwnCredential


@dataclass(frozen=True, slots=True)
class RegistryLine:
    """A registry, and the credential this person acts with there. `own` is None where the default one is used."""

    host: str
    acts_as: str
    own: OwnCredential | None
    group: str
    by_group: bool
    checked_at: dt.datetime | None
    kept: bool
    url: str
    login: str


@dataclass(frozen=True, slots=True)
class AccountPage:
    """Everything that account.html shows."""

    username: str
    origin: str
    password_url: str
    roles: Sequence[str]
    registries: Sequence[RegistryLine]
    takes_own: bool


def account_page(account: Account) -> AccountPage:
    """The view model of the account page."""
    return AccountPage(
        username=account.username,
        origin=account.origin,
        password_url=reverse("password") if account.has_password else "",
        roles=[_role(line) for line in account.roles],
        registries=[_line(standing) for standing in account.standings],
        takes_own=any(standing.registry.act_with == Registry.ActWith.OWN for standing in account.standings),
    )


def _role(line: RoleLine) -> str:
    values = {"role": line.role.label, "pattern": line.pattern, "registry": line.registry}
    if line.pattern == patterns.EVERY:
        return (_("%(role)s on %(registry)s") if line.registry else _("%(role)s everywhere")) % values
    if line.registry:
        return _("%(role)s of %(pattern)s on %(registry)s") % values
    return _("%(role)s of %(pattern)s on every registry") % values


def _line(standing: Standing) -> RegistryLine:
    registry = standing.registry
    return RegistryLine(
        host=registry.public_host,
        acts_as=standing.acts_as,
        own=standing.own,
        group=standing.group,
        by_group=registry.act_with == Registry.ActWith.GROUP,
        checked_at=standing.checked_at,
        kept=standing.kept,
        login=docker_config.snippet(registry.public_host, standing.acts_as)
        if standing.own and standing.acts_as
        else "",
        url=reverse("credential", args=[registry.slug]) if registry.act_with == Registry.ActWith.OWN else "",
    )
