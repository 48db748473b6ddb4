"""Readings from the mounted storage: no request, no pull, and the times of pushes as the files tell them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from django.utils import timezone

from dashboard.models import IndexState
from dashboard.registry.client import RawManifest
from dashboard.registry.manifests import MAX_CONFIG_BYTES
from dashboard.registry.references import Digest, RepositoryName, Tag, is_repository
from dashboard.storage.errors import ContentError, LinkMissing, StorageError
from dashboard.storage.reader import Reader

from .readings import Held, Outcome, PastTarget, Reading, TagReading

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class StorageReader:
    """Reads the storage at `root` (the directory that holds `docker/registry/v2`). Raises StorageError without one."""

    source = IndexState.Source.STORAGE

    def __init__(self, root: Path) -> None:
        self.storage = Reader(root)

    def repositories(self) -> tuple[Sequence[str], bool]:
        """Every directory with manifests, as Distribution 3 lists them."""
        return self.storage.repositories(), True

    def read(self, repositories: Iterable[str], known: Mapping[str, Mapping[str, Digest]]) -> dict[str, Outcome]:
        """Every link of each repository."""
        return {name: self._read(name) for name in repositories}

    def holds(self, wanted: Iterable[Held]) -> Mapping[Held, bool | Exception]:
        """By the link of the revision."""
        return {key: self.storage.holds(RepositoryName(key[0]), key[1]) for key in wanted}

    def manifests(self, wanted: Iterable[Held]) -> dict[Held, RawManifest | Exception]:
        """The media type is the document's own: the storage keeps none."""
        found: dict[Held, RawManifest | Exception] = {}
        for repository, digest in wanted:
            try:
                found[repository, digest] = RawManifest(digest, "", self.storage.manifest(digest))
            except StorageError as error:
                found[repository, digest] = error
        return found

    def configs(self, wanted: Iterable[Held]) -> dict[Held, bytes | Exception]:
        """From the blob store."""
        found: dict[Held, bytes | Exception] = {}
        for repository, digest in wanted:
            try:
                found[repository, digest] = self.storage.blob(digest, limit=MAX_CONFIG_BYTES)
            except StorageError as error:
                found[repository, digest] = error
        return found

    def past(self, repository: str, tags: Iterable[str]) -> Sequence[PastTarget]:
        """From `tags/<tag>/index`, each with the time of its link."""
        found = [
            PastTarget(tag, target.digest, time_of(target.written))
            for tag in tags
            for target in self.storage.past(RepositoryName(repository), Tag(tag))
        ]
        return sorted(found, key=lambda target: target.pushed_at)

    def pushed(self, repository: RepositoryName) -> dict[Digest, dt.datetime]:
        """The repository's revisions, each with its last push. Raises StorageError."""
        return {digest: time_of(written) for digest, written in self.storage.revision_times(repository).items()}

    def _read(self, repository: str) -> Outcome:
        began = timezone.now()
        if not is_repository(repository):
            return None
        name = RepositoryName(repository)
        try:
            if not self.storage.has_repository(name):
                return None
            tags: dict[str, TagReading] = {}
            for tag in self.storage.tags(name):
                try:
                    link = self.storage.tag(name, tag)
                except LinkMissing:
                    continue  # deleted in between, or a directory that never was a tag
                except ContentError as error:
                    tags[tag] = TagReading(None, error_code=error.code)
                else:
                    tags[tag] = TagReading(link.digest, time_of(link.written), stamp=link.written)
            pushed = self.pushed(name)
            return Reading(repository, began, frozenset(tags), tags, frozenset(pushed), pushed)
        except StorageError as error:
            return error


def time_of(nanoseconds: int) -> dt.datetime:
    """The moment that a file's time (nanoseconds since the epoch) means."""
    return _EPOCH + dt.timedelta(microseconds=nanoseconds // 1000)
