"""What a repository's tags and live indexes need, read afresh: the ground of every decision about a deletion.

Live is an index that a tag reaches; where the storage is mounted here, any index that is a revision too. A mount can
only make the answer more careful: what it shows as needed is kept.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dashboard.models import IndexedTag, Registry
from dashboard.registry.client import ManifestHead, RegistrySession
from dashboard.registry.errors import ManifestUnknown, RegistryError, RepositoryUnknown
from dashboard.registry.manifests import Kind, Manifest, parse_manifest
from dashboard.registry.media_types import INDEX_TYPES
from dashboard.registry.references import Digest, RepositoryName, Tag, is_digest, is_tag
from dashboard.services import contents, parallel
from dashboard.services.index.storage_reader import time_of
from dashboard.services.ordering import natural_key
from dashboard.storage.errors import BlobMissing, LinkMissing, StorageError
from dashboard.storage.reader import Reader

MAX_DEPTH = 4
"""Indexes may list indexes; nobody nests deeper."""


@dataclass(frozen=True, slots=True)
class Survey:
    """One reading. `tags` that could be read; `dangling` point at nothing; `unread` could not be read.

    `indexes`: the live ones by digest; `unread_indexes`: digests that may be indexes and could not be read. `held`: the
    revisions on the mounted storage; None where there is none to look at.
    """

    tags: Mapping[str, Digest]
    dangling: tuple[str, ...]
    unread: tuple[str, ...]
    indexes: Mapping[Digest, Manifest]
    unread_indexes: tuple[Digest, ...]
    held: Mapping[Digest, Manifest] | None = None
    _named: dict[Digest, list[str]] = field(default_factory=dict, repr=False, compare=False)
    _listed: dict[Digest, list[Digest]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_whole(self) -> bool:
        """Whether everything was read, so that "nothing else needs it" can be said at all."""
        return not self.unread and not self.unread_indexes

    def names(self, digest: Digest) -> list[str]:
        """Tags that point at `digest`."""
        if not self._named:
            for name, its in self.tags.items():
                self._named.setdefault(its, []).append(name)
        return self._named.get(digest, [])

    def aliases(self, tags: Collection[str], digest: Digest) -> list[str]:
        """Tags that point at `digest`, besides `tags`."""
        return sorted((name for name in self.names(digest) if name not in tags), key=natural_key)

    def parents(self, digest: Digest, *, going: Collection[Digest] = ()) -> list[Digest]:
        """Live indexes that list `digest`, except those in `going`."""
        if not self._listed:
            for parent, index in self.indexes.items():
                for child in index.children:
                    self._listed.setdefault(child.digest, []).append(parent)
        return sorted({parent for parent in self._listed.get(digest, []) if parent not in going})

    def tags_reaching(self, digest: Digest) -> list[str]:
        """Tags that reach an index, directly or through others."""
        reached = {digest}
        for _ in range(MAX_DEPTH):
            reached |= {parent for each in list(reached) for parent in self.parents(each)}
        return sorted((name for each in reached for name in self.names(each)), key=natural_key)

    def needed_elsewhere(self, digest: Digest, *, tags: Collection[str] = (), going: Collection[Digest] = ()) -> bool:
        """Whether another tag than `tags` or a live index that is not `going` needs `digest`."""
        return bool(self.aliases(tags, digest)) or bool(self.parents(digest, going=going))

    def without(self, *, tags: Collection[str], digests: Collection[Digest]) -> Survey:
        """As it is after these tags and manifests went."""
        return replace(
            self,
            tags={name: digest for name, digest in self.tags.items() if name not in tags},
            indexes={digest: index for digest, index in self.indexes.items() if digest not in digests},
            held=None if self.held is None else {d: m for d, m in self.held.items() if d not in digests},
            _named={},
            _listed={},
        )

    def having(self, tag: str, digest: Digest) -> Survey:
        """As it is with one more tag."""
        return replace(self, tags={**self.tags, tag: digest}, _named={}, _listed={})


class Ground:
    """The survey that a deletion stands on: read again once it is older than `good_for` seconds (0: at every look).

    The first is read from the registry itself. Where the mounted storage shows the very same tags then, later ones are
    read from there: what takes a request for each tag takes a system call.
    """

    def __init__(
        self, session: RegistrySession, registry: Registry, repository: RepositoryName, *, good_for: float = 0.0
    ) -> None:
        self._session = session
        self._repository = repository
        self._registry = registry
        self._disk = disk_of(registry, repository)
        self._good_for = good_for
        self._seen: Survey | None = None
        self._at = 0.0

    def look(self) -> Survey:
        """The survey. Raises RegistryError if it cannot be read."""
        if self._seen is None or time.monotonic() - self._at >= self._good_for:
            self._at = time.monotonic()
            self._seen = self._read(first=self._seen is None)
        return self._seen

    def look_just_before(self) -> Survey:
        """The survey, with tags that were pushed under new names since. Raises RegistryError."""
        if self._seen is not None and time.monotonic() - self._at < self._good_for:
            known = {*self._seen.tags, *self._seen.unread, *self._seen.dangling}
            for name in listed_tags(self._session, self._repository):
                if name not in known and is_tag(name):
                    self._note(name)
        return self.look()

    def went(self, *, tags: Collection[str], digests: Collection[Digest]) -> None:
        """What we took away ourselves."""
        if self._seen is not None:
            self._seen = self._seen.without(tags=tags, digests=digests)

    def _read(self, *, first: bool) -> Survey:
        if not first and self._disk is not None:
            try:
                return self._disk.survey()
            except StorageError:
                self._disk = None
        found = survey(self._session, self._registry, self._repository, disk=self._disk)
        if self._disk is not None:
            try:
                agrees = self._disk.survey().tags == found.tags
            except StorageError:
                agrees = False
            self._disk = self._disk if agrees else None
        return found

    def _note(self, name: str) -> None:
        """A new tag: one that is an index needs the whole survey again."""
        try:
            head = self._session.head_manifest(self._repository, name)
        except ManifestUnknown:
            return
        if self._seen is None or (head.media_type in INDEX_TYPES and head.digest not in self._seen.indexes):
            self._at -= self._good_for
            return
        self._seen = self._seen.having(name, head.digest)


class Disk:
    """A repository on the mounted storage; what was read of a manifest once is not read again."""

    def __init__(self, reader: Reader, repository: RepositoryName) -> None:
        self._reader = reader
        self._repository = repository
        self._parsed: dict[Digest, Manifest] = {}

    def held(self) -> tuple[dict[Digest, Manifest], list[Digest]]:
        """The repository's revisions, and those that could not be read. Raises StorageError."""
        found: dict[Digest, Manifest] = {}
        unread: list[Digest] = []
        for digest in self._reader.revisions(self._repository):
            try:
                if digest not in self._parsed:
                    self._parsed[digest] = parse_manifest(self._reader.manifest(digest), digest=digest)
            except BlobMissing:
                continue
            except StorageError:
                unread.append(digest)
                continue
            found[digest] = self._parsed[digest]
        return found, unread

    def survey(self) -> Survey:
        """The same as `survey`, without a request. Raises StorageError."""
        tags: dict[str, Digest] = {}
        dangling: list[str] = []
        unread: list[str] = []
        names = self._reader.tag_names(self._repository)
        links: dict[str, Digest] = {}
        for name in names:
            if not is_tag(name):
                unread.append(name)
                continue
            try:
                links[name] = self._reader.tag(self._repository, Tag(name)).digest
            except LinkMissing:
                dangling.append(name)
            except StorageError:
                unread.append(name)
        held, unread_revisions = self.held()
        for name, digest in links.items():
            if digest in held:
                tags[name] = digest
            elif digest in unread_revisions:
                unread.append(name)
            else:
                dangling.append(name)
        indexes = {digest: manifest for digest, manifest in held.items() if manifest.kind is Kind.INDEX}
        return Survey(tags, tuple(dangling), tuple(unread), indexes, tuple(unread_revisions), held)

    def pushed(self, digest: Digest) -> dt.datetime | None:
        """When a revision was pushed last; None where that cannot be told."""
        written = self._reader.pushed(self._repository, digest)
        return time_of(written) if written is not None else None

    def has_blob(self, digest: Digest) -> bool:
        """Whether the repository may serve a layer or config, and its bytes are there."""
        return self._reader.has_layer(self._repository, digest)


