"""Thresholds: when a finding begins, when it ends, and that a figure that swings is told once. No database."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.services.thresholds import Code, Limits, Measured, passed, unknown

GIB = 1024**3
HEALTHY = Measured(
    disk_bytes=1000 * GIB,
    free_bytes=500 * GIB,
    data_bytes=400 * GIB,
    orphan_bytes=10 * GIB,
    growth_bytes=GIB,
    scan_seconds=3600,
)
LIMITS = Limits(free_percent=10, growth_bytes=5 * GIB, orphans_percent=30, scan_hours=48)


def measured(**changes: Any) -> Measured:
    return Measured(**{name: getattr(HEALTHY, name) for name in Measured.__slots__} | changes)


def test_nothing_is_passed_on_a_healthy_disk_or_without_figures() -> None:
    assert passed(LIMITS, HEALTHY) == {}
    assert passed(LIMITS, Measured()) == {}
    assert set(unknown(Measured())) == set(Code)
    assert set(unknown(HEALTHY)) == set()


@pytest.mark.parametrize(
    ("changes", "code", "figures"),
    [
        ({"free_bytes": 99 * GIB}, Code.FREE, {"free": 99 * GIB, "disk": 1000 * GIB, "limit": 100 * GIB}),
        ({"growth_bytes": 5.5 * GIB}, Code.GROWTH, {"growth": 5.5 * GIB, "limit": 5 * GIB}),
        (
            {"orphan_bytes": 121 * GIB},
            Code.ORPHANS,
            {"orphans": 121 * GIB, "data": 400 * GIB, "limit": 120 * GIB},
        ),
        ({"scan_seconds": 49 * 3600.5}, Code.SCAN_AGE, {"seconds": int(49 * 3600.5), "limit": 48 * 3600}),
    ],
)
def test_each_threshold(changes: dict[str, Any], code: Code, figures: dict[str, float]) -> None:
    assert passed(LIMITS, measured(**changes)) == {code: figures}
    assert passed(Limits(), measured(**changes)) == {}, "what is not watched is not told"


def test_the_stricter_of_two_ways_counts() -> None:
    both = Limits(free_percent=10, free_bytes=200 * GIB, orphans_percent=90, orphans_bytes=GIB)
    found = passed(both, measured(free_bytes=150 * GIB, orphan_bytes=2 * GIB))
    assert {code: figures["limit"] for code, figures in found.items()} == {Code.FREE: 200 * GIB, Code.ORPHANS: GIB}


def test_a_few_orphans_of_little_data_are_no_share_to_act_on() -> None:
    small = measured(data_bytes=10**6, orphan_bytes=9 * 10**5)
    assert passed(LIMITS, small) == {}
    assert Code.ORPHANS in passed(Limits(orphans_bytes=10**5), small), "unless they are asked for in bytes"


@pytest.mark.parametrize(
    ("code", "name", "at", "swings", "away"),
    [
        (Code.FREE, "free_bytes", 99 * GIB, 109 * GIB, 111 * GIB),
        (Code.GROWTH, "growth_bytes", 5.1 * GIB, 4.6 * GIB, 4.4 * GIB),
        (Code.ORPHANS, "orphan_bytes", 121 * GIB, 109 * GIB, 107 * GIB),
    ],
)
def test_it_ends_a_tenth_away_from_where_it_began(code: Code, name: str, at: float, swings: float, away: float) -> None:
    assert code in passed(LIMITS, measured(**{name: at}))
    assert code not in passed(LIMITS, measured(**{name: swings})), "it does not begin there"
    assert code in passed(LIMITS, measured(**{name: swings}), {code}), "nor does it end there"
    assert code not in passed(LIMITS, measured(**{name: away}), {code})


@given(st.integers(0, 10**13), st.integers(1, 10**13), st.integers(1, 99))
def test_a_finding_that_lasts_is_never_fewer_than_one_that_begins(free: int, disk: int, percent: int) -> None:
    figures = Measured(disk_bytes=disk, free_bytes=free)
    limits = Limits(free_percent=percent)
    assert passed(limits, figures).keys() <= passed(limits, figures, {Code.FREE}).keys()
