"""How the storage grew: its snapshots in a row, one repository's bytes in a row, and the pace of late."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from dashboard.models import Registry, RepositoryGrowth, UsageSnapshot

T = TypeVar("T")
MAX_POINTS = 400
WINDOW_DAYS = 30
LEAST_DAYS = 3.0
LEAST_POINTS = 4
_DROP = 0.9
"""A scan that finds less than this part of what the one before found comes after a collection."""
_DAY = 86400.0
FAR_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Point:
    """The registry at one scan, in bytes; `disk` and `free` are 0 where there is no file system to ask."""

    at: dt.datetime
    tagged: int
    untagged: int
    garbage: int
    disk: int
    free: int

    @property
    def data(self) -> int:
        """All data files."""
        return self.tagged + self.untagged + self.garbage


@dataclass(frozen=True, slots=True)
class Pace:
    """Bytes a day over the last `days`, on average. `full_at`: when the free space is gone at that pace, if ever."""

    bytes_per_day: float
    days: float
    full_at: dt.datetime | None


def points(registry: Registry) -> list[Point]:
    """The registry at its scans, the oldest first; at most MAX_POINTS, evenly chosen, the last always among them."""
    rows = UsageSnapshot.objects.filter(registry=registry, is_whole=True).order_by("began_at")
    fields = ("began_at", "tagged_bytes", "untagged_bytes", "orphan_bytes", "upload_bytes", "disk_bytes", "free_bytes")
    every = [
        Point(at, tagged, untagged, orphan + upload, disk, free)
        for at, tagged, untagged, orphan, upload, disk, free in rows.values_list(*fields)
    ]
    return _thinned(every)


def repository_points(registry: Registry, name: str) -> list[tuple[dt.datetime, int, int]]:
    """When a repository's bytes changed: the time, all its bytes, of them exclusive ones; the oldest first."""
    rows = RepositoryGrowth.objects.filter(registry=registry, repository=name).order_by("-at")
    newest = list(rows.values_list("at", "bytes", "exclusive_bytes")[: 4 * MAX_POINTS])
    return _thinned(newest[::-1])


def _thinned(every: list[T]) -> list[T]:
    """At most MAX_POINTS of them, evenly chosen, first and last among them."""
    if len(every) <= MAX_POINTS:
        return every
    step = (len(every) - 1) / (MAX_POINTS - 1)
    return [every[round(number * step)] for number in range(MAX_POINTS)]


def pace(found: Sequence[Point]) -> Pace | None:
    """How fast the data grew of late; None without enough history to say.

    The average of the last WINDOW_DAYS, but only since the last collection: what it freed says nothing of the pace.
    """
    if not found:
        return None
    start = found[-1].at - dt.timedelta(days=WINDOW_DAYS)
    recent = [point for point in found if point.at >= start]
    for number in range(len(recent) - 1, 0, -1):
        if recent[number].data < _DROP * recent[number - 1].data:
            return _pace(recent[number:])
    return _pace(recent)


def _pace(recent: Sequence[Point]) -> Pace | None:
    if len(recent) < LEAST_POINTS:
        return None
    days = (recent[-1].at - recent[0].at).total_seconds() / _DAY
    if days < LEAST_DAYS:
        return None
    return _at((recent[-1].data - recent[0].data) / days, days, recent[-1])


def _at(bytes_per_day: float, days: float, last: Point) -> Pace:
    left = last.free / bytes_per_day if bytes_per_day > 0 and last.disk else FAR_DAYS + 1
    return Pace(bytes_per_day, days, last.at + dt.timedelta(days=left) if left <= FAR_DAYS else None)
