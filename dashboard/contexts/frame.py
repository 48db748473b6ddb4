"""The frame of every page: masthead, navigation, footer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from dashboard.models import User
from dashboard.services import roles
from dashboard.services.access import Access, Visible
from dashboard.services.administration import administration_of
from dashboard.services.alerts import shown
from dashboard.services.registry_health import standings
from registryui import __version__

from . import alerts, links
from .registries import RegistryState, state_of

THEMES = ("system", "light", "dark")
THEME_COOKIE = "strata_theme"
MIN_CHOICES = 2


@dataclass(frozen=True, slots=True)
class Choice:
    """A registry in the switcher; `is_here`: it is the one that the page is about."""

    state: RegistryState
    is_here: bool


@dataclass(frozen=True, slots=True)
class Switcher:
    """The registries to choose from, where there are several; `here` is the page's own, None for none."""

    choices: Sequence[Choice] = ()

    @property
    def here(self) -> Choice | None:
        """The choice that was made."""
        return next((choice for choice in self.choices if choice.is_here), None)


def _switcher(user: User | AnonymousUser, access: Access | None) -> Switcher:
    """One query; without a registry to choose from nothing is shown."""
    states = [state_of(standing) for standing in standings(roles.registries_for(user))]
    if len(states) < MIN_CHOICES:
        return Switcher()
    here = access.registry.slug if access else ""
    return Switcher([Choice(state, state.slug == here) for state in states])


def _alerts(access: Access | None) -> list[alerts.AlertNotice]:
    """The open alerts of the page's registry, for administrators."""
    if access is None or not access.administers:
        return []
    return alerts.notices(shown.open_alerts(access.registry))


@dataclass(frozen=True, slots=True)
class Checking:
    """How many of the repositories a registry was asked about in this person's name, where that is not all yet.

    `url` asks about more, by itself if it `goes_on`; `name` is "" for nobody.
    """

    checked: int
    total: int
    host: str
    name: str
    url: str
    goes_on: bool


def checking(access: Access, visible: Visible, *, goes_on: bool = True) -> Checking:
    """How far the asking is."""
    return Checking(
        checked=visible.checked,
        total=visible.total,
        host=access.registry.public_host,
        name=access.acting.name,
        url=links.checking(access.registry, visible.checked),
        goes_on=goes_on,
    )


def frame(request: HttpRequest) -> dict[str, Any]:
    """A context processor. `access` is there on pages of a registry, `index_as_of` and `visible` on lists of its
    index.
    """
    access: Access | None = getattr(request, "access", None)
    visible: Visible | None = getattr(request, "visible", None)
    theme = request.COOKIES.get(THEME_COOKIE, "system")
    return {
        "version": __version__,
        "theme": theme if theme in THEMES else "system",
        "themes": THEMES,
        "zone": timezone.get_current_timezone_name(),
        "debug": settings.DEBUG,
        "access": access,
        "may_look": request.user.is_authenticated or getattr(request, "is_visitor", False),
        "administration": SimpleLazyObject(lambda: administration_of(request.user)),
        "registry": access.registry if access else None,
        "home_url": links.repositories(access.registry) if access else "",
        "storage_url": links.storage(access.registry) if access else "",
        "activity_url": links.activity(access.registry) if access else "",
        "trash_url": links.trash(access.registry) if access else "",
        "status_url": links.status(access.registry) if access else "",
        "switcher": SimpleLazyObject(
            lambda: _switcher(request.user, access)
        ),  # asked by whole pages alone, not by fragments
        "alerts": SimpleLazyObject(lambda: _alerts(access)),  # asked by the pages that show them
        "section": getattr(request, "section", ""),
        "index_as_of": getattr(request, "index_as_of", None),
        "checking": checking(access, visible) if access and visible and not visible.complete else None,
        "htmx_fragment": getattr(request, "is_fragment", False),
    }
