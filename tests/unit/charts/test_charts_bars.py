"""A strata bar is exact: widths sum to the whole, nothing overlaps, what is there can be seen."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.charts.bars import Segment, merge_slivers, percent, segments

values = st.integers(0, 10) | st.integers(0, 2**60)
bars = st.lists(values, max_size=24).map(lambda found: [(f"part {n}", value) for n, value in enumerate(found)])


def number(length: str) -> Decimal:
    assert length.endswith("%")
    assert len(length.partition(".")[2]) == 4
    return Decimal(length[:-1])


@given(bars)
def test_widths_sum_to_the_whole_and_segments_touch(parts: list[tuple[str, int]]) -> None:
    found = segments(parts)

    assert [(segment.key, segment.value) for segment in found] == [part for part in parts if part[1]]
    position = Decimal(0)
    for segment in found:
        assert number(segment.x) == position
        position += number(segment.width)
    assert position == (100 if found else 0)


@given(bars, st.floats(0, 5))
def test_everything_can_be_seen_and_order_of_size_is_kept(parts: list[tuple[str, int]], least: float) -> None:
    found = segments(parts, least_percent=least)

    bound = min(Decimal(int(least * 1000)) / 1000, Decimal(100_000 // max(1, len(found))) / 1000)
    for segment in found:
        assert number(segment.width) >= bound
        for other in found:
            if segment.value > other.value:
                assert number(segment.width) >= number(other.width)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=20))
def test_without_a_least_width_parts_are_in_proportion(sizes: list[int]) -> None:
    total = sum(sizes)
    for segment in segments([(str(n), size) for n, size in enumerate(sizes)], least_percent=0):
        assert abs(number(segment.width) - Decimal(100) * segment.value / total) < Decimal("0.001")


def test_a_bar_by_hand() -> None:
    assert segments([("a", 3), ("nothing", 0), ("b", 1)]) == [
        Segment("a", 3, "0.000%", "75.000%"),
        Segment("b", 1, "75.000%", "25.000%"),
    ]
    assert [segment.width for segment in segments([("a", 1), ("b", 1), ("c", 1)])] == ["33.334%", "33.333%", "33.333%"]
    assert [segment.width for segment in segments([("huge", 10**15), ("tiny", 1)])] == ["99.600%", "0.400%"]
    assert segments([]) == segments([("nothing", 0)]) == []


def test_a_negative_part_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        segments([("a", -1), ("b", 2)])


def test_slivers_become_one_last_part_and_a_single_one_stays() -> None:
    parts = [("a", 900), ("b", 2), ("c", 90), ("d", 3), ("e", 5)]

    assert merge_slivers(parts, "rest") == [("a", 900), ("c", 90), ("e", 5), ("rest", 5)]
    assert merge_slivers(parts, "rest", whole=100_000) == [("a", 900), ("rest", 100)]
    assert merge_slivers(parts[:2], "rest") == parts[:2]
    assert merge_slivers([], "rest") == []


@given(bars, st.floats(0, 100))
def test_merging_keeps_the_sum(parts: list[tuple[str, int]], below: float) -> None:
    merged = merge_slivers(parts, "rest", below_percent=below)

    assert sum(value for _, value in merged) == sum(value for _, value in parts)
    assert len(merged) <= len(parts)


def test_lengths_are_written_with_three_decimals() -> None:
    assert [percent(0), percent(7), percent(16_207), percent(100_000)] == ["0.000%", "0.007%", "16.207%", "100.000%"]
