"""A chart of amounts over time: bands one upon another, as paths in a square of 100 by 100 that the page stretches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chart:
    """`bands` are closed paths from the lowest to the highest, `edge` runs along the top of all.

    `xs` are the places of the points (0 to 100).
    """

    bands: Sequence[str]
    edge: str
    xs: Sequence[float]


def stacked(times: Sequence[float], bands: Sequence[Sequence[int]], *, until: float, maximum: int) -> Chart:
    """The chart of `bands` (amounts at each of `times`, which rise; the first lies lowest).

    The axis runs from the first time to `until`, and from 0 up to `maximum`. A single point is drawn as a level line.
    Raises ValueError where a band has another number of amounts than there are times, or there are none.
    """
    if not times or any(len(band) != len(times) for band in bands):
        raise ValueError("a chart needs times, and an amount of each band for each of them")
    span, top = max(until - times[0], 1e-9), max(maximum, 1)
    xs = [100 * (time - times[0]) / span for time in times]
    if len(xs) == 1:
        xs, bands = [0.0, 100.0], [[band[0], band[0]] for band in bands]
    floor = [0] * len(xs)
    paths = []
    for band in bands:
        ceiling = [below + amount for below, amount in zip(floor, band, strict=True)]
        there = " ".join(_point(x, value, top) for x, value in zip(xs, ceiling, strict=True))
        back = " ".join(_point(x, value, top) for x, value in zip(reversed(xs), reversed(floor), strict=True))
        paths.append(f"M{there} L{back}Z")
        floor = ceiling
    edge = "M" + " ".join(_point(x, value, top) for x, value in zip(xs, floor, strict=True))
    return Chart(paths, edge, xs)


def line(start: tuple[float, int], end: tuple[float, int], *, maximum: int) -> str:
    """A straight path between two points, each a place across (0 to 100) and an amount."""
    top = max(maximum, 1)
    return f"M{_point(*start, top)} L{_point(*end, top)}"


def _point(x: float, value: int, maximum: int) -> str:
    return f"{x:.2f},{100 - 100 * value / maximum:.2f}"
