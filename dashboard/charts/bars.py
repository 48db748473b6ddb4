"""Segments of a strata bar: values in, rectangles out, in per cent of the bar's width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """One rectangle: `x` and `width` as SVG lengths ("16.207%")."""

    key: str
    x: str
    width: str


def segments(values: Sequence[tuple[str, int]], *, total: int | None = None) -> tuple[Segment, ...]:
    """`values` side by side, to scale: `total` fills the bar (default: their sum)."""
    whole = total or sum(value for _, value in values)
    found, below = [], 0
    for key, value in values:
        if value > 0 and whole > 0:
            found.append(Segment(key, f"{100 * below / whole:.3f}%", f"{100 * value / whole:.3f}%"))
        below += value
    return tuple(found)
