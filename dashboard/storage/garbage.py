"""What a garbage collection keeps, and what a tag holds: reachability over the facts of a scan.

A revision *reaches* its own manifest blob, its config and layers, and for an index the manifest blobs of its children.
It reaches a child's contents only if the child is itself a revision of the same repository: so does the registry's own
collector count (2.8 marks one level of every revision, 3.x goes on only through children that the repository holds).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat

from .facts import Facts, ManifestFacts, RepositoryFacts

_NOTHING = ManifestFacts()


class Graph:
    """Which blobs each revision reaches.

    Blobs are numbers here, in the order of `digests`: sets of a hundred thousand digests would compare texts all the
    time. What is not on the disk has no number; `absent` is all that manifests name and the disk lacks, as text.
    `leading` are the revisions that list children, `doubtful` those of which something is absent, or has not as
    many bytes as they say.
    """

    def __init__(self, facts: Facts) -> None:
        self._manifests = facts.manifests
        self.digests = list(facts.blobs)
        self.sizes = list(facts.blobs.values())
        self.absent: set[str] = set()
        self.doubtful: set[str] = set()
        self._numbers = dict(zip(self.digests, range(len(self.digests)), strict=True))
        self._reached: dict[str, list[int]] = {}
        self.leading: set[str] = set()
        self._attaching: set[str] = set()  # revisions with a subject
        for repository in facts.repositories:
            for revision in repository.revisions:
                if revision not in self._reached:
                    self._reached[revision] = self._one_level(revision)

    def _one_level(self, revision: str) -> list[int]:
        manifest = self._manifests.get(revision, _NOTHING)
        if manifest.children:
            self.leading.add(revision)
        if manifest.subject:
            self._attaching.add(revision)
        named = (revision, *manifest.content, *manifest.children)
        numbers = list(map(self._numbers.get, named, repeat(-1)))
        found = numbers[1 : 1 + len(manifest.content)]
        if -1 in numbers or tuple(map(self.sizes.__getitem__, found)) != manifest.sizes:
            self.doubtful.add(revision)
        if -1 in numbers:
            self.absent.update(digest for digest in named if digest not in self._numbers)
            numbers = [number for number in numbers if number >= 0]
        return numbers

    def reached(self, revisions: Iterable[str]) -> set[int]:
        """The blobs that these revisions reach; children that are revisions must be among `revisions` themselves."""
        return set().union(*map(self._reached.__getitem__, revisions))

    def tagged(self, repository: RepositoryFacts) -> set[str]:
        """The revisions that a tag holds: directly, through an index, or attached (by a chain of subjects)."""
        return self.held(repository, repository.tags.values(), self.attached(repository))

    def attached(self, repository: RepositoryFacts) -> dict[str, list[str]]:
        """The revisions of a repository that name a subject, by that subject."""
        attached: dict[str, list[str]] = {}
        for revision in repository.revisions & self._attaching:
            attached.setdefault(self._manifests[revision].subject, []).append(revision)
        return attached

    def held(
        self, repository: RepositoryFacts, roots: Iterable[str], attached: Mapping[str, Sequence[str]]
    ) -> set[str]:
        """The revisions that `roots` hold: themselves, what they list as indexes, and what is `attached` to any."""
        held = repository.revisions.intersection(roots)
        pending = [*(held & self.leading), *(held & attached.keys())]  # most lead to nothing further
        while pending:
            revision = pending.pop()
            children = self._manifests.get(revision, _NOTHING).children
            for further in (*children, *attached.get(revision, ())):
                if further in repository.revisions and further not in held:
                    held.add(further)
                    pending.append(further)
        return held

    def reached_by(self, revision: str) -> Sequence[int]:
        """The blobs that one revision reaches by itself, in its manifest's order; its children's contents left out."""
        return self._reached[revision]

    def number_of(self, digest: str) -> int | None:
        """The number of a blob; None if it is not on the disk."""
        return self._numbers.get(digest)

    def bytes_of(self, blobs: Iterable[int]) -> int:
        """Bytes of these blobs on the disk."""
        return sum(map(self.sizes.__getitem__, blobs))

    def digests_of(self, blobs: Iterable[int]) -> set[str]:
        """Digests of these blobs."""
        return set(map(self.digests.__getitem__, blobs))
