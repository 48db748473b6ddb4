"""When something was pushed and pulled last, and what is not known of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext

from .formats import duration, moment


@dataclass(frozen=True, slots=True)
class Told:
    """A time in a cell: relative, in full for the tooltip, ISO; `iso` is "" where there is no time to tell."""

    text: str
    title: str
    iso: str = ""


def push(when: dt.datetime | None, *, is_push: bool) -> Told:
    """When something was pushed: "3 hours ago", or "known for 3 hours" where the push itself is not known."""
    shown = moment(when)
    if shown is None or when is None:
        return Told("—", "")
    if is_push:
        return Told(shown.relative, shown.exact, shown.iso)
    span = duration(max(1, int((timezone.now() - when).total_seconds())))
    return Told(
        gettext("known for %(span)s") % {"span": span},
        gettext("Known since %(when)s; it was pushed then or before.") % {"when": shown.exact},
        shown.iso,
    )


def pull(when: dt.datetime | None, since: dt.datetime | None) -> Told:
    """When something was pulled last; "not seen" never says "never". `since`: since when pulls are notified."""
    shown = moment(when)
    if shown is not None:
        return Told(shown.relative, shown.exact, shown.iso)
    if since is None:
        return Told(gettext("not seen"), gettext("The registry does not notify of pulls, so none is known."))
    local = timezone.localtime(since)
    day = date_format(local, "j F" if local.year == timezone.localtime().year else "j F Y")
    return Told(gettext("not seen"), gettext("Not pulled since %(day)s, when notifications began.") % {"day": day})
