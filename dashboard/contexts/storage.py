"""The storage page as it is shown: the bar, where every byte is, by repository, problems, the scan."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from dashboard.charts.bars import segments
from dashboard.models import Job, UsageSnapshot
from dashboard.registry.references import is_repository
from dashboard.services.access import Access
from dashboard.storage.errors import StorageError

from . import links
from .errors import Problem, problem_of, storage_problem
from .formats import count as count_text
from .formats import share, size
from .storage_problems import cure_of

NAMED_IN_BAR = 40
LABELLED_FROM = 0.07
ENLARGED_BELOW = 0.25
"""Where the registry's bytes are less than this part of the disk, they are drawn a second time, enlarged."""
SHOWN_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Part:
    """A row of "where every byte is": `css` its texture, `advice` what to do about it, `doubt` why it may be wrong."""

    css: str
    name: str
    meaning: str
    advice: str
    count: str
    bytes: int
    share: str
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the bar: its rectangle in per cent, its texture, and its label where there is room."""

    css: str
    x: str
    width: str
    title: str
    name: str
    bytes: int
    url: str
    labelled: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """A strata bar: its pieces, and what it sums to in bytes."""

    pieces: Sequence[Piece]
    bytes: int
    label: str


@dataclass(frozen=True, slots=True)
class RepositoryLine:
    """A repository on the disk, sizes in bytes."""

    name: str
    url: str
    tags: int
    bytes: int
    exclusive: int
    shared: int
    untagged: int
    own_width: str
    shared_width: str


@dataclass(frozen=True, slots=True)
class ProblemLine:
    """A malformed or unreadable entry."""

    code: str
    path: str
    cure: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ScanState:
    """How the scan stands that was asked for last."""

    live: bool
    waiting: bool
    done: int
    total: int
    failure: Problem | None
    fault: bool


@dataclass(frozen=True, slots=True)
class StoragePage:
    """Everything that storage.html shows."""

    root: str
    mounted: bool
    mount_problem: Problem | None
    scan: ScanState
    scanned: bool
    began_at: dt.datetime | None
    seconds: float
    disk: int
    used_share: str
    used: int
    free: int
    data: int
    disk_bar: Bar | None
    registry_bar: Bar | None
    why_alone: str
    parts: Sequence[Part]
    sum_name: str
    sum_bytes: int
    can_go: int
    lines: Sequence[RepositoryLine]
    hidden: int
    repositories: int
    problems: Sequence[ProblemLine]
    problem_count: int


def storage_page(
    access: Access,
    snapshot: UsageSnapshot | None,
    job: Job | None,
    storage: Path | StorageError | None,
    visible: set[str],
) -> StoragePage:
    """The view model. `visible` are the repositories that this person may know of; sums stay those of the whole."""
    registry = access.registry
    report: Mapping[str, Any] = snapshot.report if snapshot else {}
    disk, free = (snapshot.disk_bytes, snapshot.free_bytes) if snapshot else (0, 0)
    data = sum(_bytes(report, name) for name in ("blobs", "uploads"))
    other = disk - free - data
    alone = other < 0
    rows = [row for row in report.get("by_repository", []) if row["name"] in visible]
    parts = _parts(report, data, None if alone else other, None if alone else free)
    pieces = _pieces(access, report, rows)
    enlarged = not alone and data < ENLARGED_BELOW * disk
    whole = [*pieces, ("other", _("Other files"), other, ""), ("free", _("Free"), free, "")]
    summed = [("meta", _("The registry"), data, ""), *whole[-2:]] if enlarged else whole
    problems = [p for p in report.get("problems", []) if _may_see(p["path"], visible, report)]
    return StoragePage(
        root=registry.storage_root,
        mounted=bool(registry.storage_root) and not isinstance(storage, StorageError),
        mount_problem=problem_of(storage) if isinstance(storage, StorageError) else None,
        scan=_scan_state(job),
        scanned=snapshot is not None,
        began_at=snapshot.began_at if snapshot else None,
        seconds=snapshot.seconds if snapshot else 0.0,
        disk=disk,
        used=disk - free,
        used_share=share(disk - free, disk),
        free=free,
        data=data,
        disk_bar=_bar(summed, disk) if snapshot and not alone else None,
        registry_bar=_bar(pieces, data) if snapshot and (alone or enlarged) and data else None,
        why_alone=_(
            "The file system counts less than the data files hold (compression, "
            "or files with holes), so the registry's parts stand alone."
        )
        if alone
        else "",
        parts=parts,
        sum_name=_("The registry's data files") if alone else _("Disk"),
        sum_bytes=data if alone else disk,
        can_go=sum(_bytes(report, name) for name in ("untagged", "orphans", "uploads")),
        lines=_lines(access, rows),
        hidden=len(report.get("by_repository", [])) - len(rows),
        repositories=report.get("repositories", 0),
        problems=[ProblemLine(p["code"], p["path"], cure_of(p["code"]), p["bytes"]) for p in problems[:SHOWN_PROBLEMS]],
        problem_count=len(problems),
    )


def _bytes(report: Mapping[str, Any], name: str) -> int:
    return int(report.get(name, {}).get("bytes", 0))


def _parts(report: Mapping[str, Any], data: int, other: int | None, free: int | None) -> list[Part]:
    whole = data + (other or 0) + (free or 0)

    def part(css: str, key: str, name: str, meaning: str, advice: str, doubt: str = "") -> Part:
        amount = report.get(key, {"count": 0, "bytes": 0})
        count, occupied = count_text(amount["count"]), amount["bytes"]
        return Part(css, name, meaning, advice, count, occupied, share(occupied, whole), doubt)

    orphans = _("Reached from no revision at all")
    if in_flight := _bytes(report, "in_flight"):
        orphans = _(
            "Reached from no revision; %(size)s of it younger than the bound, perhaps a push that is running"
        ) % {"size": size(in_flight)}
    parts = [
        part(
            "own",
            "tagged_exclusive",
            _("Tagged, exclusive"),
            _("In one repository only"),
            _("Delete tags that nobody needs, then collect"),
        ),
        part(
            "shared",
            "tagged_shared",
            _("Tagged, shared"),
            _("In several repositories, stored once"),
            _("Nothing: sharing saves space"),
        ),
        part(
            "untagged",
            "untagged",
            _("Untagged"),
            _("Reached only from untagged revisions"),
            _("Delete the revisions, then collect"),
        ),
        part("orphan", "orphans", _("Orphan"), orphans, _("Run the registry's garbage collection"), _doubt(report)),
        part(
            "upload", "uploads", _("Uploads"), _("Begun and not finished"), _("The registry removes them after a week")
        ),
    ]
    if other is not None and free is not None:
        parts.append(
            Part(
                "other",
                _("Other files"),
                _("On the same disk, not the registry's data"),
                _("Ask who runs the machine"),
                "",
                other,
                share(other, whole),
            )
        )
        parts.append(Part("free", _("Free"), "", "", "", free, share(free, whole)))
    return parts


def _doubt(report: Mapping[str, Any]) -> str:
    """Why there may be fewer orphans than counted: what was not read may reach some. "" where all was read."""
    if any(problem["code"] == "unreadable" for problem in report.get("problems", [])):
        return _("Perhaps counted too high: something could not be read, and may need some of these")
    return ""


_RawPiece = tuple[str, str, int, str]


def _pieces(access: Access, report: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[_RawPiece]:
    """The registry's parts as (texture, name, bytes, address): repositories by their exclusive bytes first."""
    ranked = sorted(rows, key=lambda row: -row["tagged_exclusive_bytes"])[:NAMED_IN_BAR]
    named: list[_RawPiece] = [
        ("own", row["name"], row["tagged_exclusive_bytes"], _url(access, row["name"])) for row in ranked
    ]
    rest = _bytes(report, "tagged_exclusive") - sum(piece[2] for piece in named)
    return [
        *named,
        ("own", _("other repositories"), rest, ""),
        ("shared", _("Shared"), _bytes(report, "tagged_shared"), ""),
        ("untagged", _("Untagged"), _bytes(report, "untagged"), ""),
        ("orphan", _("Orphan"), _bytes(report, "orphans"), ""),
        ("upload", _("Uploads"), _bytes(report, "uploads"), ""),
    ]


