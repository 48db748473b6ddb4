"""What a repository's tags and live indexes need, read afresh: the ground of every decision about a deletion.

Live is an index that a tag reaches; where the storage is mounted here, any index that is a revision too. A mount can
only make the answer more careful: what it shows as needed is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dashboard.models import Registry
from dashboard.registry.client import ManifestHead, RegistrySession
from dashboard.registry.errors import ManifestUnknown, RegistryError
from dashboard.registry.manifests import Kind, Manifest, parse_manifest
from dashboard.registry.media_types import INDEX_TYPES
from dashboard.registry.references import Digest, RepositoryName, is_tag
from dashboard.services import contents, parallel
from dashboard.services.ordering import natural_key
from dashboard.storage.errors import StorageError
from dashboard.storage.reader import Reader

MAX_DEPTH = 4
"""Indexes may list indexes; nobody nests deeper."""


@dataclass(frozen=True, slots=True)
class Survey:
    """One reading. `tags` that could be read; `dangling` point at nothing; `unread` could not be read.

    `indexes`: the live ones by digest; `unread_indexes`: digests that may be indexes and could not be read.
    """

    tags: dict[str, Digest]
    dangling: tuple[str, ...]
    unread: tuple[str, ...]
    indexes: dict[Digest, Manifest]
    unread_indexes: tuple[Digest, ...]

    @property
    def is_whole(self) -> bool:
        """Whether everything was read, so that "nothing else needs it" can be said at all."""
        return not self.unread and not self.unread_indexes

    def aliases(self, tag: str, digest: Digest) -> list[str]:
        """Other tags that point at `digest`."""
        return sorted((name for name, d in self.tags.items() if d == digest and name != tag), key=natural_key)

    def parents(self, digest: Digest, *, going: Iterable[Digest] = ()) -> list[Digest]:
        """Live indexes that list `digest`, except those in `going`."""
        leaving = set(going)
        return sorted(
            d
            for d, index in self.indexes.items()
            if d not in leaving and any(c.digest == digest for c in index.children)
        )

    def tags_reaching(self, digest: Digest) -> list[str]:
        """Tags that reach an index, directly or through others."""
        reached = {digest}
        for _ in range(MAX_DEPTH):
            reached |= {d for d, index in self.indexes.items() if any(c.digest in reached for c in index.children)}
        return sorted((name for name, d in self.tags.items() if d in reached), key=natural_key)

    def needed_elsewhere(self, digest: Digest, *, tag: str, going: Iterable[Digest] = ()) -> bool:
        """Whether another tag or another live index needs `digest`."""
        return bool(self.aliases(tag, digest)) or bool(self.parents(digest, going=going))


def survey(session: RegistrySession, registry: Registry, repository: RepositoryName) -> Survey:
    """Reads every tag of `repository` and every live index. Raises RegistryError if the list itself cannot be read."""
    listed = session.tags(repository)
    names = [name for name in listed if is_tag(name)]
    heads = parallel.each(names, lambda name: session.head_manifest(repository, name))
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
    indexes, unread_indexes = _indexes(session, repository, candidates)
    for manifest in _on_disk(registry, repository):
        indexes.setdefault(manifest.digest, manifest)
    return Survey(tags, dangling, unread, indexes, tuple(unread_indexes))


def _indexes(
    session: RegistrySession, repository: RepositoryName, candidates: list[Digest]
) -> tuple[dict[Digest, Manifest], list[Digest]]:
    """The indexes among `candidates` and those they list, level by level."""
    found: dict[Digest, Manifest] = {}
    unread: list[Digest] = []
    level = candidates
    for _ in range(MAX_DEPTH):
        level = [digest for digest in dict.fromkeys(level) if digest not in found]
        if not level:
            break
        answers = contents.manifests(session, repository, level)
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


def _on_disk(registry: Registry, repository: RepositoryName) -> Iterable[Manifest]:
    """Indexes that are revisions of the repository on the mounted storage; none where nothing can be read."""
    if not registry.storage_root:
        return
    try:
        reader = Reader(Path(registry.storage_root))
        revisions = reader.revisions(repository)
    except StorageError:
        return
    for digest in revisions:
        try:
            manifest = parse_manifest(reader.manifest(digest), digest=digest)
        except StorageError:
            continue
        if manifest.kind is Kind.INDEX:
            yield manifest
