"""Typed reads of one thing in a storage directory: a tag, a revision, a manifest, a blob.

Where a scan tolerates and reports, a reader answers one question and raises if there is no answer.
"""

# Paths stay text as the system gave it: names need not be UTF-8, and a scan makes a system call per entry.
# ruff: noqa: PTH116, PTH208

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from dashboard.registry.references import Digest, InvalidReference, RepositoryName, Tag, parse_digest, parse_tag

from . import digests, layout
from .errors import BlobMissing, LinkCorrupt, LinkMissing, NotReadable
from .files import MAX_LINK_BYTES, MAX_MANIFEST_BYTES, OverBound, read_regular

_EMPTY_LINK_WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class TagLink:
    """What a tag points at, and when that link was written (mtime, seconds since the epoch)."""

    tag: Tag
    digest: Digest
    written: float


class Reader:
    """Reads from the storage at `root` (see `layout.v2_directory`). Raises StorageError where there is none."""

    def __init__(self, root: Path) -> None:
        self._v2 = str(layout.v2_directory(root).absolute())

    def tags(self, repository: RepositoryName) -> list[Tag]:
        """Names of the tags of a repository, sorted; entries that are no tag names are left out."""
        return sorted(
            tag for name in self._names(f"{layout.repository(repository)}/{layout.TAGS}") if (tag := _tag(name))
        )

    def tag(self, repository: RepositoryName, tag: Tag) -> TagLink:
        """What a tag points at. Raises LinkMissing, LinkCorrupt or NotReadable."""
        path = layout.tag_link(repository, tag)
        digest = self._link(path)
        return TagLink(tag, digest, self._stat(path).st_mtime)

    def revisions(self, repository: RepositoryName) -> list[Digest]:
        """Digests of the manifests that a repository holds, sorted: those whose link is there."""
        found: list[Digest] = []
        base = f"{layout.repository(repository)}/{layout.REVISIONS}"
        for algorithm in self._names(base):
            for name in self._names(f"{base}/{algorithm}"):
                if digests.is_encoded(algorithm, name):
                    digest = parse_digest(f"{algorithm}:{name}")
                    if self.holds(repository, digest):
                        found.append(digest)
        return sorted(found)

    def holds(self, repository: RepositoryName, digest: Digest) -> bool:
        """Whether a manifest is a revision of a repository: its link is there and names it."""
        try:
            return self._link(layout.revision_link(repository, digest)) == digest
        except (LinkMissing, LinkCorrupt, NotReadable):
            return False

    def manifest(self, digest: Digest) -> bytes:
        """A manifest's bytes, at most 4 MiB. Raises BlobMissing or NotReadable.

        That a repository holds it is another question: `holds`.
        """
        path = layout.blob_data(digest)
        try:
            return read_regular(f"{self._v2}/{path}", MAX_MANIFEST_BYTES)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise BlobMissing(path) from error
        except OSError as error:
            raise NotReadable(path, error.strerror or type(error).__name__) from error

    def blob_size(self, digest: Digest) -> int:
        """Bytes of a blob. Raises BlobMissing or NotReadable."""
        path = layout.blob_data(digest)
        try:
            info = self._stat(path)
        except LinkMissing as error:
            raise BlobMissing(path) from error
        if not stat.S_ISREG(info.st_mode):
            raise NotReadable(path, "not a regular file")
        return info.st_size

    def _link(self, path: str) -> Digest:
        raw = self._read_link(path)
        if not raw.strip():
            time.sleep(_EMPTY_LINK_WAIT_SECONDS)  # 2.8 and 3.0 truncate a link before they write it
            raw = self._read_link(path)
        digest = digests.parse_link(raw)
        if not digest:
            raise LinkCorrupt(path)
        return Digest(digest)

    def _read_link(self, path: str) -> bytes:
        try:
            return read_regular(f"{self._v2}/{path}", MAX_LINK_BYTES)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise LinkMissing(path) from error
        except OverBound as error:
            raise LinkCorrupt(path) from error
        except OSError as error:
            raise NotReadable(path, error.strerror or type(error).__name__) from error

    def _stat(self, path: str) -> os.stat_result:
        try:
            return os.stat(f"{self._v2}/{path}")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise LinkMissing(path) from error
        except OSError as error:
            raise NotReadable(path, error.strerror or "") from error

    def _names(self, below: str) -> list[str]:
        try:
            return os.listdir(f"{self._v2}/{below}")
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise NotReadable(below, error.strerror or "") from error


def _tag(name: str) -> Tag | None:
    try:
        return parse_tag(name)
    except InvalidReference:
        return None
