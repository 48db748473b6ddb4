"""Typed reads of one thing in a storage directory: a tag, a revision, a manifest, a blob.

Where a scan tolerates and reports, a reader answers one question and raises if there is no answer.
"""

# Paths stay text as the system gave it: names need not be UTF-8, and a scan makes a system call per entry.
# ruff: noqa: PTH116, PTH208

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dashboard.registry.references import (
    MAX_REPOSITORY_LENGTH,
    Digest,
    InvalidReference,
    RepositoryName,
    Tag,
    is_repository,
    parse_digest,
    parse_tag,
)

from . import digests, layout
from .errors import BlobMissing, ContentError, LinkCorrupt, LinkMissing, NotReadable, RootUnreadable
from .files import MAX_LINK_BYTES, MAX_MANIFEST_BYTES, OverBound, leads_to_ancestor, open_directory, read_regular

_EMPTY_LINK_WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class TagLink:
    """What a tag points at, and when that link was written (mtime, nanoseconds since the epoch)."""

    tag: Tag
    digest: Digest
    written: int


class Reader:
    """Reads from the storage at `root` (see `layout.v2_directory`). Raises StorageError where there is none."""

    def __init__(self, root: Path) -> None:
        self._v2 = str(layout.v2_directory(root).absolute())

    def repositories(self) -> list[str]:
        """Names of the repositories that have manifests, in the order of a walk; malformed names are left out.

        Directory symlinks are followed, but not to a directory above themselves. Raises RootUnreadable.
        """
        found: list[str] = []
        pending = [""]
        while pending:
            name = pending.pop()
            below = layout.repository(name) if name else "repositories"
            children: list[str] = []
            for entry in self._directories(below, is_root=not name):
                if not entry.startswith("_"):
                    children.append(f"{name}/{entry}" if name else entry)
                elif entry == layout.MANIFESTS and is_repository(name):
                    found.append(name)
            if len(name) <= MAX_REPOSITORY_LENGTH:
                pending.extend(sorted(children, reverse=True))
        return found

    def repository_times(self) -> list[tuple[float, RepositoryName]]:
        """Each repository with when its directory of tags was last written (seconds since the epoch); unordered."""
        found: list[tuple[float, RepositoryName]] = []
        for name in self.repositories():
            try:
                info = self._stat(f"{layout.repository(name)}/{layout.TAGS}")
            except ContentError:
                continue
            found.append((info.st_mtime, RepositoryName(name)))
        return found

    def written(self, repository: RepositoryName, tags: Iterable[str]) -> dict[str, int]:
        """When the link of each of these tags was written (nanoseconds since the epoch), by `stat` alone.

        Those that are not there are left out; one that is there and cannot be looked at was written at 0.
        """
        base = f"{self._v2}/{layout.repository(repository)}/{layout.TAGS}"
        found: dict[str, int] = {}
        try:
            fd = open_directory(base)
        except OSError:
            return found
        try:
            for tag in tags:
                try:
                    found[tag] = os.stat(f"{tag}/current/link", dir_fd=fd).st_mtime_ns
                except (FileNotFoundError, NotADirectoryError):
                    continue
                except OSError:
                    found[tag] = 0
        finally:
            os.close(fd)
        return found

    def has_repository(self, repository: RepositoryName) -> bool:
        """Whether there is a directory of manifests for this name. Raises NotReadable where that cannot be told."""
        try:
            return stat.S_ISDIR(self._stat(f"{layout.repository(repository)}/{layout.MANIFESTS}").st_mode)
        except LinkMissing:
            return False

    def tag_names(self, repository: RepositoryName) -> list[str]:
        """What is in a repository's directory of tags, unordered; not all of it need be names of tags."""
        return self._names(f"{layout.repository(repository)}/{layout.TAGS}")

    def tags(self, repository: RepositoryName) -> list[Tag]:
        """Names of the tags of a repository, sorted; entries that are no tag names are left out."""
        return sorted(
            tag for name in self._names(f"{layout.repository(repository)}/{layout.TAGS}") if (tag := _tag(name))
        )

    def tag(self, repository: RepositoryName, tag: Tag) -> TagLink:
        """What a tag points at. Raises LinkMissing, LinkCorrupt or NotReadable."""
        path = layout.tag_link(repository, tag)
        digest = self._link(path)
        return TagLink(tag, digest, self._stat(path).st_mtime_ns)

    def past(self, repository: RepositoryName, tag: Tag) -> list[TagLink]:
        """What a tag ever pointed at, each with when it last began to; unordered. Unreadable ones are left out."""
        found: list[TagLink] = []
        base = f"{layout.repository(repository)}/{layout.TAGS}/{tag}/index"
        for algorithm in self._names(base):
            for name in self._names(f"{base}/{algorithm}"):
                if digests.is_encoded(algorithm, name):
                    try:
                        info = self._stat(f"{base}/{algorithm}/{name}/link")
                    except ContentError:
                        continue
                    found.append(TagLink(tag, Digest(f"{algorithm}:{name}"), info.st_mtime_ns))
        return found

    def revisions(self, repository: RepositoryName) -> list[Digest]:
        """Digests of the manifests that a repository holds, sorted: those whose link is there."""
        return sorted(self.revision_times(repository))

    def revision_times(self, repository: RepositoryName) -> dict[Digest, int]:
        """The manifests that a repository holds, unordered, each with when its link was written (see `pushed`)."""
        found: dict[Digest, int] = {}
        base = f"{layout.repository(repository)}/{layout.REVISIONS}"
        for algorithm in self._names(base):
            for name in self._names(f"{base}/{algorithm}"):
                if digests.is_encoded(algorithm, name):
                    digest = parse_digest(f"{algorithm}:{name}")
                    if self.holds(repository, digest) and (pushed := self.pushed(repository, digest)) is not None:
                        found[digest] = pushed
        return found

    def pushed(self, repository: RepositoryName, digest: Digest) -> int | None:
        """When a revision's link was written (nanoseconds since the epoch): each push of the manifest writes it again.

        None where there is none, or it cannot be looked at.
        """
        try:
            return self._stat(layout.revision_link(repository, digest)).st_mtime_ns
        except ContentError:
            return None

    def holds(self, repository: RepositoryName, digest: Digest) -> bool:
        """Whether a manifest is a revision of a repository: its link is there and names it."""
        try:
            return self._link(layout.revision_link(repository, digest)) == digest
        except (LinkMissing, LinkCorrupt, NotReadable):
            return False

    def has_layer(self, repository: RepositoryName, digest: Digest) -> bool:
        """Whether a repository may serve a layer or config, and its bytes are there."""
        try:
            held = self._link(layout.layer_link(repository, digest))
            return self.blob_size(held) >= 0
        except ContentError:
            return False

    def manifest(self, digest: Digest) -> bytes:
        """A manifest's bytes, at most 4 MiB. Raises BlobMissing or NotReadable.

        That a repository holds it is another question: `holds`.
        """
        return self.blob(digest, limit=MAX_MANIFEST_BYTES)

    def blob(self, digest: Digest, *, limit: int) -> bytes:
        """A blob's bytes, at most `limit`. Raises BlobMissing or NotReadable."""
        path = layout.blob_data(digest)
        try:
            return read_regular(f"{self._v2}/{path}", limit)
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

    def _directories(self, below: str, *, is_root: bool) -> list[str]:
        """Names of the directories in one, symlinks to directories included."""
        try:
            with os.scandir(f"{self._v2}/{below}") as entries:
                return [entry.name for entry in entries if _is_directory(entry)]
        except FileNotFoundError:
            return []
        except OSError as error:
            if is_root:
                raise RootUnreadable(f"{self._v2}/{below}", error.strerror or "") from error
            return []

    def _names(self, below: str) -> list[str]:
        try:
            return os.listdir(f"{self._v2}/{below}")
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise NotReadable(below, error.strerror or "") from error


def _is_directory(entry: os.DirEntry[str]) -> bool:
    """Whether it is a directory, or leads to one that is not above it."""
    try:
        return entry.is_dir() and not (entry.is_symlink() and leads_to_ancestor(entry.path))
    except OSError:
        return False  # a link that leads to itself


def _tag(name: str) -> Tag | None:
    try:
        return parse_tag(name)
    except InvalidReference:
        return None
