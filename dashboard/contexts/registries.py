"""How a registry stands, for lists and for the switcher in the masthead: a lamp with words, and when it was read."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.models import Registry
from dashboard.services.registry_health import Health, Standing

from . import links
from .errors import failure_title
from .formats import count, relative


@dataclass(frozen=True, slots=True)
class RegistryState:
    """A registry as a line. `health`: good, failed, late, unread; `verdict` in two words, `said` in a short sentence.

    `repositories` is "" where it is not known, or is another number for each person (`by_person`).
    """

    slug: str
    host: str
    url: str
    health: str
    verdict: str
    said: str
    as_of: dt.datetime | None
    repositories: str
    by_person: bool
    home_url: str
    status_url: str
    from_environment: bool
    acts_with: str


def state_of(standing: Standing) -> RegistryState:
    """The view model of one line."""
    registry = standing.registry
    by_person = registry.act_with != Registry.ActWith.DEFAULT or not standing.whole
    shown = standing.repositories is not None and standing.as_of is not None and not by_person
    return RegistryState(
        slug=registry.slug,
        host=registry.public_host,
        url=registry.url,
        health=standing.health,
        verdict={
            Health.GOOD: _("read"),
            Health.FAILED: _("not readable"),
            Health.LATE: _("out of date"),
            Health.UNREAD: _("not read yet"),
        }[standing.health],
        said=_said(standing),
        as_of=standing.as_of,
        repositories=count(standing.repositories or 0) if shown else "",
        by_person=by_person,
        home_url=links.repositories(registry),
        status_url=links.status(registry),
        from_environment=registry.from_environment,
        acts_with=str(Registry.ActWith(registry.act_with).label),
    )


def _said(standing: Standing) -> str:
    when = relative(standing.as_of) if standing.as_of else ""
    if standing.health is Health.GOOD:
        return _("read %(when)s") % {"when": when}
    if standing.health is Health.LATE:
        minutes = standing.registry.refresh_minutes
        due = ngettext("due every %(n)s minute", "due every %(n)s minutes", minutes) % {"n": minutes}
        return _("last read %(when)s, %(due)s") % {"when": when, "due": due}
    if standing.health is Health.UNREAD:
        return _("waits for its first reading")
    title = failure_title(standing.code, standing.parameters, standing.registry.public_host)
    return _("%(problem)s; last read %(when)s") % {"problem": title, "when": when} if when else title
