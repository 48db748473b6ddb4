"""The storage page as it is shown: figures, bar, reasons, parts, map, tables, growth, problems, and the scan."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.models import Job, MeasuredRepository, UsageSnapshot
from dashboard.services.access import Access
from dashboard.services.deep_check import Standing
from dashboard.services.figures import rest_of_disk
from dashboard.services.index.lists import ListQuery
from dashboard.services.storage_source import Source
from dashboard.services.usage.lists import COLUMNS, DEFAULT_ORDER
from dashboard.services.usage.overview import Overview
from dashboard.storage.errors import StorageError

from . import links, storage_reasons
from .deep_check import CheckSummary, check_summary
from .errors import Problem, problem_of, storage_problem
from .formats import count, share, size
from .lists import Head, heads
from .storage_bar import Bar, Sums, bars, repository_url
from .storage_growth import Growth, growth
from .storage_layers import BlobLine, blob_lines
from .storage_map import StorageMap, storage_map
from .storage_parts import Part, parts
from .storage_problems import ProblemLine, problem_lines
from .storage_reasons import Why

SHOWN_PROBLEMS = 8


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
class ScanState:
    """How the scan stands that was asked for last."""

    live: bool
    waiting: bool
    done: int
    total: int
    failure: Problem | None
    fault: bool
    cancel_url: str


@dataclass(frozen=True, slots=True)
class Found:
    """What the last scan found, as one person may see it."""

    began_at: dt.datetime
    seconds: float
    disk: int
    used: int
    used_share: str
    free: int
    free_label: str
    data: int
    disk_bar: Bar | None
    registry_bar: Bar | None
    why_alone: str
    why: Why
    parts: Sequence[Part]
    sum_name: str
    sum_bytes: int
    foreign: str
    full_pass: str
    full_pass_at: dt.datetime | None
    map: StorageMap | None
    lines: Sequence[RepositoryLine]
    heads: dict[str, Head]
    repositories: int
    unseen: int
    all_url: str
    layers: Sequence[BlobLine]
    layers_url: str
    growth: Growth | None
    problems: Sequence[ProblemLine]
    problem_count: int
    problems_url: str


@dataclass(frozen=True, slots=True)
class StoragePage:
    """Everything that storage.html shows; `found` is None before the first scan."""

    root: str
    mounted: bool
    mount_problem: Problem | None
    scan: ScanState
    deep_check: CheckSummary | None
    found: Found | None


def storage_page(
    access: Access,
    found: Overview | None,
    query: ListQuery,
    job: Job | None,
    storage: Source | StorageError | None,
    checked: Standing,
    older: int = 0,
) -> StoragePage:
    """The view model. Sums are those of the whole registry, whoever looks.

    `older`: how many images, of those that this person may see, are untagged for the days of grace.
    """
    registry = access.registry
    return StoragePage(
        root=registry.storage_address,
        mounted=storage is not None and not isinstance(storage, StorageError),
        mount_problem=problem_of(storage) if isinstance(storage, StorageError) else None,
        scan=_scan_state(access, job),
        deep_check=check_summary(registry, checked),
        found=_found(access, found, query, older) if found is not None else None,
    )


def sums_of(snapshot: UsageSnapshot) -> Sums:
    """The parts of a snapshot; without a file system where it counts less than the data files hold."""
    report = snapshot.report

    def of(name: str) -> int:
        return int(report.get(name, {}).get("bytes", 0))

    metadata = of("metadata") if "metadata" in report else None
    other = rest_of_disk(snapshot.disk_bytes, snapshot.free_bytes, snapshot.data_bytes, metadata)
    alone = other is None
    return Sums(
        tagged_exclusive=of("tagged_exclusive"),
        tagged_shared=of("tagged_shared"),
        untagged=snapshot.untagged_bytes,
        orphans=snapshot.orphan_bytes,
        uploads=snapshot.upload_bytes,
        metadata=None if alone else metadata,
        other=other,
        free=None if alone else snapshot.free_bytes,
    )


def repository_lines(access: Access, rows: Sequence[MeasuredRepository]) -> list[RepositoryLine]:
    """Repositories as rows; their bars to the scale of the largest of them."""
    widest = max((row.bytes for row in rows), default=0) or 1
    return [
        RepositoryLine(
            name=row.name,
            url=repository_url(access, row.name),
            tags=row.tags,
            bytes=row.bytes,
            exclusive=row.exclusive_bytes,
            shared=row.shared_bytes,
            untagged=row.untagged_bytes,
            own_width=f"{100 * row.exclusive_bytes / widest:.3f}%",
            shared_width=f"{100 * row.shared_bytes / widest:.3f}%",
        )
        for row in rows
    ]


def _found(access: Access, found: Overview, query: ListQuery, older: int) -> Found:
    registry, snapshot = access.registry, found.snapshot
    here = links.with_query(links.storage(registry), **{"in": found.map.namespace if found.map else ""})
    sums = sums_of(snapshot)
    disk_bar, registry_bar = bars(access, sums, found.alone)
    problems = problem_lines(access, found.problems.rows)
    return Found(
        began_at=snapshot.began_at,
        seconds=snapshot.seconds,
        disk=snapshot.disk_bytes,
        used=snapshot.disk_bytes - snapshot.free_bytes,
        used_share=share(snapshot.disk_bytes - snapshot.free_bytes, snapshot.disk_bytes),
        free=snapshot.free_bytes,
        free_label=_free_label(found),
        data=sums.data,
        disk_bar=disk_bar,
        registry_bar=registry_bar,
        why_alone=_why_alone(snapshot, sums),
        why=storage_reasons.why(registry, found, sums, older),
        parts=parts(registry, snapshot.report, sums),
        sum_name=_("Disk") if sums.has_disk else _("The registry's data files"),
        sum_bytes=sums.whole,
        foreign=_foreign(snapshot),
        full_pass=_full_pass(snapshot),
        full_pass_at=_full_pass_at(snapshot),
        map=storage_map(access, found.map) if found.map and found.map.bytes else None,
        lines=repository_lines(access, found.first),
        heads=heads(here, query, COLUMNS, DEFAULT_ORDER),
        repositories=snapshot.report.get("repositories", 0) - found.unseen,
        unseen=found.unseen,
        all_url=links.storage_repositories(registry, sort="" if query.order.key == DEFAULT_ORDER else query.order.text),
        layers=blob_lines(registry, found.largest),
        layers_url=links.storage_layers(registry),
        growth=growth(found.points, found.pace, found.collections),
        problems=problems[:SHOWN_PROBLEMS],
        problem_count=len(problems),
        problems_url=links.storage_problems(registry),
    )


def _free_label(found: Overview) -> str:
    if found.pace is None or found.pace.full_at is None:
        return _("free")
    days = max(0, (found.pace.full_at - found.snapshot.began_at).days)
    return ngettext("free, about %(n)s day", "free, about %(n)s days", days) % {"n": count(days)}


def _why_alone(snapshot: UsageSnapshot, sums: Sums) -> str:
    if sums.has_disk:
        return ""
    if not snapshot.disk_bytes:
        return _("A bucket has no disk that could be full, so the registry's parts stand alone.")
    return _(
        "The file system counts less than the data files hold (compression, "
        "or files with holes), so the registry's parts stand alone."
    )


def _full_pass_at(snapshot: UsageSnapshot) -> dt.datetime | None:
    """When the metadata was counted that the page shows."""
    if snapshot.is_full:
        return snapshot.began_at
    told = snapshot.report.get("metadata_at", "")
    return dt.datetime.fromisoformat(told) if told else None


def _full_pass(snapshot: UsageSnapshot) -> str:
    """What the last full pass counted besides: blocks, and links to blobs that are gone."""
    metadata = snapshot.report.get("metadata")
    if metadata is None:
        return ""
    text = _("All of it takes %(size)s in the blocks of the file system.") % {"size": size(metadata["allocated_bytes"])}
    broken = metadata["broken_links"]
    if not broken:
        return text
    return f"{text} " + ngettext(
        "%(n)s link leads to a blob that is gone: collections leave such links, and they do no harm.",
        "%(n)s links lead to blobs that are gone: collections leave such links, and they do no harm.",
        broken,
    ) % {"n": count(broken)}


def _foreign(snapshot: UsageSnapshot) -> str:
    layers = snapshot.report.get("foreign", {}).get("count", 0)
    if not layers:
        return ""
    return ngettext(
        "%(n)s layer lies elsewhere by design (a foreign layer) and takes no space here.",
        "%(n)s layers lie elsewhere by design (foreign layers) and take no space here.",
        layers,
    ) % {"n": count(layers)}


def _scan_state(access: Access, job: Job | None) -> ScanState:
    if job is None:
        return ScanState(live=False, waiting=False, done=0, total=0, failure=None, fault=False, cancel_url="")
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
        cancel_url=links.cancel_job(access.registry, job.pk) if job.is_live and not job.cancel_requested else "",
    )
