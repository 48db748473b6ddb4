"""Where every byte is, part by part, with what to do about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.models import Registry

from . import links
from .formats import count as count_text
from .formats import share, size
from .storage_bar import Sums


@dataclass(frozen=True, slots=True)
class Part:
    """A row of "where every byte is": `css` its texture, `todo` what to do about it, `doubt` why it may be wrong."""

    css: str
    name: str
    meaning: str
    todo: str
    todo_url: str
    count: str
    bytes: int
    share: str
    doubt: str = ""


def parts(registry: Registry, report: Mapping[str, Any], sums: Sums) -> list[Part]:
    """The rows, which sum to `sums.whole`."""

    def part(key: str, css: str, name: str, meaning: str, todo: str, url: str = "", doubt: str = "") -> Part:
        amount = report.get(key, {"count": 0, "bytes": 0})
        return Part(
            css,
            name,
            meaning,
            todo,
            url if amount["bytes"] else "",
            count_text(amount["count"]),
            amount["bytes"],
            share(amount["bytes"], sums.whole),
            doubt,
        )

    rows = [
        part(
            "tagged_exclusive",
            "own",
            _("Tagged, exclusive"),
            _("In one repository only"),
            _("Delete tags that nobody needs"),
            links.storage_repositories(registry, sort="exclusive"),
        ),
        part(
            "tagged_shared",
            "shared",
            _("Tagged, shared"),
            _("In several repositories, stored once"),
            _("Nothing: sharing saves space"),
        ),
        part(
            "untagged",
            "untagged",
            _("Untagged"),
            _("Reached only from untagged revisions"),
            _("Review, delete, then collect"),
            links.registry_untagged(registry),
        ),
        part(
            "orphans",
            "orphan",
            _("Orphan"),
            _orphans(report),
            _("Run a garbage collection"),
            links.collection(registry),
            _doubt(report),
        ),
        part(
            "uploads",
            "upload",
            _("Uploads"),
            _uploads(report),
            _("See which are abandoned"),
            links.uploads(registry),
        ),
    ]
    if sums.metadata is not None and "metadata" in report:
        entries = report["metadata"]["files"] + report["metadata"]["directories"]
        rows.append(
            Part(
                "meta",
                _("Metadata"),
                _("The registry's own links and directories"),
                _("Nothing"),
                "",
                count_text(entries),
                sums.metadata,
                share(sums.metadata, sums.whole),
            )
        )
    if sums.other is not None:
        meaning = (
            _("Not the registry's, same disk")
            if sums.metadata is not None
            else _("Same disk: not the registry's data; its links, until a full pass counts them")
        )
        rows.append(
            Part(
                "other",
                _("Other files"),
                meaning,
                _("Ask who runs the machine"),
                "",
                "",
                sums.other,
                share(sums.other, sums.whole),
            )
        )
    if sums.free is not None:
        rows.append(Part("free", _("Free"), "", "", "", "", sums.free, share(sums.free, sums.whole)))
    return rows


def _orphans(report: Mapping[str, Any]) -> str:
    in_flight = report.get("in_flight", {}).get("bytes", 0)
    if in_flight:
        return _("Reached from no revision; %(size)s of it younger than the bound, perhaps a push that is running") % {
            "size": size(in_flight)
        }
    return _("Reached from no revision at all")


def _uploads(report: Mapping[str, Any]) -> str:
    old = report.get("old_uploads", {}).get("count", 0)
    if old:
        return ngettext("Unfinished; %(n)s older than a week", "Unfinished; %(n)s older than a week", old) % {
            "n": count_text(old)
        }
    return _("Begun and not finished")


def _doubt(report: Mapping[str, Any]) -> str:
    """Why there may be fewer orphans than counted: what was not read may reach some. "" where all was read."""
    if any(problem["code"] == "unreadable" for problem in report.get("problems", [])):
        return _("Perhaps counted too high: something could not be read, and may need some of these")
    return ""