def _bar(raw: Sequence[_RawPiece], whole: int) -> Bar:
    shown = [piece for piece in raw if piece[2] > 0]
    drawn = {segment.key: segment for segment in segments([(str(i), piece[2]) for i, piece in enumerate(shown)])}
    pieces = [
        Piece(
            css,
            drawn[str(i)].x,
            drawn[str(i)].width,
            f"{name}: {size(amount)}",
            name,
            amount,
            url,
            labelled=amount / whole >= LABELLED_FROM,
        )
        for i, (css, name, amount, url) in enumerate(shown)
        if str(i) in drawn
    ]
    return Bar(pieces, whole, ", ".join(piece.title for piece in pieces))


def _lines(access: Access, rows: Sequence[Mapping[str, Any]]) -> list[RepositoryLine]:
    widest = max((row["bytes"] for row in rows), default=0) or 1
    return [
        RepositoryLine(
            name=row["name"],
            url=_url(access, row["name"]),
            tags=row["tags"],
            bytes=row["bytes"],
            exclusive=row["exclusive_bytes"],
            shared=row["bytes"] - row["exclusive_bytes"],
            untagged=row["untagged_bytes"],
            own_width=f"{100 * row['exclusive_bytes'] / widest:.3f}%",
            shared_width=f"{100 * (row['bytes'] - row['exclusive_bytes']) / widest:.3f}%",
        )
        for row in sorted(rows, key=lambda row: (-row["bytes"], row["name"]))
    ]


def _url(access: Access, name: str) -> str:
    """The repository's page; none for a name that the disk has and the grammar forbids."""
    return links.repository(access.registry, name) if is_repository(name) else ""


def _may_see(path: str, visible: set[str], report: Mapping[str, Any]) -> bool:
    """A problem's path may name a repository; it is shown only to those who may know of it."""
    if len(visible) == len(report.get("by_repository", [])) or not path.startswith("repositories/"):
        return True
    return any(path.startswith(f"repositories/{name}/_") for name in visible)


def _scan_state(job: Job | None) -> ScanState:
    if job is None:
        return ScanState(live=False, waiting=False, done=0, total=0, failure=None, fault=False)
    failure = None
    if job.state == Job.State.FAILED and "path" in job.outcome:
        failure = storage_problem(job.outcome_code, job.outcome)
    return ScanState(
        live=job.is_live,
        waiting=job.state == Job.State.WAITING,
        done=job.progress,
        total=job.total,
        failure=failure,
        fault=job.state == Job.State.FAILED and failure is None,
    )
