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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import layout
from .checks import check
from .errors import Cancelled, RootUnreadable
from .facts import Facts, Problem, RepositoryFacts
from .figures import Amount, NamespaceUsage, RepositoryUsage, Usage
from .full import Metadata, read_metadata
from .garbage import Graph
from .references import References
from .scan import Progress, Scan, report

__all__ = [
    "Amount",
    "Cancelled",
    "FileSystem",
    "NamespaceUsage",
    "Problem",
    "Reading",
    "RepositoryUsage",
    "Usage",
    "account",
    "filesystem",
    "measure",
    "take",
]


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


@dataclass(frozen=True, slots=True)
class Reading:
    """A storage as it was read: its facts, what reaches what, and after a full pass its metadata.

    `began` is the value of `time.perf_counter()` at the first directory.
    """

    facts: Facts
    graph: Graph
    metadata: Metadata | None
    began: float


def measure(
    root: Path,
    *,
    now: float,
    in_flight_seconds: int = 3600,
    full: bool = False,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Usage:
    """Scans the storage at `root` and accounts for every byte: `take` and `account` in one."""
    return account(
        take(root, now=now, in_flight_seconds=in_flight_seconds, full=full, progress=progress, cancelled=cancelled)
    )


def take(
    root: Path,
    *,
    now: float,
    in_flight_seconds: int = 3600,
    full: bool = False,
    remembered: Mapping[str, References] | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Reading:
    """Reads the storage at `root`.

    `root` holds `docker/registry/v2`, or is that directory. `now` is the present in seconds since the epoch. `full`
    also reads every link and directory. Manifests in `remembered` are not read again (see `memory`). `progress(stage,
    done, of)` and `cancelled()` are called now and then, in this thread. Raises StorageError where there is no storage
    to read, and Cancelled.
    """
    v2 = str(layout.v2_directory(root).absolute())
    began = time.perf_counter()
    scan = Scan(
        v2, young_after=now - in_flight_seconds, remembered=remembered or {}, progress=progress, cancelled=cancelled
    )
    facts = scan.run()
    metadata = None
    if full:
        metadata, problems = read_metadata(v2, facts, progress, cancelled)
        report(facts.problems, problems)
    graph = Graph(facts)
    report(facts.problems, check(lambda below: os.path.isfile(f"{v2}/{below}"), facts, graph))  # noqa: PTH113
    return Reading(facts, graph, metadata, began)


def account(reading: Reading) -> Usage:
    """The accounting of a reading; asks the disk nothing."""
    facts, graph = reading.facts, reading.graph
    held_by: list[set[int]] = []
    reached_by: list[set[int]] = []
    untagged_revisions: list[int] = []
    for repository in facts.repositories:
        tagged_revisions = graph.tagged(repository)
        held = graph.reached(tagged_revisions)
        rest = repository.revisions - tagged_revisions
        held_by.append(held)
        reached_by.append(held | graph.reached(rest) if rest else held)
        untagged_revisions.append(len(rest))
    shared = shared_of(reached_by)
    tagged: set[int] = set().union(*held_by)
    referenced = tagged.union(*reached_by)
    orphans = set(range(len(graph.sizes))) - referenced
    young = {number for number in orphans if graph.digests[number] in facts.young}

    def amount(blobs: set[int]) -> Amount:
        return Amount(len(blobs), graph.bytes_of(blobs))

    by_repository = []
    alone_count = alone_bytes = 0
    for repository, blobs, held, without_tag in zip(
        facts.repositories, reached_by, held_by, untagged_revisions, strict=True
    ):
        # Sums are what costs: each blob is added once, as alone or shared, held or not.
        held_alone, lost = held - shared, blobs - held
        tagged_alone, untagged_alone = graph.bytes_of(held_alone), graph.bytes_of(lost - shared)
        tagged_total = tagged_alone + graph.bytes_of(held & shared)
        untagged_total = untagged_alone + graph.bytes_of(lost & shared)
        alone_count += len(held_alone)
        alone_bytes += tagged_alone
        by_repository.append(
            RepositoryUsage(
                name=repository.name,
                tags=len(repository.tags),
                bytes=tagged_total + untagged_total,
                exclusive_bytes=tagged_alone + untagged_alone,
                tagged_bytes=tagged_total,
                tagged_exclusive_bytes=tagged_alone,
                untagged_bytes=untagged_total,
                untagged_revisions=without_tag,
            )
        )
    homes = _homes(facts.repositories, reached_by, shared)
    by_namespace = _by_namespace(graph, by_repository, reached_by, held_by, homes)
    tagged_exclusive, tagged_shared = Amount(alone_count, alone_bytes), amount(tagged & shared)
    return Usage(
        repositories=len(facts.repositories),
        tags=sum(len(repository.tags) for repository in facts.repositories),
        blobs=Amount(len(graph.sizes), sum(graph.sizes)),
        tagged=Amount(len(tagged), tagged_exclusive.bytes + tagged_shared.bytes),
        tagged_exclusive=tagged_exclusive,
        tagged_shared=tagged_shared,
        untagged=amount(referenced - tagged),
        orphans=amount(orphans),
        in_flight=amount(young),
        uploads=Amount(len(facts.uploads), sum(upload.bytes for upload in facts.uploads)),
        foreign=_foreign(facts),
        untagged_revisions=sum(untagged_revisions),
        shared_across_bytes=tagged_shared.bytes - sum(each.shared_inside_bytes for each in by_namespace),
        by_repository=tuple(by_repository),
        by_namespace=tuple(by_namespace),
        problems=tuple(sorted(facts.problems)),
        seconds=time.perf_counter() - reading.began,
        metadata=reading.metadata,
    )


def shared_of(reached_by: Iterable[set[int]]) -> set[int]:
    """The blobs that more than one of these sets has."""
    seen: set[int] = set()
    shared: set[int] = set()
    for blobs in reached_by:
        shared |= seen & blobs
        seen |= blobs
    return shared


def _foreign(facts: Facts) -> Amount:
    """Layers that lie elsewhere by design and not here, each once, by the size that a manifest claims."""
    claimed: dict[str, int] = {}
    for manifest in facts.manifests.values():
        claimed.update(manifest.foreign)
    sizes = [size for digest, size in claimed.items() if digest not in facts.blobs]
    return Amount(len(sizes), sum(sizes))


def _homes(repositories: Sequence[RepositoryFacts], reached_by: Sequence[set[int]], shared: set[int]) -> dict[int, str]:
    """The smallest namespace that holds all repositories which reach a shared blob; "" if there is none."""
    homes: dict[int, str] = {}
    for repository, blobs in zip(repositories, reached_by, strict=True):
        narrowed: dict[str, str] = {}
        for blob in blobs & shared:
            before = homes.get(blob)
            if before is None:
                homes[blob] = repository.name
                continue
            common = narrowed.get(before)
            if common is None:
                common = narrowed[before] = _common(before, repository.name)
            homes[blob] = common
    return homes


def _common(one: str, other: str) -> str:
    """The components that two names begin with."""
    common: list[str] = []
    for left, right in zip(one.split("/"), other.split("/"), strict=False):
        if left != right:
            break
        common.append(left)
    return "/".join(common)


def namespaces_of(name: str) -> list[str]:
    """The namespaces that a repository lies in, the largest first: `a/b/c` lies in `a` and `a/b`."""
    return [name[:position] for position, letter in enumerate(name) if letter == "/"]


def _by_namespace(
    graph: Graph,
    by_repository: Sequence[RepositoryUsage],
    reached_by: Sequence[set[int]],
    held_by: Sequence[set[int]],
    homes: Mapping[int, str],
) -> list[NamespaceUsage]:
    members: dict[str, list[int]] = {}
    for number, repository in enumerate(by_repository):
        for namespace in namespaces_of(repository.name):
            members.setdefault(namespace, []).append(number)
    for number, repository in enumerate(by_repository):
        if repository.name in members:
            members[repository.name].append(number)
    living = homes.keys()
    inside: dict[str, int] = {}
    for blob in living & set().union(*held_by):
        inside[homes[blob]] = inside.get(homes[blob], 0) + graph.sizes[blob]
    found = []
    for namespace in sorted(members):
        numbers = members[namespace]
        shared: set[int] = set().union(*(reached_by[number] & living for number in numbers))
        shared_held: set[int] = set().union(*(held_by[number] & living for number in numbers))
        alone = sum(by_repository[number].exclusive_bytes for number in numbers)
        alone_held = sum(by_repository[number].tagged_exclusive_bytes for number in numbers)
        below = f"{namespace}/"
        own = {blob for blob in shared if homes[blob] == namespace or homes[blob].startswith(below)}
        found.append(
            NamespaceUsage(
                name=namespace,
                repositories=len(numbers),
                tags=sum(by_repository[number].tags for number in numbers),
                bytes=alone + graph.bytes_of(shared),
                exclusive_bytes=alone + graph.bytes_of(own),
                tagged_bytes=alone_held + graph.bytes_of(shared_held),
                tagged_exclusive_bytes=alone_held + graph.bytes_of(own & shared_held),
                shared_inside_bytes=inside.get(namespace, 0),
            )
        )
    return found
