"""A treemap: values as areas, in groups with a headline each; squarified, so that areas can be compared.

Across in per cent of the chart's width and down in pixels, so that the chart stretches with the page and its texts do
not. Areas are right at the width it is drawn for, and in proportion to one another at every other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import squarify

WIDTH, HEIGHT = 1376.0, 320.0
"""Pixels it is drawn for."""
HEADLINE = 22.0
_MARGIN = 1.5
_LEAST_FOR_HEADLINE = 48.0


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle. `x` and `width` are SVG lengths in per cent, `y` and `height` pixels; `across` its width in pixels.

    Measured from the chart's own corner, within a group too.
    """

    key: str
    value: int
    x: str
    y: float
    width: str
    height: float
    across: float


@dataclass(frozen=True, slots=True)
class Group:
    """Areas that belong together, inside an area of their own. `headed`: there is room above them for a headline."""

    area: Area
    headed: bool
    areas: Sequence[Area]


Parts = Sequence[tuple[str, int]]
"""Keys and values."""


def treemap(groups: Sequence[tuple[str, Parts, bool]]) -> list[Group]:
    """The groups, each a key with its parts and whether it wants a headline, the largest first.

    A group's area is the sum of its parts; what is nothing is left out. Raises ValueError for a negative value.
    """
    if any(value < 0 for _, parts, _ in groups for _, value in parts):
        raise ValueError("an area cannot be negative")
    sums = [(key, sum(value for _, value in parts), parts, wanted) for key, parts, wanted in groups]
    shown = sorted((each for each in sums if each[1]), key=lambda each: (-each[1], each[0]))
    boxes = _boxes([value for _, value, _, _ in shown], 0.0, 0.0, WIDTH, HEIGHT)
    found = []
    for (key, value, parts, wanted), box in zip(shown, boxes, strict=True):
        x, y, across, down = _inside(box)
        headed = wanted and down >= _LEAST_FOR_HEADLINE and across >= _LEAST_FOR_HEADLINE
        top = HEADLINE if headed else 0.0
        left = sorted((part for part in parts if part[1]), key=lambda part: (-part[1], part[0]))
        inner = _boxes([part[1] for part in left], x, y + top, across, max(0.0, down - top))
        areas = [_area(name, size, each) for (name, size), each in zip(left, inner, strict=True)]
        found.append(Group(_area(key, value, (x, y, across, down)), headed, areas))
    return found


_Box = tuple[float, float, float, float]


def _boxes(values: Sequence[int], x: float, y: float, across: float, down: float) -> list[_Box]:
    if not values or across <= 0 or down <= 0:
        return [(x, y, 0.0, 0.0)] * len(values)
    sizes = squarify.normalize_sizes(values, across, down)
    return [(box["x"], box["y"], box["dx"], box["dy"]) for box in squarify.squarify(sizes, x, y, across, down)]


def _inside(box: _Box) -> _Box:
    x, y, across, down = box
    margin = min(_MARGIN, across / 4, down / 4)
    return x + margin, y + margin, across - 2 * margin, down - 2 * margin


def _area(key: str, value: int, box: _Box) -> Area:
    x, y, across, down = box
    return Area(
        key, value, f"{100 * x / WIDTH:.3f}%", round(y, 1), f"{100 * across / WIDTH:.3f}%", round(down, 1), across
    )
