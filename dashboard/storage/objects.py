"""A scan of object storage: what `scan.Scan` reads from a directory, read from a bucket that Distribution wrote.

The layout is the same (`layout`), the keys are its paths. What differs:

* There are no empty directories: a repository whose last object went is gone, not emptied.
* Ages are those of an object's last write. A blob is copied to its place when its upload ends, so it is as old as that.
* An upload that is still written to is a multipart upload, whose parts are no objects: it is listed by its `startedat`
  and weighs what was finished of it, mostly nothing. (A lifecycle rule of the bucket is what removes such parts.)
* Objects are replaced whole: no link is ever found empty for a moment.
* The ETag of an object written in one request is the MD5 of its bytes, so the digest in a link is known without reading
  it wherever it is one of those that belong there. Links whose ETag says nothing (SSE-KMS) are read.

Blobs are listed before manifests, as there, so that a push in mid-scan makes no orphan.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from dashboard.registry.references import InvalidReference, parse_tag

from . import digests, layout
from .bucket import Entry
from .checks import check
from .digests import parse_link
from .errors import BucketEmpty, BucketUnreadable, Cancelled
from .facts import MAX_PROBLEMS, Facts, ManifestFacts, Problem, RepositoryFacts, UploadFacts
from .files import MAX_LINK_BYTES, MAX_MANIFEST_BYTES, OverBound, printable
from .garbage import Graph
from .listing import Lister, Listing
from .references import References, references_of
from .scan import Progress, report
from .usage import Reading

READ_AT_ONCE = 32
_READ_IN_A_ROW = 1024  # then progress is told and cancelling looked for
_BLOB_PARTS = 5  # blobs/sha256/<aa>/<hex>/data
_TAG_PARTS, _REVISION_PARTS, _UPLOAD_PARTS = 4, 4, 2  # in _manifests tags/<tag>/current/link; in _uploads <id>/data


class ObjectStore(Lister, Protocol):
    """Where objects lie, by keys below docker/registry/v2; as `bucket.Bucket`."""

    def read(self, key: str, limit: int) -> bytes:
        """The bytes of an object. Raises FileNotFoundError, OverBound, PermissionError, BucketUnreadable."""

    def has(self, key: str) -> bool:
        """Whether it is there now. Raises BucketUnreadable."""


def take(
    store: ObjectStore,
    *,
    now: float,
    in_flight_seconds: int = 3600,
    remembered: Mapping[str, References] | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Reading:
    """Reads the storage in a bucket, for `usage.account`; arguments as those of `usage.take`.

    Progress has no total while keys are listed. Raises BucketEmpty, BucketUnreadable, Cancelled.
    """
    began = time.perf_counter()
    scan = ObjectScan(
        store, young_after=now - in_flight_seconds, remembered=remembered or {}, progress=progress, cancelled=cancelled
    )
    facts = scan.run()
    graph = Graph(facts)
    report(facts.problems, scan.check(facts, graph))
    return Reading(facts, graph, None, began)


@dataclass(slots=True)
class _Link:
    """A link as it was listed."""

    size: int
    tag: str


@dataclass(slots=True)
class _Upload:
    data: Entry | None = None
    started: Entry | None = None
    bytes: int = 0
    is_file: bool = False


@dataclass(slots=True)
class _Repository:
    """What was listed of one repository; `None` among the tags: the directory is there, its link was not seen."""

    is_repository: bool = False
    tags: dict[str, _Link | None] = field(default_factory=dict)
    tag_bytes: dict[str, int] = field(default_factory=dict)
    revisions: dict[str, _Link] = field(default_factory=dict)
    uploads: dict[str, _Upload] = field(default_factory=dict)


class _Strays:
    """Problems that several objects make together, with their bytes; an object that comes twice counts once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._bytes: dict[tuple[str, str], int] = {}

    def add(self, code: str, path: str, entry: Entry) -> None:
        """The object `entry` makes, or adds to, the problem `code` at `path`."""
        if entry.key in self._seen or (len(self._seen) > MAX_PROBLEMS and (code, path) not in self._bytes):
            return
        if len(self._seen) <= MAX_PROBLEMS:
            self._seen.add(entry.key)
        self._bytes[code, path] = self._bytes.get((code, path), 0) + entry.size

    def drop(self, code: str, path: str) -> None:
        """It was none after all."""
        self._bytes.pop((code, path), None)

    def problems(self) -> Iterator[Problem]:
        """All of them."""
        for (code, path), size in self._bytes.items():
            yield Problem(code, printable(path), size)


