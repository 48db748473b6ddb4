"""The axis of an image page: few round numbers, in one unit, at the right places."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.charts.scale import Tick, ticks

MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("maximum", "labels"),
    [
        (1, ["0 B", "1 B"]),
        (100, ["0 B", "20 B", "40 B", "60 B", "80 B", "100 B"]),
        (1024, ["0 KiB", "0.2 KiB", "0.4 KiB", "0.6 KiB", "0.8 KiB", "1 KiB"]),
        (245 * MIB, ["0 MiB", "50 MiB", "100 MiB", "150 MiB", "200 MiB"]),
        (1000 * MIB, ["0 MiB", "200 MiB", "400 MiB", "600 MiB", "800 MiB", "1000 MiB"]),
        (int(1.6 * GIB), ["0 GiB", "0.5 GiB", "1 GiB", "1.5 GiB"]),
    ],
)
def test_the_marks_of_common_sizes(maximum: int, labels: list[str]) -> None:
    assert [tick.label for tick in ticks(maximum)] == labels


def test_where_marks_stand() -> None:
    assert ticks(400 * MIB, most=4) == [
        Tick(0, "0.000%", "0", "MiB"),
        Tick(200 * MIB, "50.000%", "200", "MiB"),
        Tick(400 * MIB, "100.000%", "400", "MiB"),
    ]
    assert ticks(0) == []


@given(st.integers(1, 2**63), st.integers(4, 12))
def test_marks_are_even_within_the_axis_and_few(maximum: int, most: int) -> None:
    found = ticks(maximum, most=most)

    assert 2 <= len(found) <= most
    assert len({tick.unit for tick in found}) == 1
    assert (found[0].bytes, found[0].x) == (0, "0.000%")
    places = [Decimal(tick.x[:-1]) for tick in found]
    assert places == sorted(set(places))
    assert places[-1] <= 100
    steps = {Decimal(after.number) - Decimal(before.number) for before, after in pairwise(found)}
    assert len(steps) == 1
    for tick, place in zip(found, places, strict=True):
        assert abs(place - Decimal(100) * tick.bytes / maximum) <= Decimal("0.001") + Decimal(100) / maximum


@pytest.mark.parametrize(("maximum", "most"), [(-1, 5), (10, 3)])
def test_an_impossible_axis_is_refused(maximum: int, most: int) -> None:
    with pytest.raises(ValueError, match="axis"):
        ticks(maximum, most=most)
