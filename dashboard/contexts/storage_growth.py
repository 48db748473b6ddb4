"""The growth of the registry, or of a repository, as a chart."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from dashboard.charts.growth import line, stacked
from dashboard.charts.scale import ticks
from dashboard.services.usage.growth import Pace, Point

from .formats import size
from .storage_reasons import day

TOP, DOWN = 18.0, 200.0
"""Pixels: where the plot begins, and how high it is."""
LEFT, ACROSS = 9.0, 69.0
"""Per cent of the chart's width: where the plot begins, and how wide it is."""
_ROOM_TO_COME = 0.07
_LINE = 17.0
_ROOM_FOR_TEXT = 26.0  # per cent of the plot


@dataclass(frozen=True, slots=True)
class Mark:
    """A text at a place: `x` in per cent, `y` in pixels; `value` set off within it."""

    x: str
    y: str
    text: str
    value: str = ""
    line_y: str = ""


@dataclass(frozen=True, slots=True)
class Growth:
    """The chart: paths of its bands with their textures, marks at its axes and its right edge."""

    bands: Sequence[tuple[str, str]]
    edge: str
    forecast: str
    limit: Mark | None
    full: Mark | None
    rows: Sequence[Mark]
    columns: Sequence[Mark]
    names: Sequence[Mark]
    collections: Sequence[Mark]
    label: str


def growth(points: Sequence[Point], pace: Pace | None, collections: Sequence[dt.datetime]) -> Growth | None:
    """The registry's chart; None before there are two scans. `collections` of garbage are marked, the last first."""
    if len(points) < 2:
        return None
    last = points[-1]
    limit = last.data + last.free if last.disk else 0
    names = [
        (_("Tagged"), [point.tagged for point in points]),
        (_("Untagged"), [point.untagged for point in points]),
        (_("Orphan, uploads"), [point.garbage for point in points]),
    ]
    css = ("a-tagged", "a-untagged", "a-orphan")
    return _chart([point.at for point in points], names, css, limit, pace, collections)


def repository_growth(points: Sequence[tuple[dt.datetime, int, int]], now: dt.datetime) -> Growth | None:
    """A repository's chart: what it has alone, and what it shares, from each change to the next; None without one."""
    if not points:
        return None
    times: list[dt.datetime] = []
    own: list[int] = []
    shared: list[int] = []
    for number, (at, total, exclusive) in enumerate(points):
        if number:  # it was level until then
            times.append(at)
            own.append(points[number - 1][2])
            shared.append(points[number - 1][1] - points[number - 1][2])
        times.append(at)
        own.append(exclusive)
        shared.append(total - exclusive)
    if now > times[-1]:
        times.append(now)
        own.append(own[-1])
        shared.append(shared[-1])
    return _chart(times, [(_("Exclusive"), own), (_("Shared"), shared)], ("a-tagged", "a-shared"), 0, None)


def _chart(
    times: Sequence[dt.datetime],
    named: Sequence[tuple[str, Sequence[int]]],
    css: Sequence[str],
    limit: int,
    pace: Pace | None,
    collections: Sequence[dt.datetime] = (),
) -> Growth:
    sums = [sum(values) for values in zip(*(amounts for _name, amounts in named), strict=True)]
    highest = max(sums)
    near = limit if limit and limit <= 2.5 * highest else 0
    maximum = max(1, int(max(highest, near) * 1.06))
    seconds = [when.timestamp() for when in times]
    until = seconds[-1] + (seconds[-1] - seconds[0]) * (_ROOM_TO_COME if pace else 0)
    chart = stacked(seconds, [amounts for _name, amounts in named], until=until, maximum=maximum)
    forecast = ""
    if pace and pace.bytes_per_day > 0:
        then = min(sums[-1] + int(pace.bytes_per_day * (until - seconds[-1]) / 86400), maximum)
        forecast = line((chart.xs[-1], sums[-1]), (100.0, then), maximum=maximum)
    return Growth(
        bands=list(zip(css, chart.bands, strict=True)),
        edge=chart.edge,
        forecast=forecast,
        limit=Mark(
            _x(0),
            _y(near, maximum, -6),
            _("%(size)s: all that the disk has for the registry") % {"size": size(near)},
            line_y=_y(near, maximum),
        )
        if near
        else None,
        full=Mark("", "", _("full about %(date)s") % {"date": day(pace.full_at)}) if pace and pace.full_at else None,
        rows=[
            Mark(f"{LEFT - 1:.3f}%", _y(tick.bytes, maximum, 4), tick.label, line_y=_y(tick.bytes, maximum))
            for tick in ticks(maximum, most=5)
        ],
        columns=_columns(times[0], times[-1], until),
        names=_names(named, maximum),
        collections=_collections(collections, seconds[0], until),
        label=_("Bytes on disk from %(first)s to %(last)s: %(before)s then, %(now)s now")
        % {"first": day(times[0]), "last": day(times[-1]), "before": size(sums[0]), "now": size(sums[-1])},
    )


def _x(place: float) -> str:
    return f"{LEFT + place * ACROSS / 100:.3f}%"


def _y(value: int, maximum: int, shift: float = 0.0) -> str:
    return f"{TOP + DOWN * (1 - value / maximum) + shift:.1f}"


def _names(named: Sequence[tuple[str, Sequence[int]]], maximum: int) -> list[Mark]:
    """The bands' names and last amounts at the right edge, at their height, but never upon one another."""
    marks: list[Mark] = []
    below, floor = TOP + DOWN + _LINE, 0
    for name, amounts in named:
        middle = TOP + DOWN * (1 - (floor + amounts[-1] / 2) / maximum) + 4
        below = min(middle, below - _LINE)
        marks.append(Mark(f"{LEFT + ACROSS + 1:.3f}%", f"{below:.1f}", name, str(size(amounts[-1]))))
        floor += amounts[-1]
    return marks


def _collections(ends: Sequence[dt.datetime], start: float, until: float) -> list[Mark]:
    """A line for each collection; a text where the one after it leaves room."""
    marks: list[Mark] = []
    taken = 100.0
    for when in ends:
        place = 100 * (when.timestamp() - start) / max(until - start, 1e-9)
        if not 0 <= place <= 100:
            continue
        has_room = place + _ROOM_FOR_TEXT <= taken
        text = _("garbage collection, %(date)s") % {"date": day(when)} if has_room else ""
        taken = place if has_room else taken
        marks.append(Mark(_x(place), f"{TOP + 10:.0f}", text))
    return marks


def _columns(first: dt.datetime, last: dt.datetime, until: float) -> list[Mark]:
    """Dates below the axis: at most six, evenly apart, in days or months or with the hour."""
    start = first.timestamp()
    span = max(until - start, 1e-9)
    shown = last.timestamp() - start
    form = "j M, H:i" if shown < 2 * 86400 else "j M" if shown < 300 * 86400 else "M Y"
    steps = 4
    found: list[Mark] = []
    for number in range(steps + 1):
        when = start + shown * number / steps
        text = date_format(timezone.localtime(dt.datetime.fromtimestamp(when, dt.UTC)), form)
        if not found or found[-1].text != text:
            found.append(Mark(_x(100 * (when - start) / span), f"{TOP + DOWN + 18:.0f}", text))
    return found
