"""The pace of growth: since the last collection, with enough history, and when the disk is full at it."""

from __future__ import annotations

import datetime as dt

import pytest

from dashboard.services.usage import growth
from dashboard.services.usage.growth import Point, pace

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)


def history(*data: int, free: int = 1000, disk: int = 5000) -> list[Point]:
    """A point a day, the last one now."""
    return [
        Point(NOW - dt.timedelta(days=len(data) - 1 - number), amount, 0, 0, disk, free)
        for number, amount in enumerate(data)
    ]


def test_the_pace_is_the_average_and_tells_when_the_free_space_is_gone() -> None:
    found = pace(history(100, 120, 130, 150, 200))
    assert found is not None
    assert (found.bytes_per_day, found.days) == (25, 4)
    assert found.full_at == NOW + dt.timedelta(days=40)


def test_only_what_came_after_the_last_collection_counts() -> None:
    found = pace(history(900, 1000, 100, 110, 120, 130))
    assert found is not None
    assert (found.bytes_per_day, found.days) == (10, 3)
    assert pace(history(100, 110, 1000, 100, 110, 120)) is None, "not enough since then"


def test_only_the_last_month_counts() -> None:
    found = pace(history(*range(0, 6000, 100), *[6000 + n for n in range(30)]))
    assert found is not None
    assert found.bytes_per_day == pytest.approx(1, abs=5)


@pytest.mark.parametrize("data", [(), (1,), (100, 120, 130)])
def test_without_enough_history_nothing_is_said(data: tuple[int, ...]) -> None:
    assert pace(history(*data)) is None


def test_what_does_not_grow_or_has_no_disk_is_never_full() -> None:
    level = pace(history(100, 100, 100, 100, 99))
    assert level is not None
    assert level.full_at is None
    bucket = pace(history(100, 120, 130, 150, 200, disk=0, free=0))
    assert bucket is not None
    assert bucket.full_at is None
    slow = pace(history(100, 100, 100, 100, 101, free=10**9))
    assert slow is not None
    assert slow.full_at is None, "in a thousand years"


def test_many_points_are_thinned_and_first_and_last_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "MAX_POINTS", 5)
    assert growth._thinned(list(range(101))) == [0, 25, 50, 75, 100]
    assert growth._thinned([1, 2]) == [1, 2]
