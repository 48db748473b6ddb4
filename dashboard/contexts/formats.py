"""Figures, times and other people's texts as people read them. Pure."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext, ngettext

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_ILLEGIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters, marks that hide text or turn it round, halves of characters that no page can carry."""
MAX_TEXT = 4000


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes, split so that decimals and units align; `exact` is for the tooltip."""

    bytes: int
    number: str
    unit: str
    exact: str

    def __str__(self) -> str:
        return f"{self.number}\N{NO-BREAK SPACE}{self.unit}"


def size(count: int) -> Size:
    """`count` bytes in B, KiB, MiB …: one decimal, none below 1 KiB."""
    value, unit = float(count), 0
    while value >= 1023.95 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    number = number_format(
        count if unit == 0 else round(value, 1), decimal_pos=0 if unit == 0 else 1, force_grouping=True
    )
    exact = ngettext("%(count)s byte", "%(count)s bytes", count) % {"count": number_format(count, force_grouping=True)}
    return Size(count, number, _UNITS[unit], exact)


def share(part: int, whole: int) -> str:
    """`part` of `whole` in per cent: one decimal, "< 0.1 %" for what is there and small."""
    if whole <= 0 or part <= 0:
        return number_format(0, decimal_pos=1) + " %"
    percent = 100 * part / whole
    if percent < 0.1:
        return "< " + number_format(0.1, decimal_pos=1) + " %"
    return number_format(round(percent, 1), decimal_pos=1) + " %"


@dataclass(frozen=True, slots=True)
class Moment:
    """A time: relative for reading, exact for the tooltip, ISO for machines."""

    relative: str
    exact: str
    iso: str


def moment(when: dt.datetime | None, now: dt.datetime | None = None) -> Moment | None:
    """`when` (aware) as people read it."""
    if when is None:
        return None
    local = timezone.localtime(when)
    return Moment(relative(when, now), f"{date_format(local, 'j F Y, H:i:s')} {local:%Z}", local.isoformat())


def relative(when: dt.datetime, now: dt.datetime | None = None) -> str:
    """ "3 hours ago", "in 5 minutes", "just now": one unit, rounded down."""
    seconds = ((now or timezone.now()) - when).total_seconds()
    past, amount = seconds >= 0, abs(int(seconds))
    if amount < 10:
        return gettext("just now")
    span = duration(amount)
    return gettext("%(span)s ago") % {"span": span} if past else gettext("in %(span)s") % {"span": span}


def duration(seconds: int) -> str:
    """A span in its largest unit, rounded down."""
    if seconds < 60:
        return ngettext("%(n)s second", "%(n)s seconds", seconds) % {"n": seconds}
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if hours < 1:
        return ngettext("%(n)s minute", "%(n)s minutes", minutes) % {"n": minutes}
    if days < 1:
        return ngettext("%(n)s hour", "%(n)s hours", hours) % {"n": hours}
    if days < 14:
        return ngettext("%(n)s day", "%(n)s days", days) % {"n": days}
    if days < 60:
        return ngettext("%(n)s week", "%(n)s weeks", days // 7) % {"n": days // 7}
    if days < 730:
        return ngettext("%(n)s month", "%(n)s months", days // 30) % {"n": days // 30}
    return ngettext("%(n)s year", "%(n)s years", days // 365) % {"n": days // 365}


def legible(text: str, limit: int = MAX_TEXT) -> str:
    """A text that somebody else wrote: at most `limit` characters, with nothing in it that hides or turns the rest."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return _ILLEGIBLE.sub("\N{REPLACEMENT CHARACTER}", cut)


def count(number: int) -> str:
    """A whole number with grouping."""
    return number_format(number, force_grouping=True)
