"""Bytes of several repositories together, each blob once: of a namespace, of a registry.

Repositories carry their own sums; those of several are counted from their blobs, which costs as much as there are of
them. So they are kept for as long as nothing in the registry changed by which they could.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import BigIntegerField, Case, Exists, F, Func, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Coalesce

from dashboard.models import IndexedBlob, IndexedRepository, Registry, RepositoryBlob, UsageSnapshot

from .lists import Kept


@dataclass(frozen=True, slots=True)
class Bytes:
    """`whole` counts each blob once; of it `exclusive` no other repository of the registry holds."""

    whole: int
    exclusive: int


@dataclass(frozen=True, slots=True)
class Together:
    """Some repositories whose bytes are wanted: which, how many, and the sums of what each of them has alone."""

    rows: QuerySet[IndexedRepository]
    count: int
    added: Bytes

    @property
    def at_once(self) -> Bytes | None:
        """The answer where it needs no counting: one repository, or several that share nothing."""
        return self.added if self.count <= 1 or self.added.whole == self.added.exclusive else None


MAX_AT_ONCE = 200
FEW_AT_ONCE = 20
"""Where each carries hundreds of names in its filter: databases bound the parameters of a query."""

_kept = Kept()


def each_once(
    registry: Registry, wanted: Mapping[str, Together], state: Hashable, *, at_once: int = MAX_AT_ONCE
) -> dict[str, Bytes]:
    """The bytes of each of these, in a query for every `at_once` of them.

    `state` must be another wherever the answer may be: it tells the whole index of the registry, and the filter.
    """
    found: dict[str, Bytes] = {}
    missing: dict[str, Together] = {}
    for key, together in wanted.items():
        answer = together.at_once or _kept.known(_key(registry, key, together, state))
        if answer is None:
            missing[key] = together
        else:
            found[key] = answer
    for part in _parts(list(missing), at_once):
        for key, counted in _count(registry, {key: missing[key] for key in part}).items():
            found[key] = counted
            _kept.put(_key(registry, key, missing[key], state), counted)
    return found


def _parts(keys: list[str], at_once: int) -> list[list[str]]:
    return [keys[start : start + at_once] for start in range(0, len(keys), at_once)]


def _key(registry: Registry, key: str, together: Together, state: Hashable) -> Hashable:
    return registry.pk, key, together.count, together.added, state


def _count(registry: Registry, wanted: Mapping[str, Together]) -> dict[str, Bytes]:
    columns: dict[str, Any] = {}
    for number, together in enumerate(wanted.values()):
        rows = together.rows.order_by().values("pk")
        blobs = IndexedBlob.objects.filter(
            pk__in=RepositoryBlob.objects.filter(tagged=True, repository__in=rows).values("blob")
        ).order_by()
        elsewhere = RepositoryBlob.objects.filter(blob=OuterRef("pk"), repository__registry=registry)
        own = Case(When(~Exists(elsewhere.exclude(repository__in=rows)), then=F("bytes")), default=0)
        columns[f"whole_{number}"] = _sum(blobs, F("bytes"))
        columns[f"own_{number}"] = _sum(blobs, own)
    row = Registry.objects.filter(pk=registry.pk).annotate(**columns).values(*columns).get()
    return {key: Bytes(row[f"whole_{number}"], row[f"own_{number}"]) for number, key in enumerate(wanted)}


def _sum(blobs: QuerySet[IndexedBlob], of: Any) -> Any:
    """A sum as a subquery: Sum() would group."""
    added = Func(of, function="SUM", output_field=BigIntegerField())
    return Coalesce(Subquery(blobs.annotate(added=added).values("added")), 0, output_field=BigIntegerField())


def can_be_freed(registry: Registry) -> int | None:
    """Bytes that can go without touching a tag, by the last scan of the storage; None where there was none."""
    snapshots = UsageSnapshot.objects.filter(registry=registry).order_by("-began_at")
    latest = snapshots.values_list("pk", "began_at").first()
    return _kept.get(("freed", *latest), lambda: _freed(latest[0])) if latest else None


def _freed(pk: int) -> int:
    parts = [f"report__{part}__bytes" for part in ("untagged", "orphans", "uploads")]
    return sum(value or 0 for value in UsageSnapshot.objects.filter(pk=pk).values_list(*parts).get())
