"""What a registry holds: blobs once, and per repository which of them it may serve, its manifests, tags, uploads."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from dashboard.registry.references import Digest, digest_of


@dataclass
class Repository:
    """One repository. `has_tags`: its tags directory exists, which it does from the first tag on, even emptied."""

    layers: set[str] = field(default_factory=set)
    revisions: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    has_layers: bool = False
    has_manifests: bool = False
    has_tags: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """A blob as a registry serves it. `size` is what it remembers: there is less where the blob is gone."""

    digest: str
    content: bytes
    size: int


@dataclass
class State:
    """All repositories and the blobs they share. `remembered`: sizes of blobs that are gone, in the registry's cache.

    `names`: the sha256 digest, by which a blob is stored, of one that was pushed by another algorithm's.
    """

    blobs: dict[str, bytes] = field(default_factory=dict)
    remembered: dict[str, int] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)

    def repository(self, name: str) -> Repository:
        """The repository, made if it does not exist."""
        return self.repositories.setdefault(name, Repository())

    def known(self, name: str) -> Repository:
        """The repository, or an empty one that is not kept."""
        return self.repositories.get(name) or Repository()

    def add_blob(self, name: str, content: bytes, pushed_by: str = "") -> Digest:
        """Store a layer or config; `pushed_by` is the digest it was pushed by."""
        digest = digest_of(content)
        self.blobs[digest] = content
        self._link(name, digest)
        if pushed_by not in ("", digest):
            self.names[pushed_by] = digest
            self._link(name, pushed_by)
        return digest

    def mount(self, name: str, digest: str, source: str) -> bool:
        """Link a blob of another repository. False if that does not hold it; one that is gone may be remembered."""
        if self.held(source, digest) is None:
            return False
        self._link(name, digest)
        return True

    def held(self, name: str, digest: str) -> Stored | None:
        """A layer or config that the repository may serve."""
        stored = self.names.get(digest, digest)
        if digest not in self.known(name).layers or not (stored in self.blobs or stored in self.remembered):
            return None
        content = self.blobs.get(stored, b"")
        return Stored(stored, content, len(content) if stored in self.blobs else self.remembered[stored])

    def collect(self, digest: str, is_remembered: bool) -> None:
        """Remove a blob and leave its links, as a garbage collection does."""
        content = self.blobs.pop(digest)
        if is_remembered:
            self.remembered[digest] = len(content)

    def _link(self, name: str, digest: str) -> None:
        repository = self.repository(name)
        repository.layers.add(digest)
        repository.has_layers = True

    def add_manifest(self, name: str, digest: str, media_type: str, raw: bytes, tag: str = "") -> None:
        """Store a manifest, and point a tag at it."""
        self.blobs[digest] = raw
        repository = self.repository(name)
        repository.revisions[digest] = media_type
        repository.has_manifests = True
        if tag:
            repository.has_tags = True
            repository.tags[tag] = digest

    def remove_manifest(self, name: str, digest: str) -> bool:
        """Drop a revision and every tag that names it. False if it was not there."""
        repository = self.known(name)
        if repository.revisions.pop(digest, None) is None:
            return False
        repository.tags = {tag: target for tag, target in repository.tags.items() if target != digest}
        return True

    def begin_upload(self, name: str) -> str:
        """A new upload's id."""
        uuid = secrets.token_hex(16)
        self.repository(name).uploads[uuid] = b""
        return uuid
