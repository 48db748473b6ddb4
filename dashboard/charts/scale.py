"""An axis of bytes: a few round numbers in KiB, MiB or GiB, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from .bars import percent

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_STEP = 1024
_ROUND = (1, 2, 5)
_FEWEST = 4


@dataclass(frozen=True, slots=True)
class Tick:
    """One mark: `bytes` (rounded), where it stands (`33.333%`), and what is written there."""

    bytes: int
    x: str
    number: str
    unit: str

    @property
    def label(self) -> str:
        """Number and unit."""
        return f"{self.number} {self.unit}"


def ticks(maximum: int, *, most: int = 6) -> list[Tick]:
    """Marks from 0 up to `maximum` bytes: at most `most` of them, a round step apart, all in one unit.

    Nothing for an axis of no length. Raises ValueError for a negative maximum, or fewer than four marks (three might
    not reach a second round number).
    """
    if maximum < 0 or most < _FEWEST:
        raise ValueError("an axis needs a maximum of at least 0 and room for four marks")
    if maximum == 0:
        return []
    power = 0
    while power + 1 < len(_UNITS) and maximum >= _STEP ** (power + 1):
        power += 1
    size = _STEP**power
    step = _round_step(Fraction(maximum, size) / (most - 1), whole=power == 0)
    found = []
    for number in range(most):
        value = number * step
        if value * size > maximum:
            break
        position = round(value * size * 100_000 / maximum)
        found.append(Tick(round(value * size), percent(position), _decimal(value), _UNITS[power]))
    return found


def _round_step(least: Fraction, *, whole: bool) -> Fraction:
    """The smallest of …, 0.1, 0.2, 0.5, 1, 2, 5, 10, … that is not below `least`; an integer if `whole`."""
    magnitude = Fraction(1) if whole else Fraction(1, 1000)
    while True:
        for factor in _ROUND:
            if factor * magnitude >= least:
                return factor * magnitude
        magnitude *= 10


def _decimal(value: Fraction) -> str:
    """A number of few decimals without trailing zeros; `value` is a multiple of a thousandth."""
    return f"{float(value):.3f}".rstrip("0").rstrip(".")