def disk_of(registry: Registry, repository: RepositoryName) -> Disk | None:
    """The repository on the storage that is mounted here; None where none is."""
    if not registry.storage_root:
        return None
    try:
        return Disk(Reader(Path(registry.storage_root)), repository)
    except StorageError:
        return None


def listed_tags(session: RegistrySession, repository: RepositoryName) -> tuple[str, ...]:
    """What the registry lists; nothing for a repository that never had a tag: its digests can be there all the same."""
    try:
        return session.tags(repository)
    except RepositoryUnknown:
        return ()


def survey(
    session: RegistrySession, registry: Registry, repository: RepositoryName, *, disk: Disk | None = None
) -> Survey:
    """Reads every tag of `repository` and every live index. Raises RegistryError if the list itself cannot be read."""
    listed = listed_tags(session, repository)
    names = [name for name in listed if is_tag(name)]
    known = _known(registry, repository)
    heads = parallel.each(names, lambda name: _head(session, repository, name, known.get(name)))
    tags = {name: head.digest for name, head in heads.items() if isinstance(head, ManifestHead)}
    dangling = tuple(name for name, head in heads.items() if isinstance(head, ManifestUnknown))
    unread = tuple(n for n, h in heads.items() if isinstance(h, RegistryError) and not isinstance(h, ManifestUnknown))
    # What the grammar forbids cannot be asked for, so nobody can say what it needs.
    unread += tuple(name for name in listed if not is_tag(name))
    candidates = [
        h.digest
        for h in heads.values()
        if isinstance(h, ManifestHead) and (h.media_type in INDEX_TYPES or not h.media_type)
    ]
    indexes, unread_indexes = _indexes(session, repository, candidates, frozenset(tags.values()))
    held = _held(disk or disk_of(registry, repository))
    for digest, manifest in (held or {}).items():
        if manifest.kind is Kind.INDEX:
            indexes.setdefault(digest, manifest)
    return Survey(tags, dangling, unread, indexes, tuple(unread_indexes), held)


