"""The growth chart: bands lie one upon another, and the edge runs along the top of all."""

from __future__ import annotations

import re

import pytest

from dashboard.charts.growth import line, stacked


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+),([\d.]+)", path)]


def test_bands_are_stacked_to_scale_and_each_begins_where_the_one_below_ends() -> None:
    chart = stacked([0, 50, 100], [[10, 20, 30], [5, 0, 10]], until=200, maximum=80)

    assert chart.xs == [0, 25, 50]
    lower, upper = points(chart.bands[0]), points(chart.bands[1])
    assert lower[:3] == [(0, 87.5), (25, 75), (50, 62.5)]
    assert lower[3:] == [(50, 100), (25, 100), (0, 100)]
    assert upper[:3] == points(chart.edge) == [(0, 81.25), (25, 75), (50, 50)]
    assert upper[3:] == lower[2::-1]


def test_a_single_point_is_a_level_line() -> None:
    assert points(stacked([7], [[40]], until=7, maximum=80).edge) == [(0, 50), (100, 50)]


def test_a_line_is_drawn_to_the_same_scale() -> None:
    assert points(line((50, 40), (100, 80), maximum=80)) == [(50, 50), (100, 0)]


@pytest.mark.parametrize(("times", "bands"), [([], [[]]), ([1, 2], [[1]])])
def test_what_does_not_fit_is_refused(times: list[float], bands: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="a chart needs times"):
        stacked(times, bands, until=3, maximum=1)