class ObjectScan:
    """One scan of `store`. `young_after` (seconds since the epoch) bounds what counts as young."""

    def __init__(
        self,
        store: ObjectStore,
        *,
        young_after: float,
        remembered: Mapping[str, References],
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self._store = store
        self._young_after = young_after
        self._remembered = remembered
        self._progress = progress
        self._cancelled = cancelled
        self._facts = Facts()
        self._strays = _Strays()
        self._repositories: dict[str, _Repository] = {}
        self._listed = 0

    def run(self) -> Facts:
        """The facts. Raises BucketEmpty, BucketUnreadable, Cancelled."""
        for entries in self._listing("blobs"):
            for entry in entries:
                self._take_blob(entry)
        for entries in self._listing("repositories"):
            for entry in entries:
                self._take_entry(entry)
        if not self._listed:
            raise BucketEmpty(str(self._store))
        with ThreadPoolExecutor(READ_AT_ONCE, thread_name_prefix="reading") as pool:
            self._read_links(pool)
            self._read_manifests(pool)
        self._report(self._strays.problems())
        self._facts.repositories.sort(key=lambda repository: repository.name)
        self._facts.problems.sort()
        return self._facts

    def check(self, facts: Facts, graph: Graph) -> list[Problem]:
        """The problems of `checks.check`. What it asks for is looked up side by side, until it asks nothing new."""
        known: dict[str, bool] = {}
        with ThreadPoolExecutor(READ_AT_ONCE, thread_name_prefix="looking") as pool:
            while True:
                asked: set[str] = set()

                def is_file(below: str, asked: set[str] = asked) -> bool:
                    if below not in known:
                        asked.add(below)
                    return known.get(below, False)

                problems = list(check(is_file, facts, graph))
                wanted = sorted(asked)[: MAX_PROBLEMS - len(known)]
                if not wanted:
                    return problems
                known.update(zip(wanted, pool.map(self._store.has, wanted), strict=True))
                self._alive("read", len(known), len(known))

    # Listing

    def _listing(self, below: str) -> Iterator[list[Entry]]:
        listing = Listing(
            self._store, below, is_cut=_is_cut, is_left=_is_left, alive=lambda: self._alive("list", self._listed, 0)
        )
        for entries in listing:
            self._listed += len(entries)
            yield entries
        for refused in listing.refused:
            if refused == below:
                raise BucketUnreadable(str(self._store), f"a key right in {below}/ cannot be named")
            self._report([Problem("key-name", printable(refused))])

    def _take_blob(self, entry: Entry) -> None:
        parts = entry.key.split("/")
        if len(parts) < _BLOB_PARTS:
            # A file where a directory belongs; one without a byte is what consoles make for an empty directory.
            if entry.size:
                self._strays.add(*_shallow(parts), entry)
            return
        algorithm, fan, name = parts[1], parts[2], parts[3]
        if algorithm not in digests.ALGORITHMS:
            self._strays.add("blob-name", f"blobs/{algorithm}", entry)
        elif not digests.is_fan_out(fan):
            self._strays.add("blob-name", f"blobs/{algorithm}/{fan}", entry)
        elif not digests.is_encoded(algorithm, name) or name[:2] != fan:
            self._strays.add("blob-name", f"blobs/{algorithm}/{fan}/{name}", entry)
        elif parts[4:] == ["data"]:
            digest = f"{algorithm}:{name}"
            self._facts.blobs[digest] = entry.size
            self._strays.drop("blob-without-data", f"blobs/{algorithm}/{fan}/{name}")
            if entry.modified > self._young_after:
                self._facts.young.add(digest)
        elif f"{algorithm}:{name}" not in self._facts.blobs:
            self._strays.add("blob-without-data", f"blobs/{algorithm}/{fan}/{name}", entry)

    def _take_entry(self, entry: Entry) -> None:
        parts = entry.key.split("/")
        reserved = next((i for i, part in enumerate(parts) if i and part.startswith("_")), 0)
        if not reserved or reserved == len(parts) - 1:
            if entry.size:
                self._strays.add("stray-file", entry.key, entry)
            return
        name, kind, rest = "/".join(parts[1:reserved]), parts[reserved], parts[reserved + 1 :]
        if not name or kind not in (layout.MANIFESTS, layout.LAYERS, layout.UPLOADS):
            return
        if not layout.is_repository_name(name):
            self._strays.add("repository-name", f"repositories/{name}", entry)
            return
        found = self._repositories.setdefault(name, _Repository())
        if kind == layout.UPLOADS:
            _take_upload(found, rest, entry)
            return
        found.is_repository = True
        if kind == layout.MANIFESTS and len(rest) > 1:
            below = f"repositories/{name}/{kind}/{rest[0]}"
            if rest[0] == "tags":
                self._take_tag(found, below, rest, entry)
            elif rest[0] == "revisions":
                self._take_revision(found, below, rest, entry)

    def _take_tag(self, found: _Repository, below: str, rest: Sequence[str], entry: Entry) -> None:
        tag = rest[1]
        try:
            parse_tag(tag)
        except InvalidReference:
            self._strays.add("tag-name", f"{below}/{tag}", entry)
            return
        if len(rest) == 2:
            if entry.size:
                self._strays.add("stray-file", f"{below}/{tag}", entry)
        elif len(rest) == _TAG_PARTS and rest[2:] == ["current", "link"]:
            found.tags[tag] = _Link(entry.size, entry.tag)
            found.tag_bytes.pop(tag, None)
        elif found.tags.setdefault(tag, None) is None:
            found.tag_bytes[tag] = found.tag_bytes.get(tag, 0) + entry.size

    def _take_revision(self, found: _Repository, below: str, rest: Sequence[str], entry: Entry) -> None:
        algorithm = rest[1]
        if algorithm not in digests.ALGORITHMS:
            self._strays.add("revision-name", f"{below}/{algorithm}", entry)
        elif len(rest) == 2:
            if entry.size:
                self._strays.add("stray-file", f"{below}/{algorithm}", entry)
        elif not digests.is_encoded(algorithm, rest[2]):
            self._strays.add("revision-name", f"{below}/{algorithm}/{rest[2]}", entry)
        elif len(rest) == 3:
            if entry.size:
                self._strays.add("stray-file", f"{below}/{algorithm}/{rest[2]}", entry)
        elif len(rest) == _REVISION_PARTS and rest[3] == "link":
            found.revisions[f"{algorithm}:{rest[2]}"] = _Link(entry.size, entry.tag)

    # Links

    def _read_links(self, pool: ThreadPoolExecutor) -> None:
        """Repositories, their revisions and tags; what no ETag tells is read."""
        unread: list[tuple[RepositoryFacts, str, str]] = []  # repository, tag or "", path below v2
        for name, found in self._repositories.items():
            self._take_uploads(name, found)
            if not found.is_repository:
                continue
            repository = RepositoryFacts(name, layout.repository(name))
            self._facts.repositories.append(repository)
            by_tag = {_md5(digest): digest for digest in found.revisions}
            for digest, link in found.revisions.items():
                path = layout.revision_link(name, digest)
                if link.size == len(digest) and by_tag.get(link.tag) == digest:
                    repository.revisions.add(digest)
                elif self._is_readable(path, link):
                    unread.append((repository, "", path))
            for tag, current in found.tags.items():
                path = layout.tag_link(name, tag)
                if current is None:
                    below = f"{repository.path}/{layout.TAGS}/{tag}"
                    self._report([Problem("tag-without-link", printable(below), found.tag_bytes.get(tag, 0))])
                elif (digest := by_tag.get(current.tag, "")) and current.size == len(digest):
                    repository.tags[tag] = digest
                elif self._is_readable(path, current):
                    unread.append((repository, tag, path))
        self._repositories = {}
        asked = [(path, MAX_LINK_BYTES) for _, _, path in unread]
        for (repository, tag, path), raw in zip(unread, self._read(pool, asked), strict=True):
            self._take_link(repository, tag, path, raw)

    def _is_readable(self, path: str, link: _Link) -> bool:
        if link.size > MAX_LINK_BYTES:
            self._report([Problem("link-corrupt", printable(path), link.size)])
            return False
        return True

    def _take_link(self, repository: RepositoryFacts, tag: str, path: str, raw: bytes | Exception) -> None:
        if isinstance(raw, FileNotFoundError):
            return  # gone since it was listed
        if isinstance(raw, PermissionError):
            self._report([Problem("unreadable", printable(path))])
            return
        digest = "" if isinstance(raw, Exception) else parse_link(raw)
        if not digest:
            size = len(raw) if isinstance(raw, bytes) and raw.strip() else 0
            self._report([Problem("link-corrupt", printable(path), size)])
        elif tag:
            repository.tags[tag] = digest
        elif path == layout.revision_link(repository.name, digest):
            repository.revisions.add(digest)
        else:
            self._report([Problem("link-mismatch", printable(path), len(digest))])

    def _take_uploads(self, name: str, found: _Repository) -> None:
        for upload, seen in found.uploads.items():
            first = seen.started or seen.data
            if first is not None:
                self._facts.uploads.append(UploadFacts(seen.data.size if seen.data else 0, first.modified))
            elif seen.bytes or not seen.is_file:
                path = f"{layout.repository(name)}/{layout.UPLOADS}/{upload}"
                code = "stray-file" if seen.is_file else "upload-incomplete"
                self._report([Problem(code, printable(path), seen.bytes)])

    # Manifests

    def _read_manifests(self, pool: ThreadPoolExecutor) -> None:
        """What every revision refers to: each manifest once, or not at all where it is remembered."""
        blobs, wrong = self._facts.blobs, dict[str, Problem]()
        wanted: list[str] = []
        for digest in {digest for repository in self._facts.repositories for digest in repository.revisions}:
            size = blobs.get(digest)
            if size is not None and digest in self._remembered:
                self._facts.manifests[digest] = ManifestFacts(*self._remembered[digest])
            elif size is not None and size > MAX_MANIFEST_BYTES:
                wrong[digest] = Problem("manifest-too-large", layout.blob_data(digest), size)
            else:
                wanted.append(digest)
        asked = [(layout.blob_data(digest), MAX_MANIFEST_BYTES) for digest in wanted]
        for digest, raw in zip(wanted, self._read(pool, asked), strict=True):
            references = None if isinstance(raw, Exception) else references_of(raw)
            if references is not None:
                self._facts.manifests[digest] = ManifestFacts(*references)
            else:
                wrong[digest] = _wrong_manifest(layout.blob_data(digest), raw)
        for repository in self._facts.repositories:
            self._report(wrong[digest] for digest in repository.revisions & wrong.keys())

    def _read(self, pool: ThreadPoolExecutor, asked: Sequence[tuple[str, int]]) -> Iterator[bytes | Exception]:
        """The bytes of each key, or why there are none, in order. Raises BucketUnreadable, Cancelled."""

        def one(wanted: tuple[str, int]) -> bytes | Exception:
            try:
                return self._store.read(*wanted)
            except (FileNotFoundError, OverBound, PermissionError) as error:
                return error

        for start in range(0, len(asked), _READ_IN_A_ROW):
            self._alive("read", start, len(asked))
            yield from pool.map(one, asked[start : start + _READ_IN_A_ROW])

    def _alive(self, stage: str, done: int, total: int) -> None:
        if self._cancelled is not None and self._cancelled():
            raise Cancelled
        if self._progress is not None:
            self._progress(stage, done, total)

    def _report(self, problems: Iterable[Problem]) -> None:
        report(self._facts.problems, problems)


def _is_cut(below: str) -> bool:
    """Whether what lies right in a directory may be listed apart: not tags, revisions and uploads, which are many."""
    parts = below.split("/")
    if parts[0] == "blobs":
        return len(parts) <= 2
    return parts[-1] == layout.MANIFESTS or not any(part.startswith("_") for part in parts)


def _is_left(below: str) -> bool:
    """Layer links say nothing that the accounting needs; that there are any makes a repository."""
    return below.rpartition("/")[2] == layout.LAYERS


def _shallow(parts: Sequence[str]) -> tuple[str, str]:
    """The problem of an object among the blobs that lies too high."""
    path = "/".join(parts)
    if len(parts) > 2 and parts[1] not in digests.ALGORITHMS:
        return "blob-name", "/".join(parts[:2])
    if len(parts) > 3 and not digests.is_fan_out(parts[2]):
        return "blob-name", "/".join(parts[:3])
    if len(parts) == 4 and (not digests.is_encoded(parts[1], parts[3]) or parts[3][:2] != parts[2]):
        return "blob-name", path
    return "stray-file", path


def _take_upload(found: _Repository, rest: Sequence[str], entry: Entry) -> None:
    if not rest or not rest[0]:
        return
    upload = found.uploads.setdefault(rest[0], _Upload())
    if len(rest) == _UPLOAD_PARTS and rest[1] == "data":
        upload.data = entry
    elif len(rest) == _UPLOAD_PARTS and rest[1] == "startedat":
        upload.started = entry
    else:
        upload.bytes += entry.size
        upload.is_file = len(rest) == 1


def _wrong_manifest(path: str, raw: bytes | Exception) -> Problem:
    if isinstance(raw, bytes):
        return Problem("manifest-corrupt", path, len(raw))
    if isinstance(raw, FileNotFoundError):
        return Problem("manifest-missing", path)
    return Problem("manifest-too-large" if isinstance(raw, OverBound) else "unreadable", path)


def _md5(digest: str) -> str:
    """The ETag of a link that holds `digest`, if it was written plainly."""
    return hashlib.md5(digest.encode(), usedforsecurity=False).hexdigest()