def _known(registry: Registry, repository: RepositoryName) -> dict[str, ManifestHead]:
    """What the index believes each tag to name: the registry is then asked only whether it still does."""
    rows = IndexedTag.objects.filter(repository__registry=registry, repository__name=repository, error_code="")
    found = rows.exclude(manifest=None).values_list("name", "digest", "manifest__media_type")
    return {name: ManifestHead(Digest(digest), kind, 0) for name, digest, kind in found if is_digest(digest) and kind}


def _head(session: RegistrySession, repository: RepositoryName, name: str, known: ManifestHead | None) -> ManifestHead:
    if known is not None and session.resolve(repository, name, known.digest) == known.digest:
        return known
    return session.head_manifest(repository, name)


def _indexes(
    session: RegistrySession, repository: RepositoryName, candidates: list[Digest], proven: frozenset[Digest]
) -> tuple[dict[Digest, Manifest], list[Digest]]:
    """The indexes among `candidates` and those they list, level by level."""
    found: dict[Digest, Manifest] = {}
    unread: list[Digest] = []
    level: Iterable[Digest] = candidates
    for _ in range(MAX_DEPTH):
        level = [digest for digest in dict.fromkeys(level) if digest not in found]
        if not level:
            break
        answers = contents.manifests(session, repository, level, proven=proven)
        below: list[Digest] = []
        for digest, answer in answers.items():
            if isinstance(answer, ManifestUnknown):
                continue
            if isinstance(answer, RegistryError):
                unread.append(digest)
                continue
            manifest = parse_manifest(answer.raw, answer.media_type, digest)
            if manifest.children:
                found[digest] = manifest
                below += [c.digest for c in manifest.children if c.media_type in INDEX_TYPES]
        level = below
    return found, unread


def _held(disk: Disk | None) -> dict[Digest, Manifest] | None:
    """The revisions of the repository on the mounted storage; None where nothing can be read."""
    try:
        return disk.held()[0] if disk is not None else None
    except StorageError:
        return None
