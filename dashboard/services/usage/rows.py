"""What a scan found, as rows: the snapshot with its sums, its repositories, namespaces, tags and largest blobs.

Written in small transactions; the snapshot counts once it is whole. Only the last one keeps its rows and its whole
report: of those before it the sums remain, for the chart, and fewer of them the older they are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from django.db import models
from django.utils import timezone

from dashboard.models import (
    LargeBlob,
    MeasuredNamespace,
    MeasuredRepository,
    MeasuredTag,
    Registry,
    RepositoryGrowth,
    UsageSnapshot,
)
from dashboard.registry.references import namespace_of
from dashboard.services.index.sort_keys import name_key
from dashboard.storage.detail import Detail, Partner
from dashboard.storage.figures import Usage

T = TypeVar("T")
ROWS_AT_ONCE = 2000
MAX_PROBLEMS = 1000
EVERY_SCAN_DAYS = 14
DAILY_DAYS = 400


def write(
    registry: Registry,
    usage: Usage,
    detail: Detail,
    *,
    began: dt.datetime,
    root: str,
    disk_bytes: int,
    free_bytes: int,
    more: dict[str, Any],
    alive: Callable[[], None],
) -> UsageSnapshot:
    """Writes everything that one scan found. `more` joins the report; `alive` is called between transactions."""
    UsageSnapshot.objects.filter(registry=registry, is_whole=False).delete()  # of a worker that was killed
    report = usage.to_json()
    report["problem_count"] = len(report["problems"])
    report["problems"] = report["problems"][:MAX_PROBLEMS]
    del report["by_repository"], report["by_namespace"]
    before = UsageSnapshot.objects.filter(registry=registry, is_whole=True).order_by("-began_at").first()
    snapshot = UsageSnapshot.objects.create(
        registry=registry,
        began_at=began,
        seconds=usage.seconds,
        root=root,
        is_full=usage.metadata is not None,
        is_whole=False,
        disk_bytes=disk_bytes,
        free_bytes=free_bytes,
        tagged_bytes=usage.tagged.bytes,
        untagged_bytes=usage.untagged.bytes,
        orphan_bytes=usage.orphans.bytes,
        upload_bytes=usage.uploads.bytes,
        report=report | more,
    )
    _insert(MeasuredRepository, _repositories(snapshot, usage, detail), alive)
    _insert(MeasuredNamespace, _namespaces(snapshot, usage), alive)
    _insert(MeasuredTag, _tags(snapshot, detail), alive)
    _insert(LargeBlob, _large_blobs(snapshot, detail), alive)
    _insert(RepositoryGrowth, _growth(registry, before, usage, began), alive)
    UsageSnapshot.objects.filter(pk=snapshot.pk).update(is_whole=True)
    snapshot.is_whole = True
    _slim_down(registry, snapshot, alive)
    return snapshot


def _repositories(snapshot: UsageSnapshot, usage: Usage, detail: Detail) -> Iterator[MeasuredRepository]:
    nobody: tuple[Sequence[Partner], int] = ((), 0)
    partners = detail.partners()
    for row in usage.by_repository:
        shared_with, more = partners.get(row.name, nobody)
        yield MeasuredRepository(
            snapshot=snapshot,
            name=row.name,
            namespace=namespace_of(row.name),
            sort_key=name_key(row.name),
            tags=row.tags,
            bytes=row.bytes,
            exclusive_bytes=row.exclusive_bytes,
            shared_bytes=row.shared_bytes,
            tagged_bytes=row.tagged_bytes,
            tagged_exclusive_bytes=row.tagged_exclusive_bytes,
            untagged_bytes=row.untagged_bytes,
            untagged_revisions=row.untagged_revisions,
            partners=[{"name": partner.name, "bytes": partner.bytes} for partner in shared_with],
            more_partners=more,
        )


def _namespaces(snapshot: UsageSnapshot, usage: Usage) -> Iterator[MeasuredNamespace]:
    for row in usage.by_namespace:
        yield MeasuredNamespace(snapshot=snapshot, parent=namespace_of(row.name), **row.to_json())


def _tags(snapshot: UsageSnapshot, detail: Detail) -> Iterator[MeasuredTag]:
    ids = dict(MeasuredRepository.objects.filter(snapshot=snapshot).values_list("name", "pk"))
    for repository, tags in detail.tags():
        for tag in tags:
            yield MeasuredTag(
                repository_id=ids[repository], name=tag.tag, bytes=tag.bytes, exclusive_bytes=tag.exclusive_bytes
            )


def _large_blobs(snapshot: UsageSnapshot, detail: Detail) -> Iterator[LargeBlob]:
    for blob in detail.largest():
        yield LargeBlob(
            snapshot=snapshot,
            digest=blob.digest,
            bytes=blob.bytes,
            kind=blob.kind,
            repositories=list(blob.repositories),
            repository_count=blob.repository_count,
            tag_count=blob.tag_count,
        )


def _growth(
    registry: Registry, before: UsageSnapshot | None, usage: Usage, began: dt.datetime
) -> Iterator[RepositoryGrowth]:
    """The repositories whose bytes are others than at the scan before, and those that are gone since."""
    last: dict[str, tuple[int, int]] = {}
    if before is not None:
        rows = MeasuredRepository.objects.filter(snapshot=before).values_list("name", "bytes", "exclusive_bytes")
        last = {name: (total, exclusive) for name, total, exclusive in rows}
    for row in usage.by_repository:
        if last.pop(row.name, None) != (row.bytes, row.exclusive_bytes):
            yield RepositoryGrowth(
                registry=registry, repository=row.name, at=began, bytes=row.bytes, exclusive_bytes=row.exclusive_bytes
            )
    for name in last:
        yield RepositoryGrowth(registry=registry, repository=name, at=began, bytes=0, exclusive_bytes=0)


def _insert(model: type[models.Model], rows: Iterable[models.Model], alive: Callable[[], None]) -> None:
    for part in _parts(rows):
        model._default_manager.bulk_create(part)
        alive()


def _parts(rows: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(rows)
    while part := list(islice(remaining, ROWS_AT_ONCE)):
        yield part


def _slim_down(registry: Registry, last: UsageSnapshot, alive: Callable[[], None]) -> None:
    """Of the snapshots before the last the sums remain: all of two weeks, then one a day, then one a week."""
    older = UsageSnapshot.objects.filter(registry=registry, began_at__lt=last.began_at).order_by("-began_at")
    for snapshot in older.filter(repositories__isnull=False).distinct():
        for model in (MeasuredTag, MeasuredRepository, MeasuredNamespace, LargeBlob):
            where = {"repository__snapshot": snapshot} if model is MeasuredTag else {"snapshot": snapshot}
            _delete(model, where, alive)
        snapshot.report = {name: value for name, value in snapshot.report.items() if name in _SUMS}
        snapshot.save(update_fields=["report"])
    seen: set[tuple[int, ...]] = set()
    gone: list[int] = []
    for pk, began in older.values_list("pk", "began_at"):
        age, (year, week, _day) = timezone.now() - began, began.isocalendar()
        if age <= dt.timedelta(days=EVERY_SCAN_DAYS):
            continue
        bucket = (began.toordinal(),) if age <= dt.timedelta(days=DAILY_DAYS) else (year, week)
        if bucket in seen:
            gone.append(pk)
        seen.add(bucket)
    for part in _parts(gone):
        UsageSnapshot.objects.filter(pk__in=part).delete()
        alive()


_SUMS = ("repositories", "tags", "blobs", "tagged", "untagged", "orphans", "uploads", "metadata", "problem_count")


def _delete(model: type[models.Model], where: dict[str, Any], alive: Callable[[], None]) -> None:
    rows = model._default_manager.filter(**where)
    while ids := list(rows.values_list("pk", flat=True)[:ROWS_AT_ONCE]):
        model._default_manager.filter(pk__in=ids).delete()
        alive()
