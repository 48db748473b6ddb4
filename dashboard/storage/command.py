"""The text that `storage_report` prints: a table for people, or the JSON object."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from . import objects
from .bucket import SCHEME, Bucket
from .usage import Amount, FileSystem, Usage, account, filesystem, measure

_SHOWN_REPOSITORIES = 40
_SHOWN_PROBLEMS = 40
_STEP = 1024
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def run(root: str, *, as_json: bool, full: bool, in_flight_seconds: int = 3600, endpoint: str = "") -> str:
    """Measures the storage at `root` and returns the report. Raises StorageError.

    `root` is a directory or `s3://bucket/prefix`, which `endpoint` belongs to (see `bucket.Bucket`).
    """
    if root.startswith(SCHEME):
        bucket = Bucket(root, endpoint)
        root, disk = str(bucket), None
        usage = account(objects.take(bucket, now=time.time(), in_flight_seconds=in_flight_seconds))
    else:
        usage = measure(Path(root), now=time.time(), in_flight_seconds=in_flight_seconds, full=full)
        disk = filesystem(Path(root))
    if as_json:
        return json.dumps(usage.to_json(), indent=2)
    return "\n".join(_lines(root, usage, disk))


def human(size: int) -> str:
    """`size` bytes in the largest binary unit of which there is at least one: `12 B`, `4.2 MiB`."""
    value = float(size)
    for unit in _UNITS:
        if value < _STEP or unit == _UNITS[-1]:
            break
        value /= _STEP
    return f"{size} B" if unit == "B" else f"{value:,.1f} {unit}"


def _lines(root: str, usage: Usage, disk: FileSystem | None) -> Iterator[str]:
    yield f"Storage at {root}: {usage.repositories} repositories, {usage.tags} tags, read in {usage.seconds:.2f} s"
    yield ""
    yield f"{'Part':<34}{'Count':>10}{'Bytes':>20}{'Size':>14}{'Share':>9}"
    rows = (
        ("Tagged, in one repository", usage.tagged_exclusive),
        ("Tagged, in several repositories", usage.tagged_shared),
        ("Untagged", usage.untagged),
        ("Orphan", usage.orphans),
        ("Uploads", usage.uploads),
    )
    total = usage.data_bytes
    for label, amount in rows:
        yield _row(label, amount, total)
        if label == "Orphan" and usage.in_flight.count:
            yield _row("  of it in flight", usage.in_flight, total)
    yield _row("All data files", Amount(usage.blobs.count + usage.uploads.count, total), total)
    if usage.metadata is not None:
        meta = usage.metadata
        yield _row("Metadata (links, directories)", Amount(meta.files + meta.directories, meta.bytes), total)
        yield f"{meta.links} links, {meta.broken_links} of them to blobs that are gone; "
        yield f"{human(meta.allocated_bytes)} allocated in blocks, data included"
    yield ""
    if disk is not None:
        yield f"File system: {human(disk.total)}, of it {human(disk.free)} free"
        yield ""
    yield from _repositories(usage)
    yield from _problems(usage)


def _row(label: str, amount: Amount, total: int) -> str:
    share = f"{100 * amount.bytes / total:.1f} %" if total else "–"
    return f"{label:<34}{amount.count:>10,}{amount.bytes:>20,}{human(amount.bytes):>14}{share:>9}"


def _repositories(usage: Usage) -> Iterator[str]:
    largest = sorted(usage.by_repository, key=lambda repository: (-repository.bytes, repository.name))
    if not largest:
        return
    width = max(len("Repository"), *(len(r.name) for r in largest[:_SHOWN_REPOSITORIES]))
    yield f"{'Repository':<{width}}{'Tags':>8}{'Size':>14}{'Exclusive':>14}{'Shared':>14}{'Untagged':>14}"
    for r in largest[:_SHOWN_REPOSITORIES]:
        sizes = (r.bytes, r.exclusive_bytes, r.shared_bytes, r.untagged_bytes)
        yield f"{r.name:<{width}}{r.tags:>8,}" + "".join(f"{human(size):>14}" for size in sizes)
    if len(largest) > _SHOWN_REPOSITORIES:
        yield f"… and {len(largest) - _SHOWN_REPOSITORIES} more (--json lists all)"


def _problems(usage: Usage) -> Iterator[str]:
    if not usage.problems:
        return
    yield ""
    yield "1 problem" if len(usage.problems) == 1 else f"{len(usage.problems)} problems"
    for problem in usage.problems[:_SHOWN_PROBLEMS]:
        yield f"  {problem.code:<20}{problem.path} ({human(problem.bytes)})"
    if len(usage.problems) > _SHOWN_PROBLEMS:
        yield f"  … and {len(usage.problems) - _SHOWN_PROBLEMS} more (--json lists all)"
