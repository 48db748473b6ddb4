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


@dataclass
class State:
    """All repositories and the blobs they share."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)

    def repository(self, name: str) -> Repository:
        """The repository, made if it does not exist."""
        return self.repositories.setdefault(name, Repository())

    def known(self, name: str) -> Repository:
        """The repository, or an empty one that is not kept."""
        return self.repositories.get(name) or Repository()

    def add_blob(self, name: str, content: bytes) -> Digest:
        """Store a layer or config."""
        digest = digest_of(content)
        self.blobs[digest] = content
        repository = self.repository(name)
        repository.layers.add(digest)
        repository.has_layers = True
        return digest

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
