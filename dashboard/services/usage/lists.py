"""The last snapshot as lists: repositories, tags of one, largest blobs. Queries with a bound, whatever is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.db.models.functions import Substr

from dashboard.models import LargeBlob, MeasuredRepository, MeasuredTag, Registry, UsageSnapshot
from dashboard.services.access import Visible
from dashboard.services.index.lists import MAX_EXPORTED, PAGE_SIZE, Column, ListQuery, Page, bounds

from .scans import latest

COLUMNS = {
    "name": Column("sort_key", descending=False),
    "tags": Column("tags"),
    "size": Column("bytes"),
    "exclusive": Column("exclusive_bytes"),
    "shared": Column("shared_bytes"),
    "untagged": Column("untagged_bytes"),
}
DEFAULT_ORDER = "size"
TAG_COLUMNS = {
    "name": Column("name", descending=False),
    "size": Column("bytes"),
    "exclusive": Column("exclusive_bytes"),
}
DEFAULT_TAG_ORDER = "exclusive"
MAX_TILES = 60


def within(namespace: str) -> Q:
    """The repositories below a namespace, and the one of that very name; all for "".

    By comparing text, not by LIKE, for which databases differ about case.
    """
    if not namespace:
        return Q()
    return Q(name=namespace) | Q(beginning=f"{namespace}/")


def repositories_of(snapshot: UsageSnapshot, visible: Visible, namespace: str = "") -> QuerySet[MeasuredRepository]:
    """The measured repositories that somebody may know of, below a namespace."""
    rows = MeasuredRepository.objects.filter(visible.filter, snapshot=snapshot)
    if namespace:
        rows = rows.annotate(beginning=Substr("name", 1, len(namespace) + 1)).filter(within(namespace))
    return rows


def repositories(snapshot: UsageSnapshot, visible: Visible, query: ListQuery) -> Page[MeasuredRepository]:
    """A page of them, filtered by name and namespace."""
    rows = repositories_of(snapshot, visible, query.namespace)
    if query.contains:
        rows = rows.filter(name__icontains=query.contains)
    total = rows.count()
    number, pages, first = bounds(total, query.page)
    found = rows.order_by(*query.order.by("sort_key"))[first : first + PAGE_SIZE]
    return Page(list(found), number, pages, total, first)


def exported(snapshot: UsageSnapshot, visible: Visible, query: ListQuery) -> Iterator[MeasuredRepository]:
    """All of them, for a file."""
    rows = repositories_of(snapshot, visible, query.namespace)
    if query.contains:
        rows = rows.filter(name__icontains=query.contains)
    return rows.order_by(*query.order.by("sort_key"))[:MAX_EXPORTED].iterator(chunk_size=2000)


@dataclass(frozen=True, slots=True)
class Measured:
    """One repository as the last scan found it, and the snapshot it belongs to."""

    snapshot: UsageSnapshot
    row: MeasuredRepository


def repository(registry: Registry, name: str) -> Measured | None:
    """What the last scan found of a repository; None where it found none of that name, or there was no scan."""
    snapshot = latest(registry)
    row = MeasuredRepository.objects.filter(snapshot=snapshot, name=name).first() if snapshot else None
    return Measured(snapshot, row) if snapshot is not None and row is not None else None


def tags(row: MeasuredRepository, query: ListQuery) -> Page[MeasuredTag]:
    """A page of a repository's tags."""
    rows = MeasuredTag.objects.filter(repository=row)
    if query.contains:
        rows = rows.filter(name__icontains=query.contains)
    total = rows.count() if query.is_filtered else row.tags
    number, pages, first = bounds(total, query.page)
    found = rows.order_by(*query.order.by("name"))[first : first + PAGE_SIZE]
    return Page(list(found), number, pages, total, first)


def large_blobs(snapshot: UsageSnapshot) -> list[LargeBlob]:
    """The largest blobs, the largest first, as many as a scan keeps."""
    return list(LargeBlob.objects.filter(snapshot=snapshot).order_by("-bytes", "digest"))


def largest_tags(row: MeasuredRepository) -> list[MeasuredTag]:
    """The tags that have most to themselves."""
    rows = MeasuredTag.objects.filter(repository=row, exclusive_bytes__gt=0)
    return list(rows.order_by("-exclusive_bytes", "name")[:MAX_TILES])


def partners(measured: Measured, visible: Visible) -> list[tuple[str, int]]:
    """The repositories that one shares most with, and the bytes that both reach; "" for those that are not named."""
    every = [(str(partner["name"]), int(partner["bytes"])) for partner in measured.row.partners]
    if not visible.filter:
        return every
    rows = repositories_of(measured.snapshot, visible).filter(name__in=[name for name, _ in every])
    known = set(rows.values_list("name", flat=True))
    return [(name if name in known else "", size) for name, size in every]
