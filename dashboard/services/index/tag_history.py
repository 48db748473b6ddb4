"""What the tags of a repository pointed to, and when, as a list. It is ours, and outlives them and the repository."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from dashboard.models import IndexedRevision, Registry, TagPeriod

from .lists import MAX_EXPORTED, PAGE_SIZE, Column, ListQuery, Page, bounds

COLUMNS = {"pushed": Column("began_at")}
DEFAULT_ORDER = "pushed"

_FIELDS = ("tag", "digest", "began_at", "ended_at", "learnt")


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """A tag pointed to `digest` from `began_at` to `ended_at` (None: it still does).

    `held`: the index knows that the repository holds the digest; it is not asked for in a file.
    """

    tag: str
    digest: str
    began_at: dt.datetime
    ended_at: dt.datetime | None
    learnt: TagPeriod.Learnt
    held: bool = False

    @property
    def began_by_push(self) -> bool:
        """Whether `began_at` is a push, not when we saw it first."""
        return self.learnt != TagPeriod.Learnt.REFRESH


@dataclass(frozen=True, slots=True)
class PeriodList:
    """A page of periods; `known` counts all of the repository, whatever the filter."""

    page: Page[PeriodRow]
    known: int


def periods(registry: Registry, repository: str, query: ListQuery) -> PeriodList:
    """A page of the history of a repository's tags. The number of queries does not depend on the rows."""
    every = _rows(registry, repository)
    rows = _filtered(every, query)
    known = every.count()
    total = rows.count() if query.is_filtered else known
    number, pages, first = bounds(total, query.page)
    found = list(_ordered(rows, query).values_list(*_FIELDS)[first : first + PAGE_SIZE])
    held = _held(registry, repository, {digest for _tag, digest, *_rest in found})
    return PeriodList(Page([_row(values, held) for values in found], number, pages, total, first), known)


def exported(registry: Registry, repository: str, query: ListQuery) -> Iterator[PeriodRow]:
    """All rows of the filter in the order of the list, at most MAX_EXPORTED, a few at a time."""
    rows = _ordered(_filtered(_rows(registry, repository), query), query)
    for values in rows.values_list(*_FIELDS)[:MAX_EXPORTED].iterator(500):
        yield _row(values, frozenset())


def _rows(registry: Registry, repository: str) -> QuerySet[TagPeriod]:
    return TagPeriod.objects.filter(registry=registry, repository=repository)


def _filtered(rows: QuerySet[TagPeriod], query: ListQuery) -> QuerySet[TagPeriod]:
    return rows.filter(tag__icontains=query.contains) if query.contains else rows


def _ordered(rows: QuerySet[TagPeriod], query: ListQuery) -> QuerySet[TagPeriod]:
    """What began at one moment stands as it was written down."""
    return rows.order_by(*query.order.by("-pk" if query.order.descending else "pk"))


def _held(registry: Registry, repository: str, digests: Iterable[str]) -> frozenset[str]:
    revisions = IndexedRevision.objects.filter(repository__registry=registry, repository__name=repository)
    return frozenset(revisions.filter(manifest__digest__in=digests).values_list("manifest__digest", flat=True))


def _row(values: Sequence[object], held: frozenset[str]) -> PeriodRow:
    tag, digest, began_at, ended_at, learnt = values
    return PeriodRow(tag, digest, began_at, ended_at, TagPeriod.Learnt(str(learnt)), held=digest in held)  # type: ignore[arg-type]
