"""Which repositories a credential may pull, where a registry decides for each: asked for fifty at once, remembered.

Answers lie in the database, so that all processes share them. They belong to a name on a registry, used as somebody's
own, a group's or the default credential. A repository that nobody asked about is hidden: see the gate (`access.py`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils import timezone

from dashboard.models import PullAnswer, Registry
from dashboard.registry.errors import Forbidden, NotFound, RegistryError, Unauthorized
from dashboard.registry.references import RepositoryName, is_repository
from dashboard.registry.scopes import MAX_NAMES

from . import parallel
from .connections import Acting, ActingWith
from .quick_writes import write_within

FRESH, KEPT, STALE = dt.timedelta(minutes=5), dt.timedelta(minutes=15), dt.timedelta(hours=1)
"""For how long an answer is good for a repository that is shown (then it is asked for again); for how long it counts
in lists and sums (then the repository is hidden until it was asked about); and while the registry does not answer.
"""
MAX_KEPT = 10_000
"""Answers that are used for one credential: queries name them."""
WRITE_MILLISECONDS = 500


@dataclass(frozen=True, slots=True)
class PullAnswered:
    """One answer, and when it was given."""

    allowed: bool
    at: dt.datetime

    def is_younger(self, age: dt.timedelta) -> bool:
        """Whether it was given within that time."""
        return self.at > timezone.now() - age


def known(acting: Acting) -> dict[str, PullAnswered]:
    """The answers by repository, none older than STALE, the youngest first; at most MAX_KEPT. One query."""
    rows = PullAnswer.objects.filter(
        registry=acting.registry, holder=_holder(acting.registry, acting.acting_with, acting.name)
    ).filter(asked_at__gt=timezone.now() - STALE)
    values = rows.order_by("-asked_at").values_list("repository", "allowed", "asked_at")[:MAX_KEPT]
    return {name: PullAnswered(allowed, at) for name, allowed, at in values}


def ask(acting: Acting, names: Sequence[str]) -> dict[str, PullAnswered | RegistryError]:
    """Asks about the first MAX_NAMES of `names` and keeps the answers; what could not be asked comes with its error.

    Raises RegistryError where nothing could be asked.
    """
    asked = names[:MAX_NAMES]
    if not asked:
        return {}
    now = timezone.now()
    possible = [RepositoryName(name) for name in asked if is_repository(name)]
    found: dict[str, bool | RegistryError] = dict.fromkeys(asked, False)
    told: Mapping[RepositoryName, bool | RegistryError] | None = acting.session.pullable(possible)
    if told is None:
        told = parallel.each(possible, lambda name: _may_pull(acting, name))
    found.update((str(name), answer) for name, answer in told.items())
    _keep(acting, {name: answer for name, answer in found.items() if isinstance(answer, bool)}, now)
    return {name: PullAnswered(answer, now) if isinstance(answer, bool) else answer for name, answer in found.items()}


def forget(registry: Registry, name: str) -> None:
    """Forgets what is known of a name on a registry."""
    PullAnswer.objects.filter(
        registry=registry, holder__in=[_holder(registry, kind, name) for kind in ActingWith]
    ).delete()


def _holder(registry: Registry, acting_with: str, name: str) -> str:
    return hashlib.sha256(f"{registry.url}\n{acting_with}\n{name}".encode()).hexdigest()


def _may_pull(acting: Acting, name: RepositoryName) -> bool:
    try:
        acting.session.tags(name)
    except (Unauthorized, Forbidden):
        return False
    except NotFound:
        return True
    return True


def _keep(acting: Acting, answers: Mapping[str, bool], now: dt.datetime) -> None:
    """Answers that cannot be kept now serve the page that asked, and are asked for again."""
    holder = _holder(acting.registry, acting.acting_with, acting.name)
    rows = [
        PullAnswer(registry=acting.registry, holder=holder, repository=name, allowed=allowed, asked_at=now)
        for name, allowed in answers.items()
    ]

    def write() -> None:
        PullAnswer.objects.filter(asked_at__lt=now - STALE).delete()
        PullAnswer.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["registry", "holder", "repository"],
            update_fields=["allowed", "asked_at"],
        )

    write_within(WRITE_MILLISECONDS, write)
