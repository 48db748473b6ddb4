"""What the storage pages show of the last scan, read with a fixed number of queries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from dashboard.models import Collection, IndexedTag, LargeBlob, MeasuredRepository, Registry, UsageSnapshot
from dashboard.services.access import Visible
from dashboard.services.index.lists import Order

from . import growth, lists, makers
from .growth import Pace, Point
from .map import UsageMap, usage_map

NAMED_IN_BAR = 40
SHOWN_REPOSITORIES = 10
SHOWN_LAYERS = 8
OLD_DAYS = 90
MAX_EMPTY = 100
MAX_COLLECTIONS = 12


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest blobs of a snapshot that a person may know of, and the steps that made them.

    `everything`: the person may know of every repository.
    """

    snapshot: UsageSnapshot
    everything: bool
    blobs: Sequence[LargeBlob]
    made_by: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Problems:
    """The malformed entries of a snapshot that a person may know of; and repositories without a tag, `empty` of all."""

    rows: Sequence[Mapping[str, Any]]
    empty: Sequence[MeasuredRepository]
    empty_count: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The last snapshot as one person may see it.

    `alone` are repositories by what their tags have alone, the largest first; `first` those that a list begins with;
    `most_untagged` the one with the most of it. `old_tags`: how many of the first of `alone` were pushed more than
    OLD_DAYS ago. `unseen`: repositories that the person may not know of. `collections` of garbage, the last first.
    """

    snapshot: UsageSnapshot
    alone: Sequence[MeasuredRepository]
    first: Sequence[MeasuredRepository]
    most_untagged: MeasuredRepository | None
    old_tags: int
    unseen: int
    largest: Largest
    problems: Problems
    map: UsageMap | None
    points: Sequence[Point]
    pace: Pace | None
    collections: Sequence[dt.datetime]


def overview(
    registry: Registry, snapshot: UsageSnapshot, visible: Visible, *, namespace: str, order: Order
) -> Overview:
    """The overview; its map is that of `namespace`, its list of repositories begins in this `order`."""
    rows = lists.repositories_of(snapshot, visible)
    alone = list(rows.order_by("-tagged_exclusive_bytes", "name")[:NAMED_IN_BAR])
    points = growth.points(registry)
    return Overview(
        snapshot=snapshot,
        alone=alone,
        first=list(rows.order_by(*order.by("sort_key"))[:SHOWN_REPOSITORIES]),
        most_untagged=rows.filter(untagged_bytes__gt=0).order_by("-untagged_bytes", "name").first(),
        old_tags=_old_tags(registry, alone[0].name) if alone else 0,
        unseen=max(0, snapshot.report.get("repositories", 0) - rows.count()) if visible.filter else 0,
        largest=largest(registry, snapshot, visible, limit=SHOWN_LAYERS),
        problems=problems(snapshot, visible),
        map=usage_map(snapshot, visible, namespace),
        points=points,
        pace=growth.pace(points),
        collections=_collections(registry, points),
    )


def largest(registry: Registry, snapshot: UsageSnapshot, visible: Visible, *, limit: int | None = None) -> Largest:
    """The largest blobs, `limit` of them; of each only those holders that the person may know of are named."""
    blobs = lists.large_blobs(snapshot)
    names = _names(snapshot, visible)
    if names is not None:
        for blob in blobs:
            blob.repositories = [name for name in blob.repositories if name in names]
        blobs = [blob for blob in blobs if blob.repositories]
    blobs = blobs[:limit]
    made_by = makers.made_by(registry, visible, [blob.digest for blob in blobs])
    return Largest(snapshot, names is None, blobs, made_by)


def problems(snapshot: UsageSnapshot, visible: Visible) -> Problems:
    """The problems; a path in a repository that the person may not know of is left out."""
    names = _names(snapshot, visible)
    rows = [row for row in snapshot.report.get("problems", []) if names is None or _may_name(row["path"], names)]
    empty = lists.repositories_of(snapshot, visible).filter(tags=0)
    return Problems(rows, list(empty.order_by("-bytes", "sort_key")[:MAX_EMPTY]), empty.count())


def _names(snapshot: UsageSnapshot, visible: Visible) -> set[str] | None:
    """The repositories that the person may know of; None for all of them."""
    if not visible.filter:
        return None
    return set(lists.repositories_of(snapshot, visible).values_list("name", flat=True))


def _may_name(path: str, names: set[str]) -> bool:
    """Whether a path below v2 lies in no repository, or in one of these."""
    return not path.startswith("repositories/") or any(path.startswith(f"repositories/{name}/_") for name in names)


def _collections(registry: Registry, points: Sequence[Point]) -> list[dt.datetime]:
    """When garbage was collected since the first of these scans, as far as it was done or noticed here."""
    if not points:
        return []
    states = (Collection.State.DONE, Collection.State.NOTICED)
    rows = Collection.objects.filter(registry=registry, state__in=states, ended_at__gt=points[0].at)
    ends = rows.filter(freed_bytes__gt=0).order_by("-ended_at").values_list("ended_at", flat=True)
    return [when for when in ends[:MAX_COLLECTIONS] if when is not None]


def _old_tags(registry: Registry, repository: str) -> int:
    """How many tags of a repository were pushed long ago, as far as the index knows when."""
    tags = IndexedTag.objects.filter(repository__registry=registry, repository__name=repository, since_is_push=True)
    return tags.filter(since__lt=timezone.now() - dt.timedelta(days=OLD_DAYS)).count()
