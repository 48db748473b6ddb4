"""Axis ticks in round numbers of KiB, MiB, GiB."""

from __future__ import annotations

from dataclasses import dataclass

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_STEPS = (1, 2, 2.5, 5, 10, 20, 25, 50, 100, 200, 250, 500)


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark: `x` as an SVG length, and its label."""

    x: str
    label: str


def ticks(total: int, *, about: int = 6) -> tuple[Tick, ...]:
    """Marks from 0 to `total` bytes: round steps, the last at the end with its unit; none that would touch it."""
    unit = 0
    while total / 1024**unit >= 1000 and unit < len(_UNITS) - 1:
        unit += 1
    scale = 1024**unit
    whole = total / scale
    step = next((s for s in _STEPS if whole / s <= about), _STEPS[-1])
    marks = [n * step for n in range(int(whole / step) + 1) if n * step <= whole * 0.93]
    found = [Tick(f"{100 * mark / whole:.3f}%", f"{mark:g}") for mark in marks]
    return (*found, Tick("100%", f"{whole:.1f} {_UNITS[unit]}"))
