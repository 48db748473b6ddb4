"""What the index says of repositories that have just been read: to ask conditionally, and to tell what is new."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dashboard.models import IndexedRepository, IndexedRevision, IndexedTag, Registry
from dashboard.registry.references import Digest

from .documents import chunks
from .readings import Reading, TagReading


def known_targets(*, registry: Registry, repositories: Iterable[str]) -> dict[str, dict[str, Digest]]:
    """What the index says that the tags of these repositories point at: repository to tag to digest."""
    found: dict[str, dict[str, Digest]] = {}
    for part in chunks(list(repositories), 500):
        rows = IndexedTag.objects.filter(repository__registry=registry, repository__name__in=part, error_code="")
        for repository, tag, digest in rows.values_list("repository__name", "name", "digest"):
            found.setdefault(repository, {})[tag] = Digest(digest)
    return found


@dataclass(frozen=True, slots=True)
class _Tag:
    """What a row says of a tag."""

    digest: str
    error_code: str
    since: dt.datetime

    def says(self, found: TagReading, *, retry: bool) -> bool:
        """Whether it says what was read; with `retry` what could not be had of its target is tried again."""
        if found.digest is None:
            return not self.digest and self.error_code == found.error_code
        if (self.error_code and retry) or self.digest != found.digest:
            return False
        return found.pushed_at is None or self.since == found.pushed_at


class Stored:
    """What the index says of the repositories of some readings, to tell those that brought nothing new."""

    def __init__(self, registry: Registry, readings: Sequence[Reading]) -> None:
        names = [reading.repository for reading in readings]
        rows = IndexedRepository.objects.filter(registry=registry, name__in=names)
        self.repositories = {row.name: row for row in rows}
        ids = {row.pk: row.name for row in self.repositories.values()}
        self.tags: dict[str, dict[str, _Tag]] = {name: {} for name in self.repositories}
        self.revisions: dict[str, dict[str, dt.datetime | None]] = {name: {} for name in self.repositories}
        tags = IndexedTag.objects.filter(repository__in=ids)
        for pk, tag, digest, error, since in tags.values_list("repository", "name", "digest", "error_code", "since"):
            self.tags[ids[pk]][tag] = _Tag(digest, error, since)
        listed = {reading.repository for reading in readings if reading.revisions is not None}
        held = IndexedRevision.objects.filter(repository__in=[pk for pk, name in ids.items() if name in listed])
        for pk, digest, pushed_at in held.values_list("repository", "manifest__digest", "pushed_at"):
            self.revisions[ids[pk]][digest] = pushed_at

    def says(self, reading: Reading, *, retry: bool = True) -> bool:
        """Whether the index says all that the reading says. `retry`: nor is there anything that could not be had."""
        row = self.repositories.get(reading.repository)
        if row is None or row.read_at is None:
            return False
        tags = self.tags[reading.repository]
        if tags.keys() != reading.names or not all(
            tags[name].says(found, retry=retry) for name, found in reading.tags.items()
        ):
            return False
        if reading.revisions is None:
            return True
        known = self.revisions[reading.repository]
        return known.keys() == reading.revisions and all(known[d] == when for d, when in reading.pushed.items())

    def is_late(self, reading: Reading) -> bool:
        """Whether the repository has been read since this reading began."""
        row = self.repositories.get(reading.repository)
        return row is not None and row.read_at is not None and reading.began <= row.read_at

    def targets(self, repository: str) -> dict[str, Digest]:
        """What tags of it point at, where that could be read."""
        tags = self.tags.get(repository, {})
        return {name: Digest(tag.digest) for name, tag in tags.items() if tag.digest and not tag.error_code}
