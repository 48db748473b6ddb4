"""The list of repositories by namespace: what each namespace sums to, in which order they stand, what is on a page.

Sorting orders namespaces by the best of their rows, and the rows within by the column. All that are below one first
component stand together: its own repositories first, then the deeper namespaces. A page holds whole namespaces; only
one with more rows than a page has room for is divided. Touches no database but for the sums.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.db.models import Count, Max, Min, QuerySet, Sum

from dashboard.models import IndexedRepository
from dashboard.services.ordering import NaturalKey, natural_key

from .lists import PAGE_SIZE, Order


@dataclass(frozen=True, slots=True)
class Sums:
    """What some repositories sum to. The bytes are those of each repository added up: blobs in several count again."""

    repositories: int = 0
    tags: int = 0
    bytes: int = 0
    exclusive: int = 0
    pushed_at: dt.datetime | None = None
    pulled_at: dt.datetime | None = None

    @classmethod
    def of(cls, parts: Iterable[Sums]) -> Sums:
        """Several together."""
        listed = list(parts)
        return cls(
            sum(part.repositories for part in listed),
            sum(part.tags for part in listed),
            sum(part.bytes for part in listed),
            sum(part.exclusive for part in listed),
            max((part.pushed_at for part in listed if part.pushed_at), default=None),
            max((part.pulled_at for part in listed if part.pulled_at), default=None),
        )


@dataclass(frozen=True, slots=True)
class Space:
    """The repositories of exactly one namespace. `best`: the value that its place in the order comes from."""

    namespace: str
    sums: Sums
    best: Any = None


@dataclass(frozen=True, slots=True)
class Root:
    """All namespaces of one first component, "" for repositories without a namespace."""

    name: str
    spaces: Sequence[Space]

    @property
    def sums(self) -> Sums:
        """All of them together."""
        return Sums.of(space.sums for space in self.spaces)


@dataclass(slots=True)
class Sheet:
    """What stands on one page: whole namespaces, or a part of one that begins at `offset`. `first`: rows before it."""

    first: int
    spaces: list[Space] = field(default_factory=list)
    offset: int = 0
    rows: int = 0


def sum_up(rows: QuerySet[IndexedRepository], order: Order) -> list[Space]:
    """What each namespace of `rows` sums to, in one query."""
    best = (Max if order.descending else Min)("tags" if order.key == "name" else order.column.field)
    found = rows.order_by().values_list("namespace").annotate(
        Count("pk"), Sum("tags"), Sum("bytes"), Sum("exclusive_bytes"), Max("pushed_at"), Max("pulled_at"), best=best
    )  # fmt: skip
    return [Space(namespace, Sums(*sums), None if order.key == "name" else best) for namespace, *sums, best in found]


def in_order(spaces: Iterable[Space], order: Order) -> list[Root]:
    """The namespaces below their first components, all in the order of the list."""
    below: dict[str, list[Space]] = {}
    for space in spaces:
        below.setdefault(space.namespace.partition("/")[0], []).append(space)
    roots = []
    for name, its in below.items():
        sorted_ones = _sorted(its, [space.namespace for space in its], [space.best for space in its], order)
        roots.append(Root(name, sorted(sorted_ones, key=lambda space: space.namespace != name)))
    bests = [_best([space.best for space in root.spaces], order) for root in roots]
    return _sorted(roots, [root.name for root in roots], bests, order)


def sheets(roots: Iterable[Root]) -> list[Sheet]:
    """The pages."""
    found = [Sheet(0)]
    for root in roots:
        whole = sum(space.sums.repositories for space in root.spaces)
        if found[-1].rows and found[-1].rows + whole > PAGE_SIZE >= whole:
            found.append(Sheet(found[-1].first + found[-1].rows))
        for space in root.spaces:
            _add(found, space)
    return found


def _add(found: list[Sheet], space: Space) -> None:
    left, offset = space.sums.repositories, 0
    while left:
        last = found[-1]
        if last.rows and (last.rows + left > PAGE_SIZE or last.offset):
            found.append(last := Sheet(last.first + last.rows, offset=offset))
        taken = min(left, PAGE_SIZE)
        last.spaces.append(space)
        last.rows += taken
        left, offset = left - taken, offset + taken


def _best(values: Sequence[Any], order: Order) -> Any:
    told = [value for value in values if value is not None]
    if not told:
        return None
    return max(told) if order.descending else min(told)


def _sorted(items: Sequence[Any], names: Sequence[str], bests: Sequence[Any], order: Order) -> list[Any]:
    by_name = order.key == "name" and order.descending
    numbers = sorted(range(len(items)), key=lambda n: _name_key(names[n]), reverse=by_name)
    told = [n for n in numbers if bests[n] is not None]
    told.sort(key=lambda n: bests[n], reverse=order.descending)
    return [items[n] for n in (*told, *(n for n in numbers if bests[n] is None))]


@lru_cache(maxsize=20_000)
def _name_key(name: str) -> NaturalKey:
    return natural_key(name)
