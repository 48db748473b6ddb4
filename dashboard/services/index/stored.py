"""What the index says of repositories that have just been read: to ask conditionally, and to tell what is new."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dashboard.models import IndexedRepository, IndexedRevision, IndexedTag, Registry
from dashboard.registry.references import Digest

from .documents import chunks
from .readings import Reading


def known_targets(*, registry: Registry, repositories: Iterable[str]) -> dict[str, dict[str, Digest]]:
    """What the index says that the tags of these repositories point at: repository to tag to digest."""
    found: dict[str, dict[str, Digest]] = {}
    for part in chunks(list(repositories), 500):
        rows = IndexedTag.objects.filter(repository__registry=registry, repository__name__in=part, error_code="")
        for repository, tag, digest in rows.values_list("repository__name", "name", "digest"):
            found.setdefault(repository, {})[tag] = Digest(digest)
    return found


class Stored:
    """What the index says of the repositories of some readings, to tell those that brought nothing new."""

    def __init__(self, registry: Registry, readings: Sequence[Reading]) -> None:
        names = [reading.repository for reading in readings]
        rows = IndexedRepository.objects.filter(registry=registry, name__in=names)
        self.repositories = {row.name: row for row in rows}
        ids = {row.pk: row.name for row in self.repositories.values()}
        self.tags: dict[str, dict[str, str | None]] = {name: {} for name in self.repositories}
        self.revisions: dict[str, set[str]] = {name: set() for name in self.repositories}
        tags = IndexedTag.objects.filter(repository__in=ids).values_list("repository", "name", "digest", "error_code")
        for pk, tag, digest, error in tags:
            self.tags[ids[pk]][tag] = None if error else digest
        listed = {reading.repository for reading in readings if reading.revisions is not None}
        held = IndexedRevision.objects.filter(repository__in=[pk for pk, name in ids.items() if name in listed])
        for pk, digest in held.values_list("repository", "manifest__digest"):
            self.revisions[ids[pk]].add(digest)

    def says(self, reading: Reading) -> bool:
        """Whether the index says all that the reading says."""
        row = self.repositories.get(reading.repository)
        if row is None or row.read_at is None:
            return False
        tags = self.tags[reading.repository]
        if tags.keys() != reading.names:
            return False
        if any(tags[tag] is None or tags[tag] != found.digest for tag, found in reading.tags.items()):
            return False
        return reading.revisions is None or self.revisions[reading.repository] == reading.revisions
