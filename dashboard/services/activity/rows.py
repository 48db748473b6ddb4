"""The three tables of the stream as queries: filtered, in the stream's order, cut at a place.

Entries of one deletion (or of one restoration of it, by one person) stand for themselves in a file; on a page the last
of them stands for all. Pulls of one digest on one day are one row in the same way, by whatever tag they came.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, TypeVar

from django.db import models
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from dashboard.models import AuditEntry, PullDay, RegistryEvent

from .asked import AUDIT, EVENTS, PULLS, Asked, Place, Source, What
from .seen import Seen

M = TypeVar("M", bound=models.Model)
_Action = AuditEntry.Action

_AUDITED: dict[What, tuple[str, ...]] = {
    What.DELETIONS: (
        _Action.DELETE,
        _Action.UNTAG,
        _Action.REMOVE_DIRECTORY,
        _Action.REMOVE_UPLOAD,
        _Action.COLLECT,
    ),
    What.RESTORES: (_Action.RESTORE,),
    What.MOVES: (_Action.RETAG, _Action.MOVE),
    What.PROTECTION: (_Action.RULE,),
    What.SIGN_INS: (_Action.SIGN_IN,),
    What.PEOPLE: (_Action.ACCESS, _Action.PERSON, _Action.CREDENTIAL, _Action.REGISTRY_USER),
}
_NOTIFIED: dict[What, tuple[str, ...]] = {
    What.ALL: tuple(RegistryEvent.Action.values),
    What.PUSHES: (RegistryEvent.Action.PUSH,),
    What.DELETIONS: (RegistryEvent.Action.DELETE,),
}


def audited(seen: Seen, asked: Asked) -> QuerySet[AuditEntry]:
    """The entries of the audit."""
    rows = AuditEntry.objects.filter(seen.of_audit())
    if asked.what == What.FAILED:
        rows = rows.exclude(outcome=AuditEntry.Outcome.DONE)
    elif asked.what:
        rows = rows.filter(action__in=_AUDITED[asked.what]) if asked.what in _AUDITED else rows.none()
    if asked.who:
        rows = rows.filter(Q(user__icontains=asked.who) | Q(acted_as__icontains=asked.who))
    return _filtered(rows, asked, AUDIT)


def notified(seen: Seen, asked: Asked) -> QuerySet[RegistryEvent]:
    """Pushes and deletions by others."""
    actions = _NOTIFIED.get(asked.what)
    rows = RegistryEvent.objects.filter(seen.by_name(), registry=seen.registry)
    if actions is None:
        return rows.none()
    if asked.what:
        rows = rows.filter(action__in=actions)
    if asked.who:
        rows = rows.filter(actor__icontains=asked.who)
    return _filtered(rows, asked, EVENTS)


def pulled(seen: Seen, asked: Asked) -> QuerySet[PullDay]:
    """Pulls by day; nobody is named in them."""
    rows = PullDay.objects.filter(seen.by_name(), registry=seen.registry)
    if asked.what not in (What.ALL, What.PULLS) or asked.who:
        return rows.none()
    return _filtered(rows, asked, PULLS)


def last_of_batches(rows: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    """Of each batch by one person among `rows` the last entry; entries of no batch all."""
    later = rows.filter(batch=OuterRef("batch"), user=OuterRef("user"), pk__gt=OuterRef("pk"))
    restores = Q(action=_Action.RESTORE)
    return rows.filter(
        Q(batch=None) | (restores & ~Exists(later.filter(restores))) | (~restores & ~Exists(later.exclude(restores)))
    )


def last_of_days(rows: QuerySet[PullDay]) -> QuerySet[PullDay]:
    """Of each digest's day among `rows` the row that was pulled last."""
    same = rows.filter(
        registry=OuterRef("registry"), repository=OuterRef("repository"), digest=OuterRef("digest"), day=OuterRef("day")
    )
    later = Q(last_at__gt=OuterRef("last_at")) | Q(last_at=OuterRef("last_at"), pk__gt=OuterRef("pk"))
    return rows.filter(~Exists(same.filter(later)))


def below(rows: QuerySet[M], source: Source, before: Place | None) -> QuerySet[M]:
    """Those of `rows` that stand below the place, in the order of the stream."""
    ordered = rows.order_by(f"-{source.time}", "-pk")
    if before is None:
        return ordered
    earlier: dict[str, Any] = {f"{source.time}__lt": before.at}
    same: dict[str, Any] = {source.time: before.at}
    # The first condition alone would do for the rows; it is what an index can begin at.
    ordered = ordered.filter(**{f"{source.time}__lte": before.at})
    if source.rank < before.rank:
        return ordered
    if source.rank > before.rank:
        return ordered.filter(**earlier)
    return ordered.filter(Q(**earlier) | Q(**same, pk__lt=before.pk))


def any_of(seen: Seen) -> bool:
    """Whether anything at all is known, whatever the filter."""
    everything = Asked()
    return any(table(seen, everything).exists() for table in (audited, notified, pulled))


def place(row: models.Model, source: Source) -> Place:
    """Where a row stands."""
    return Place(getattr(row, source.time), source.rank, row.pk)


def _filtered(rows: QuerySet[M], asked: Asked, source: Source) -> QuerySet[M]:
    if asked.repository:
        rows = rows.filter(repository__icontains=asked.repository)
    if asked.first_day is not None:
        rows = rows.filter(**{f"{source.time}__gte": _begin(asked.first_day)})
    if asked.last_day is not None:
        rows = rows.filter(**{f"{source.time}__lt": _begin(asked.last_day + dt.timedelta(days=1))})
    return rows


def _begin(day: dt.date) -> dt.datetime:
    return timezone.make_aware(dt.datetime.combine(day, dt.time.min))
