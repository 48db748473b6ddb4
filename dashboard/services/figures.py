"""What the last scan of a registry found, as plain numbers: for the metrics and the thresholds.

A snapshot's report may list thousands of repositories; the database hands out the sums alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.fields.json import KeyTransform

from dashboard.models import Registry, UsageSnapshot

PARTS = ("tagged_exclusive", "tagged_shared", "untagged", "orphans", "uploads")
"""Of a report: together they are the bytes of all its data files."""
DATA = ("tagged_bytes", "untagged_bytes", "orphan_bytes", "upload_bytes")
"""Columns of every snapshot that are the bytes of all its data files."""
GROWTH_OVER = dt.timedelta(days=7)
GROWTH_FROM = dt.timedelta(days=1)
"""Two scans closer to each other tell nothing about a day."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of blobs or uploads, and their bytes."""

    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Figures:
    """A snapshot in numbers; times are of the scan's beginning, `seconds` how long it took, the rest bytes or counts.

    `disk_bytes` and `free_bytes` are 0 where there is no file system to ask. `metadata_bytes`, by the last full pass,
    are None before the first. `data_bytes` are those of all data files. `parts` are the five of PARTS, of which they
    are the sum (of a snapshot before the last, not all of them are kept); `in_flight` is contained in the orphans.
    """

    registry_id: int
    began_at: dt.datetime
    seconds: float
    disk_bytes: int
    free_bytes: int
    data_bytes: int
    parts: dict[str, Amount]
    in_flight: Amount
    repositories: int
    tags: int
    problems: int
    metadata_bytes: int | None

    @property
    def other_bytes(self) -> int | None:
        """Bytes on the same disk that are not the registry's, as `rest_of_disk` has it."""
        return rest_of_disk(self.disk_bytes, self.free_bytes, self.data_bytes, self.metadata_bytes)


def rest_of_disk(disk: int, free: int, data: int, metadata: int | None) -> int | None:
    """Bytes of a disk that are neither free nor the registry's data, nor its metadata where a full pass counted them.

    None where the disk counts less than the files hold (compression, holes), or there is no file system (a bucket).
    """
    other = disk - free - data - (metadata or 0)
    return other if other >= 0 and disk else None


def latest(registries: Sequence[Registry]) -> dict[int, Figures]:
    """The figures of each registry's last scan, by the registry's id; one query."""
    newest = UsageSnapshot.objects.filter(registry=OuterRef("pk"), is_whole=True).order_by("-began_at").values("pk")[:1]
    wanted = Registry.objects.filter(pk__in=[registry.pk for registry in registries]).values_list(Subquery(newest))
    found = _read(UsageSnapshot.objects.filter(pk__in=wanted))
    return {figures.registry_id: figures for figures in found}


def growth_per_day(now: Figures) -> float | None:
    """Bytes a day that the registry's data grew (less than 0: shrank) over the last GROWTH_OVER.

    None without a scan that lies far enough back.
    """
    before = UsageSnapshot.objects.filter(
        registry=now.registry_id,
        is_whole=True,
        began_at__gte=now.began_at - GROWTH_OVER,
        began_at__lte=now.began_at - GROWTH_FROM,
    ).order_by("began_at")[:1]
    for then in _read(before):
        days = (now.began_at - then.began_at) / dt.timedelta(days=1)
        return (now.data_bytes - then.data_bytes) / days
    return None


def _read(snapshots: QuerySet[UsageSnapshot]) -> list[Figures]:
    parts = (*PARTS, "in_flight")
    sums = {f"of_{part}_{what}": _key(part, what) for part in parts for what in ("count", "bytes")}
    sums["n_metadata"] = _key("metadata", "bytes")
    sums |= {f"n_{name}": KeyTransform(name, "report") for name in ("repositories", "tags", "problem_count")}
    rows = snapshots.annotate(**sums).values(
        "registry_id", "began_at", "seconds", "disk_bytes", "free_bytes", *DATA, *sums
    )
    return [
        Figures(
            registry_id=row["registry_id"],
            began_at=row["began_at"],
            seconds=row["seconds"],
            disk_bytes=row["disk_bytes"],
            free_bytes=row["free_bytes"],
            data_bytes=sum(row[column] for column in DATA),
            parts={part: _amount(row, part) for part in PARTS},
            in_flight=_amount(row, "in_flight"),
            repositories=int(row["n_repositories"] or 0),
            tags=int(row["n_tags"] or 0),
            problems=int(row["n_problem_count"] or 0),
            metadata_bytes=None if row["n_metadata"] is None else int(row["n_metadata"]),
        )
        for row in rows
    ]


def _key(part: str, what: str) -> KeyTransform:
    return KeyTransform(what, KeyTransform(part, "report"))


def _amount(row: dict[str, Any], part: str) -> Amount:
    return Amount(int(row[f"of_{part}_count"] or 0), int(row[f"of_{part}_bytes"] or 0))
