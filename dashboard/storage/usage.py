"""The accounting of a storage directory: facts to bytes, by fixed words.

* *reached*: see `garbage`. A blob that no revision of any repository reaches is an *orphan*.
* *tagged*: reached by a revision that a tag holds (directly, through an index, or attached by `subject`).
* *untagged*: reached by revisions only that no tag holds.
* *in flight*: the orphans younger than a bound: perhaps a push that is still running.

Every well-formed blob is exactly one of tagged, untagged and orphan; with the uploads they sum to the bytes of all
well-formed `data` files. Malformed entries are problems and in no sum. All sizes are bytes on the disk as a file's
length (`st_size`), never what a manifest claims.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import layout
from .checks import check
from .errors import Cancelled, RootUnreadable
from .facts import Facts, Problem
from .full import Metadata, read_metadata
from .garbage import Graph
from .scan import Progress, Scan, report

__all__ = ["Amount", "Cancelled", "FileSystem", "Problem", "RepositoryUsage", "Usage", "filesystem", "measure"]


@dataclass(frozen=True, slots=True)
class Amount:
    """How many, and their bytes."""

    count: int
    bytes: int

    def to_json(self) -> dict[str, int]:
        """As `storage_report --json` prints it."""
        return {"count": self.count, "bytes": self.bytes}


@dataclass(frozen=True, slots=True)
class RepositoryUsage:
    """One repository; each blob counted once, manifests included.

    `bytes`: reached by any of its revisions. `exclusive_bytes`: of these, what no other repository's revision reaches.
    `tagged_bytes`, `tagged_exclusive_bytes`: the same for what its tags hold. `untagged_bytes`: the rest of `bytes`.
    """

    name: str
    tags: int
    bytes: int
    exclusive_bytes: int
    tagged_bytes: int
    tagged_exclusive_bytes: int
    untagged_bytes: int

    @property
    def shared_bytes(self) -> int:
        """Bytes that another repository reaches too."""
        return self.bytes - self.exclusive_bytes

    def to_json(self) -> dict[str, Any]:
        """As `storage_report --json` prints it."""
        return {
            "name": self.name,
            "tags": self.tags,
            "bytes": self.bytes,
            "exclusive_bytes": self.exclusive_bytes,
            "tagged_bytes": self.tagged_bytes,
            "tagged_exclusive_bytes": self.tagged_exclusive_bytes,
            "untagged_bytes": self.untagged_bytes,
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """The accounting of one scan.

    `blobs` = `tagged` + `untagged` + `orphans`; `in_flight` is part of `orphans`; `tagged` = `tagged_exclusive` (no
    other repository reaches them) + `tagged_shared`. `metadata` only after a full pass. `seconds` is the time taken.
    """

    repositories: int
    tags: int
    blobs: Amount
    tagged: Amount
    tagged_exclusive: Amount
    tagged_shared: Amount
    untagged: Amount
    orphans: Amount
    in_flight: Amount
    uploads: Amount
    by_repository: tuple[RepositoryUsage, ...]
    problems: tuple[Problem, ...]
    seconds: float
    metadata: Metadata | None = None

    @property
    def data_bytes(self) -> int:
        """Bytes of all well-formed data files: what the live parts sum to."""
        return self.blobs.bytes + self.uploads.bytes

    def to_json(self) -> dict[str, Any]:
        """The object that `storage_report --json` prints."""
        document: dict[str, Any] = {"repositories": self.repositories, "tags": self.tags}
        for name in _AMOUNTS:
            document[name] = getattr(self, name).to_json()
        document["by_repository"] = [repository.to_json() for repository in self.by_repository]
        document["problems"] = [problem._asdict() for problem in self.problems]
        document["seconds"] = self.seconds
        if self.metadata is not None:
            document["metadata"] = self.metadata.to_json()
        return document


_AMOUNTS = (
    "blobs",
    "tagged",
    "tagged_exclusive",
    "tagged_shared",
    "untagged",
    "orphans",
    "in_flight",
    "uploads",
)


@dataclass(frozen=True, slots=True)
class FileSystem:
    """The file system under the blobs, in bytes; `free` is what an ordinary user may still write."""

    total: int
    free: int


def filesystem(root: Path) -> FileSystem:
    """The file system that holds the blobs of the storage at `root`. Raises StorageError."""
    v2 = layout.v2_directory(root)
    blobs = v2 / "blobs"
    try:
        state = os.statvfs(blobs if blobs.is_dir() else v2)
    except OSError as error:
        raise RootUnreadable(str(blobs), error.strerror or "") from error
    return FileSystem(total=state.f_blocks * state.f_frsize, free=state.f_bavail * state.f_frsize)


def measure(
    root: Path,
    *,
    now: float,
    in_flight_seconds: int = 3600,
    full: bool = False,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Usage:
    """Scans the storage at `root` and accounts for every byte.

    `root` holds `docker/registry/v2`, or is that directory. `now` is the present in seconds since the epoch. `full`
    also reads every link and directory. `progress(stage, done, of)` and `cancelled()` are called now and then, in this
    thread. Raises StorageError where there is no storage to read, and Cancelled.
    """
    v2 = str(layout.v2_directory(root).absolute())
    start = time.perf_counter()
    facts = Scan(v2, young_after=now - in_flight_seconds, progress=progress, cancelled=cancelled).run()
    metadata = None
    if full:
        metadata, problems = read_metadata(v2, facts, progress, cancelled)
        report(facts.problems, problems)
    return _account(v2, facts, metadata, start)


def _account(v2: str, facts: Facts, metadata: Metadata | None, start: float) -> Usage:
    graph = Graph(facts)
    held_by, reached_by = [], []
    for repository in facts.repositories:
        tagged_revisions = graph.tagged(repository)
        held = graph.reached(tagged_revisions)
        held_by.append(held)
        reached_by.append(held | graph.reached(repository.revisions - tagged_revisions))
    referenced: set[int] = set()
    shared: set[int] = set()
    for blobs in reached_by:
        shared |= referenced & blobs
        referenced |= blobs
    tagged: set[int] = set().union(*held_by)
    orphans = set(range(len(graph.sizes))) - referenced
    young = {number for number in orphans if graph.digests[number] in facts.young}
    report(facts.problems, check(v2, facts, graph.absent))

    def amount(blobs: set[int]) -> Amount:
        return Amount(len(blobs), graph.bytes_of(blobs))

    by_repository = []
    for repository, blobs, held in zip(facts.repositories, reached_by, held_by, strict=True):
        total, total_held = graph.bytes_of(blobs), graph.bytes_of(held)
        by_repository.append(
            RepositoryUsage(
                name=repository.name,
                tags=len(repository.tags),
                bytes=total,
                exclusive_bytes=graph.bytes_of(blobs - shared),
                tagged_bytes=total_held,
                tagged_exclusive_bytes=graph.bytes_of(held - shared),
                untagged_bytes=total - total_held,
            )
        )
    return Usage(
        repositories=len(facts.repositories),
        tags=sum(len(repository.tags) for repository in facts.repositories),
        blobs=Amount(len(graph.sizes), sum(graph.sizes)),
        tagged=amount(tagged),
        tagged_exclusive=amount(tagged - shared),
        tagged_shared=amount(tagged & shared),
        untagged=amount(referenced - tagged),
        orphans=amount(orphans),
        in_flight=amount(young),
        uploads=Amount(facts.uploads, facts.upload_bytes),
        by_repository=tuple(by_repository),
        problems=tuple(sorted(facts.problems)),
        seconds=time.perf_counter() - start,
        metadata=metadata,
    )
