"""Which thresholds are passed: figures in, findings out. Touches nothing.

A finding begins at its threshold and ends only at a tenth beyond it, so that a figure that swings about the threshold
is told once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum

MARGIN = 0.1
"""The part of a threshold that a figure has to get away from it before the finding ends."""
ORPHANS_FROM_BYTES = 100 * 1024 * 1024
"""Fewer orphans are no share of the data that anybody has to act on."""
HOUR = 3600


class Code(StrEnum):
    """Which threshold: the values of models.Alert.Code."""

    FREE = "free-space"
    GROWTH = "growth"
    ORPHANS = "orphans"
    SCAN_AGE = "scan-age"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is watched; None is not. Growth in bytes a day, scans in hours, the rest bytes or whole per cents."""

    free_percent: int | None = None
    free_bytes: int | None = None
    growth_bytes: int | None = None
    orphans_percent: int | None = None
    orphans_bytes: int | None = None
    scan_hours: int | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of the last scan in bytes, growth in bytes a day; None where there are none.

    `scan_seconds` since the last scan, or since the first was asked for where none has ended.
    """

    disk_bytes: int | None = None
    free_bytes: int | None = None
    data_bytes: int | None = None
    orphan_bytes: int | None = None
    growth_bytes: float | None = None
    scan_seconds: float | None = None


Figure = int | float


def passed(limits: Limits, measured: Measured, open_codes: Set[str] = frozenset()) -> dict[Code, Mapping[str, Figure]]:
    """The thresholds that are passed, each with the figures that a sentence about it names.

    `open_codes` are those that were passed at the last look: these end later than they begin.
    """
    found = {
        Code.FREE: _free(limits, measured, _margin(Code.FREE, open_codes)),
        Code.GROWTH: _growth(limits, measured, _margin(Code.GROWTH, open_codes)),
        Code.ORPHANS: _orphans(limits, measured, _margin(Code.ORPHANS, open_codes)),
        Code.SCAN_AGE: _scan_age(limits, measured),
    }
    return {code: figures for code, figures in found.items() if figures is not None}


def unknown(measured: Measured) -> Iterator[Code]:
    """The thresholds about which these figures tell nothing: what was found of them before stands."""
    if measured.free_bytes is None:
        yield Code.FREE
    if measured.growth_bytes is None:
        yield Code.GROWTH
    if measured.orphan_bytes is None:
        yield Code.ORPHANS
    if measured.scan_seconds is None:
        yield Code.SCAN_AGE


def _margin(code: Code, open_codes: Set[str]) -> float:
    return MARGIN if code in open_codes else 0.0


def _free(limits: Limits, measured: Measured, margin: float) -> Mapping[str, Figure] | None:
    free, disk = measured.free_bytes, measured.disk_bytes
    if free is None or not disk:
        return None
    bounds = [limits.free_bytes] if limits.free_bytes is not None else []
    if limits.free_percent is not None:
        bounds.append(disk * limits.free_percent // 100)
    bound = max(bounds, default=0)
    return {"free": free, "disk": disk, "limit": bound} if free < bound * (1 + margin) else None


def _growth(limits: Limits, measured: Measured, margin: float) -> Mapping[str, Figure] | None:
    growth, bound = measured.growth_bytes, limits.growth_bytes
    if growth is None or bound is None or growth <= bound * (1 - margin):
        return None
    return {"growth": round(growth), "limit": bound}


def _orphans(limits: Limits, measured: Measured, margin: float) -> Mapping[str, Figure] | None:
    orphans, data = measured.orphan_bytes, measured.data_bytes
    if orphans is None or data is None:
        return None
    bounds = [limits.orphans_bytes] if limits.orphans_bytes is not None else []
    if limits.orphans_percent is not None:
        bounds.append(max(data * limits.orphans_percent // 100, ORPHANS_FROM_BYTES))
    if not bounds or orphans <= min(bounds) * (1 - margin):
        return None
    return {"orphans": orphans, "data": data, "limit": min(bounds)}


def _scan_age(limits: Limits, measured: Measured) -> Mapping[str, Figure] | None:
    seconds, hours = measured.scan_seconds, limits.scan_hours
    if seconds is None or hours is None or seconds <= hours * HOUR:
        return None
    return {"seconds": int(seconds), "limit": hours * HOUR}
