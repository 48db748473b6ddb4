"""Times as manifests and configs write them: RFC 3339 text, whatever a builder put there."""

from __future__ import annotations

import datetime as dt
import re

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_DATES = range(1990, 9999)
"""Years of dates: reproducible builds say 1970 or 1980, and the last year of all ends later in other time zones."""


def parse_time(text: str) -> dt.datetime | None:
    """An RFC 3339 time; None for anything else, and for the years that reproducible builds put in place of a date."""
    match = _RFC3339.fullmatch(text.strip())
    if not match:
        return None
    try:
        when = dt.datetime.fromisoformat(match[1].upper().replace(" ", "T") + match[2].upper().replace("Z", "+00:00"))
    except ValueError:
        return None
    return when if when.year in _DATES else None
