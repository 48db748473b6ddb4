"""A person's own sessions: which browser, on which system, since when."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from dashboard.models import UserSession

# The first that is found counts: most browsers name others, too, which they are not.
_BROWSERS = (
    (r"Edg(?:e|A|iOS)?/", "Edge"),
    (r"OPR/|Opera", "Opera"),
    (r"Firefox/|FxiOS/", "Firefox"),
    (r"HeadlessChrome/|Chrome/|CriOS/|Chromium/", "Chrome"),
    (r"Safari/", "Safari"),
    (r"curl/", "curl"),
)
_SYSTEMS = (
    (r"iPhone|iPad|iPod", "iOS"),
    (r"Android", "Android"),
    (r"Windows", "Windows"),
    (r"Macintosh|Mac OS X", "macOS"),
    (r"CrOS", "ChromeOS"),
    (r"Linux|X11", "Linux"),
)


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One session. `here`: it is the one that asks."""

    pk: int
    browser: str
    address: str
    created_at: dt.datetime
    last_seen_at: dt.datetime
    here: bool


def session_lines(rows: Sequence[UserSession], session_key: str) -> list[SessionLine]:
    """The view model, the own session first."""
    lines = [
        SessionLine(
            pk=row.pk,
            browser=browser(row.agent),
            address=row.address,
            created_at=row.created_at,
            last_seen_at=row.last_seen_at,
            here=row.session_key == session_key,
        )
        for row in rows
    ]
    return sorted(lines, key=lambda line: not line.here)


def browser(agent: str) -> str:
    """What a User-Agent header says, in words."""
    program = next((name for pattern, name in _BROWSERS if re.search(pattern, agent)), "")
    system = next((name for pattern, name in _SYSTEMS if re.search(pattern, agent)), "")
    if program and system:
        return _("%(browser)s on %(system)s") % {"browser": program, "system": system}
    return program or system or _("an unknown browser")
