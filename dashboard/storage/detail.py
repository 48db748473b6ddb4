"""What an accounting says of single things: each tag, whom a repository shares with, the largest layers, old uploads.

Computed from the same reading as the sums (`usage.account`), by the same words, for those who ask for more than sums.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .facts import RepositoryFacts
from .figures import Amount
from .garbage import Graph
from .usage import Reading, shared_of

MAX_LARGEST = 200
MAX_PARTNERS = 5
MAX_HOLDERS = 5
_WIDELY_SHARED = 50
"""A blob that more repositories reach than this says nothing about who shares with whom."""
UPLOAD_PURGE_SECONDS = 7 * 24 * 3600
"""How old an upload is before a registry removes it by itself (`storage.maintenance.uploadpurging.age`: 168h)."""


@dataclass(frozen=True, slots=True)
class TagUsage:
    """A tag on the disk: `bytes` of all that it holds, manifests included; `exclusive_bytes` what goes with it alone.

    A tag whose digest another tag of the repository names has nothing to itself.
    """

    tag: str
    bytes: int
    exclusive_bytes: int


@dataclass(frozen=True, slots=True)
class Partner:
    """A repository that shares with another one: `bytes` that both reach."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class LargeBlob:
    """A blob that takes much, with the repositories that reach it (the first few by name) and the tags that hold it.

    `kind` is "tagged", "untagged" or "orphan".
    """

    digest: str
    bytes: int
    kind: str
    repositories: tuple[str, ...]
    repository_count: int
    tag_count: int


@dataclass(frozen=True, slots=True)
class Uploads:
    """Those that a registry would have removed by now, and when the oldest of all began (seconds; None without any)."""

    old: Amount
    oldest: float | None


class Detail:
    """The details of one reading; sets of blobs are made once and kept while it lives."""

    def __init__(self, reading: Reading) -> None:
        self._graph: Graph = reading.graph
        self._facts = reading.facts
        self._reached = [self._graph.reached(repository.revisions) for repository in self._facts.repositories]
        self._shared = shared_of(self._reached)

    def tags(self) -> Iterator[tuple[str, Sequence[TagUsage]]]:
        """Each repository's name with its tags, one repository after the other."""
        for repository in self._facts.repositories:
            yield repository.name, self._tags_of(repository)

    def partners(self) -> Mapping[str, tuple[Sequence[Partner], int]]:
        """Of each repository that shares: those it shares most with, and how many there are besides.

        Blobs that very many repositories reach (a base image of everybody's) are left out.
        """
        holders: dict[int, list[int]] = {}
        for number, blobs in enumerate(self._reached):
            for blob in blobs & self._shared:
                holders.setdefault(blob, []).append(number)
        together: dict[int, dict[int, int]] = {}
        for blob, numbers in holders.items():
            if len(numbers) > _WIDELY_SHARED:
                continue
            size = self._graph.sizes[blob]
            for one in numbers:
                with_others = together.setdefault(one, {})
                for other in numbers:
                    if other != one:
                        with_others[other] = with_others.get(other, 0) + size
        names = [repository.name for repository in self._facts.repositories]
        found: dict[str, tuple[Sequence[Partner], int]] = {}
        for one, with_others in together.items():
            most = heapq.nsmallest(MAX_PARTNERS, with_others.items(), key=lambda each: (-each[1], names[each[0]]))
            partners = [Partner(names[other], size) for other, size in most]
            found[names[one]] = partners, len(with_others) - len(partners)
        return found

    def largest(self) -> list[LargeBlob]:
        """The blobs that take most, the largest first."""
        sizes, digests = self._graph.sizes, self._graph.digests
        numbers = heapq.nsmallest(MAX_LARGEST, range(len(sizes)), key=lambda number: (-sizes[number], digests[number]))
        wanted = set(numbers)
        holders: dict[int, list[str]] = {number: [] for number in numbers}
        tag_counts = dict.fromkeys(numbers, 0)
        for repository, blobs in zip(self._facts.repositories, self._reached, strict=True):
            here = blobs & wanted
            for number in here:
                holders[number].append(repository.name)
            if here:
                self._count_tags(repository, here, tag_counts)
        return [
            LargeBlob(
                digest=digests[number],
                bytes=sizes[number],
                kind="tagged" if tag_counts[number] else "untagged" if holders[number] else "orphan",
                repositories=tuple(holders[number][:MAX_HOLDERS]),
                repository_count=len(holders[number]),
                tag_count=tag_counts[number],
            )
            for number in numbers
        ]

    def uploads(self, *, now: float) -> Uploads:
        """The uploads by their age; `now` in seconds since the epoch."""
        old = [upload.bytes for upload in self._facts.uploads if now - upload.began > UPLOAD_PURGE_SECONDS]
        oldest = min((upload.began for upload in self._facts.uploads), default=None)
        return Uploads(Amount(len(old), sum(old)), oldest)

    def _tags_of(self, repository: RepositoryFacts) -> list[TagUsage]:
        graph = self._graph
        attached = graph.attached(repository)
        names = sorted(repository.tags)
        held_by = [graph.held(repository, [repository.tags[name]], attached) for name in names]
        holder: dict[str, int] = {}
        for number, held in enumerate(held_by):
            for revision in held:
                holder[revision] = -1 if revision in holder else number
        owner: dict[int, int] = {}
        for revision in repository.revisions:
            number = holder.get(revision, -1)
            for blob in graph.reached_by(revision):
                owner[blob] = number if owner.get(blob, number) == number else -1
        exclusive = [0] * len(names)
        for blob, number in owner.items():
            if number >= 0 and blob not in self._shared:
                exclusive[number] += graph.sizes[blob]
        return [
            TagUsage(name, graph.bytes_of(graph.reached(held)), alone)
            for name, held, alone in zip(names, held_by, exclusive, strict=True)
        ]

    def _count_tags(self, repository: RepositoryFacts, wanted: set[int], counts: dict[int, int]) -> None:
        graph = self._graph
        attached = graph.attached(repository)
        by_digest: dict[str, int] = {}
        for digest in repository.tags.values():
            by_digest[digest] = by_digest.get(digest, 0) + 1
        for digest, tags in by_digest.items():
            for blob in graph.reached(graph.held(repository, [digest], attached)) & wanted:
                counts[blob] += tags
