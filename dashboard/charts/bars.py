"""A strata bar: parts of a whole as rectangles side by side, to scale.

Widths are whole thousandths of a percent, so that what is written into the SVG sums to 100 exactly and no gap or
overlap appears at any size. Parts too small to see get a least width, taken from the others in proportion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_WHOLE = 100_000  # thousandths of a percent


@dataclass(frozen=True, slots=True)
class Segment:
    """One rectangle. `x` and `width` are SVG lengths: `16.207%`."""

    key: str
    value: int
    x: str
    width: str


def segments(parts: Sequence[tuple[str, int]], *, least_percent: float = 0.4) -> list[Segment]:
    """The rectangles of `parts` (key and value) in their order; parts of nothing are left out.

    A part is never narrower than `least_percent` of the bar, as long as all of them fit so; a larger value is never
    narrower than a smaller one. Raises ValueError for a negative value.
    """
    if any(value < 0 for _, value in parts):
        raise ValueError("a part of a bar cannot be negative")
    shown = [(key, value) for key, value in parts if value]
    found: list[Segment] = []
    start = 0
    for (key, value), width in zip(shown, _widths([value for _, value in shown], least_percent), strict=True):
        found.append(Segment(key, value, percent(start), percent(width)))
        start += width
    return found


def merge_slivers(
    parts: Sequence[tuple[str, int]], key: str, *, below_percent: float = 0.5, whole: int | None = None
) -> list[tuple[str, int]]:
    """The parts in their order, with those below `below_percent` of `whole` joined into one last part called `key`.

    `whole` is the value of the entire bar (the sum of `parts` if they are all of it). A single sliver stays itself.
    """
    total = sum(value for _, value in parts) if whole is None else whole
    bound = total * below_percent / 100
    slivers = [(name, value) for name, value in parts if 0 < value < bound]
    if len(slivers) < 2:
        return list(parts)
    rest = sum(value for _, value in slivers)
    return [(name, value) for name, value in parts if value >= bound] + [(key, rest)]


def percent(thousandths: int) -> str:
    """Thousandths of a percent as an SVG length: 16207 is `16.207%`."""
    return f"{thousandths // 1000}.{thousandths % 1000:03d}%"


def _widths(values: list[int], least_percent: float) -> list[int]:
    """Whole thousandths of a percent that sum to 100 %, in proportion to positive `values`, none below the least."""
    if not values:
        return []
    least = min(int(least_percent * 1000), _WHOLE // len(values))
    widths = [0] * len(values)
    free = list(range(len(values)))
    room = _WHOLE
    while True:
        total = sum(values[i] for i in free)
        small = [i for i in free if room * values[i] < least * total]
        if not small:
            break
        for i in small:
            widths[i] = least
        room -= least * len(small)
        free = [i for i in free if not widths[i]]
    remainders = []
    for i in free:
        widths[i], remainder = divmod(room * values[i], total)
        remainders.append((remainder, i))
    lacking = _WHOLE - sum(widths)
    for _, i in sorted(remainders, key=lambda each: (-each[0], each[1]))[:lacking]:
        widths[i] += 1
    return widths
