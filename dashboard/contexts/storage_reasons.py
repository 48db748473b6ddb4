"""Why the disk is full: the largest causes in plain sentences, each with what to do about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.models import Registry
from dashboard.services.usage.growth import Pace
from dashboard.services.usage.overview import OLD_DAYS, Overview

from . import links
from .deletion import age_in_words
from .formats import count, duration, legible, share, size
from .storage_bar import Sums

_WORTH_NAMING = 0.01
"""Of the data: less than that is no reason for anything."""
_LARGE_REPOSITORY = 0.2
_MUCH_OF_THE_DISK = 0.3
_LITTLE_FREE = 0.2


@dataclass(frozen=True, slots=True)
class Reason:
    """One cause: how many bytes, what they are, why they are there; and where there is one, a button."""

    css: str
    bytes: int
    what: str
    why: str
    label: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Why:
    """The panel: a sentence on the pace and on what can go, and the reasons, the largest first."""

    pace: str
    can_go: str
    reasons: list[Reason]


def why(registry: Registry, found: Overview, sums: Sums, older: int = 0) -> Why:
    """The panel of a registry. `older`: how many images are untagged for the days of grace."""
    least = max(1, _WORTH_NAMING * sums.data)
    reasons = sorted(
        (reason for reason in _reasons(registry, found, sums, older) if reason.bytes >= least),
        key=lambda reason: -reason.bytes,
    )
    return Why(_pace(found.pace, sums), _can_go(sums), reasons)


def _reasons(registry: Registry, found: Overview, sums: Sums, older: int) -> Iterator[Reason]:
    report = found.snapshot.report
    yield _orphans(registry, report.get("orphans", {}).get("count", 0), report.get("in_flight", {}), sums.orphans)
    yield _untagged(registry, found, sums.untagged, older)
    if found.alone and found.alone[0].tagged_exclusive_bytes >= _LARGE_REPOSITORY * max(1, sums.data):
        yield _largest(registry, found, sums)
    yield _uploads(registry, found)
    duplicates = report.get("duplicates", {})
    if duplicates.get("bytes"):
        yield _duplicates(registry, duplicates)
    nearly_full = sums.free is not None and sums.free < _LITTLE_FREE * sums.whole
    if sums.other and nearly_full and sums.other > _MUCH_OF_THE_DISK * sums.whole:
        yield Reason(
            "other",
            sums.other,
            _("are not the registry's"),
            _("%(share)s of the disk is taken by other files. Nothing here can free it; ask who runs the machine.")
            % {"share": share(sums.other, sums.whole)},
        )


def _orphans(registry: Registry, blobs: int, in_flight: dict[str, int], amount: int) -> Reason:
    text = ngettext(
        "%(n)s blob that no image refers to. It was left behind when tags and images were deleted; a garbage "
        "collection frees it today.",
        "%(n)s blobs that no image refers to. They were left behind when tags and images were deleted; a garbage "
        "collection frees them today.",
        blobs,
    ) % {"n": count(blobs)}
    if in_flight.get("bytes"):
        text = f"{text} " + _("%(size)s of it is new, and may belong to a push that is running.") % {
            "size": size(in_flight["bytes"])
        }
    label, url = _("See what a collection frees"), links.collection(registry)
    return Reason("orphan", amount, _("belong to nothing any more"), text, label, url)


def _untagged(registry: Registry, found: Overview, amount: int, older: int) -> Reason:
    revisions = found.snapshot.report.get("untagged_revisions", 0)
    text = ngettext(
        "%(n)s image that its tag left for a newer push. It goes once it is deleted and collected.",
        "%(n)s images that their tags left for newer pushes. They go once they are deleted and collected.",
        revisions,
    ) % {"n": count(revisions)}
    most = found.most_untagged
    if most is not None and found.snapshot.report.get("repositories", 0) > 1:
        text = f"{text} " + _("Most of it is in %(name)s: %(size)s.") % {
            "name": legible(most.name, 80),
            "size": size(most.untagged_bytes),
        }
    label = ngettext("Review %(n)s image", "Review %(n)s images", revisions) % {"n": count(revisions)}
    days = settings.GRACE_DAYS if older else 0
    if days:
        label = ngettext("Review %(n)s image, untagged %(age)s", "Review %(n)s images, untagged %(age)s", older) % {
            "n": count(older),
            "age": age_in_words(days),
        }
    url = links.registry_untagged(registry, days)
    return Reason("untagged", amount, _("are images that lost their tag"), text, label, url)


def _largest(registry: Registry, found: Overview, sums: Sums) -> Reason:
    row = found.alone[0]
    name = legible(row.name, 80)
    text = ngettext(
        "%(share)s of the registry's data, held by %(n)s tag.",
        "%(share)s of the registry's data, held by %(n)s tags.",
        row.tags,
    ) % {"share": share(row.tagged_exclusive_bytes, sums.data), "n": count(row.tags)}
    if found.old_tags:
        text = f"{text} " + ngettext(
            "%(n)s of them was pushed more than %(days)s days ago.",
            "%(n)s of them were pushed more than %(days)s days ago.",
            found.old_tags,
        ) % {"n": count(found.old_tags), "days": OLD_DAYS}
    return Reason(
        "own",
        row.tagged_exclusive_bytes,
        _("are %(name)s alone") % {"name": name},
        text,
        _("See what it holds"),
        links.repository_storage(registry, row.name),
    )


def _uploads(registry: Registry, found: Overview) -> Reason:
    report = found.snapshot.report
    amount, oldest = report.get("uploads", {"count": 0, "bytes": 0}), report.get("oldest_upload")
    text = ngettext("%(n)s of them.", "%(n)s of them.", amount["count"]) % {"n": count(amount["count"])}
    if oldest:
        age = max(0, int(found.snapshot.began_at.timestamp() - oldest))
        text = ngettext(
            "%(n)s of them, begun %(age)s ago.", "%(n)s of them, the oldest begun %(age)s ago.", amount["count"]
        ) % {"n": count(amount["count"]), "age": duration(age)}
    old = report.get("old_uploads", {}).get("count", 0)
    if old:
        text = f"{text} " + _("A registry that purges its uploads has none older than a week: this one does not.")
    what = _("are uploads that were never finished")
    return Reason("upload", amount["bytes"], what, text, _("See the uploads"), links.uploads(registry))


def _duplicates(registry: Registry, duplicates: dict[str, int]) -> Reason:
    text = ngettext(
        "%(n)s layer is stored several times, compressed differently: the same files, but other bytes. Builds that "
        "compress alike would share it.",
        "%(n)s layers are stored several times, compressed differently: the same files, but other bytes. Builds that "
        "compress alike would share them.",
        duplicates["groups"],
    ) % {"n": count(duplicates["groups"])}
    return Reason(
        "shared",
        duplicates["bytes"],
        _("are layers stored twice"),
        text,
        _("See the layers"),
        links.storage_layers(registry) + "#twice",
    )


def _pace(pace: Pace | None, sums: Sums) -> str:
    if pace is None or not sums.has_disk:
        return ""
    days = max(1, round(pace.days))
    if pace.bytes_per_day < 1:
        return ngettext(
            "The registry has not grown in the last day.", "The registry has not grown in the last %(n)s days.", days
        ) % {"n": days}
    speed = {"pace": size(int(pace.bytes_per_day)), "n": days, "free": size(sums.free or 0)}
    if pace.full_at is None:
        return (
            ngettext(
                "It grows by %(pace)s a day (the average of %(n)s day).",
                "It grows by %(pace)s a day (the average of %(n)s days).",
                days,
            )
            % speed
        )
    left = max(0, (pace.full_at - timezone.now()).days)
    text = (
        ngettext(
            "At %(pace)s a day, the average of the last day, the last %(free)s are gone",
            "At %(pace)s a day, the average of the last %(n)s days, the last %(free)s are gone",
            days,
        )
        % speed
    )
    return f"{text} " + ngettext(
        "in about %(days)s day: about %(date)s.", "in about %(days)s days: about %(date)s.", left
    ) % {"days": count(left), "date": day(pace.full_at)}


def day(when: dt.datetime) -> str:
    """A day as people say it; with the year if it is not this one."""
    local = timezone.localtime(when)
    return date_format(local, "j F" if local.year == timezone.localtime().year else "j F Y")


def _can_go(sums: Sums) -> str:
    waste = sums.untagged + sums.orphans + sums.uploads
    if not waste:
        return _("Nothing can go without touching a tag.")
    return _("%(size)s can go without touching a tag, %(share)s of the registry's data.") % {
        "size": size(waste),
        "share": share(waste, sums.data),
    }
