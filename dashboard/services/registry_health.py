"""How each registry stands, as the index tells it: no registry is asked, whatever page shows it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db.models import Count, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from dashboard.models import IndexedRepository, Job, Registry

MAX_REGISTRIES = 100
LATE_AFTER = dt.timedelta(minutes=10)
LATE_ROUNDS = 3
"""An index is late after so many of its registry's rounds, and a while."""


class Health(StrEnum):
    """What the index tells of a registry, without asking it: how its last refresh ended, and when."""

    GOOD = "good"
    FAILED = "failed"
    LATE = "late"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class Standing:
    """A registry with the time of its index, and its health; of a failed refresh the error's code and parameters.

    `repositories` are those that the default credential was listed; None where that is not asked for. `whole`: whoever
    asks may see every one of them.
    """

    registry: Registry
    as_of: dt.datetime | None
    health: Health
    code: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    repositories: int | None = None
    whole: bool = True


def standings(registries: QuerySet[Registry] | None = None, *, counted: bool = False) -> list[Standing]:
    """How each of `registries` (default: all) stands, by slug, at most MAX_REGISTRIES: one query.

    `counted`: with their repositories.
    """
    ended = Job.objects.filter(
        registry=OuterRef("pk"), kind=Job.Kind.REFRESH, state__in=(Job.State.DONE, Job.State.FAILED)
    ).order_by("-requested_at")
    chosen = Registry.objects.all() if registries is None else registries
    rows = chosen.annotate(
        as_of=F("index_state__refreshed_at"),
        ended=Subquery(ended.values("state")[:1]),
        code=Subquery(ended.values("outcome_code")[:1]),
        outcome=Subquery(ended.values("outcome")[:1]),
    )
    if counted:
        held = IndexedRepository.objects.filter(registry=OuterRef("pk"), read_at__isnull=False).order_by()
        rows = rows.annotate(held=Coalesce(Subquery(held.values("registry").annotate(n=Count("pk")).values("n")), 0))
    return [_standing(row) for row in rows[:MAX_REGISTRIES]]


def _standing(row: Any) -> Standing:
    """`row`: a registry with the annotations of `standings`."""
    late = LATE_AFTER + LATE_ROUNDS * dt.timedelta(minutes=row.refresh_minutes)
    if row.ended == Job.State.FAILED:
        health = Health.FAILED
    elif row.as_of is None:
        health = Health.UNREAD
    else:
        health = Health.LATE if timezone.now() - row.as_of > late else Health.GOOD
    failed = health is Health.FAILED
    return Standing(
        registry=row,
        as_of=row.as_of,
        health=health,
        code=row.code if failed else "",
        parameters=row.outcome if failed and isinstance(row.outcome, dict) else {},
        repositories=getattr(row, "held", None),
        whole=getattr(row, "seen_whole", True),
    )
