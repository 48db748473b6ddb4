"""Small images, indexes and artifacts, pushed through anything that takes blobs and manifests.

That is a RegistrySession over a real registry, or the fake registry itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dashboard.registry import media_types
from dashboard.registry.references import Digest, RepositoryName, digest_of, parse_repository


class Store(Protocol):
    """What takes content: RegistrySession and FakeRegistry do."""

    def upload_blob(self, repository: RepositoryName, content: bytes) -> Digest:
        """Store a blob."""

    def put_manifest(self, repository: RepositoryName, reference: str, media_type: str, raw: bytes) -> Digest:
        """Store a manifest under a tag or its digest."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was pushed: the manifest's digest, type and bytes, and the digests it refers to."""

    repository: RepositoryName
    digest: Digest
    media_type: str
    raw: bytes = field(repr=False)
    config: Digest | None = None
    layers: tuple[Digest, ...] = ()
    children: tuple[Digest, ...] = ()
    platform: str = ""

    @property
    def descriptor(self) -> dict[str, Any]:
        """As an index or a `subject` names it."""
        return descriptor(self.media_type, self.digest, len(self.raw))


def push_image(
    store: Store,
    repository: str,
    *tags: str,
    layers: Sequence[bytes] = (b"a layer",),
    platform: str = "linux/amd64",
    docker: bool = False,
    config: Mapping[str, Any] | None = None,
    subject: Pushed | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Pushed:
    """Push an image; without tags by its digest only. `config` is merged over a small valid image config."""
    os, _, rest = platform.partition("/")
    architecture, _, variant = rest.partition("/")
    document: dict[str, Any] = {
        "os": os,
        "architecture": architecture,
        "created": "2026-01-02T03:04:05Z",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        "history": [{"created_by": f"COPY layer {number}"} for number in range(len(layers))],
    }
    if variant:
        document["variant"] = variant
    types = _DOCKER if docker else _OCI
    return push_artifact(
        store,
        repository,
        *tags,
        config=json.dumps(document | dict(config or {})).encode(),
        config_type=types.config,
        layers=[(types.layer, layer) for layer in layers],
        media_type=types.manifest,
        subject=subject,
        annotations=annotations,
        platform=platform,
    )


def push_artifact(
    store: Store,
    repository: str,
    *tags: str,
    config: bytes = b"{}",
    config_type: str = media_types.OCI_EMPTY,
    layers: Sequence[tuple[str, bytes]] = (),
    media_type: str = media_types.OCI_MANIFEST,
    artifact_type: str = "",
    subject: Pushed | None = None,
    annotations: Mapping[str, str] | None = None,
    platform: str = "",
) -> Pushed:
    """Push a manifest of any config and layer types."""
    name = parse_repository(repository)
    blobs = [(kind, store.upload_blob(name, content), len(content)) for kind, content in layers]
    config_digest = store.upload_blob(name, config)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(config_type, config_digest, len(config)),
        "layers": [descriptor(*blob) for blob in blobs],
    }
    if artifact_type:
        document["artifactType"] = artifact_type
    if subject:
        document["subject"] = subject.descriptor
    if annotations:
        document["annotations"] = dict(annotations)
    raw = json.dumps(document, indent=1).encode()
    digest = _put(store, name, tags, media_type, raw)
    return Pushed(name, digest, media_type, raw, config_digest, tuple(blob[1] for blob in blobs), platform=platform)


def push_index(
    store: Store,
    repository: str,
    *tags: str,
    children: Sequence[Pushed | Mapping[str, Any]] = (),
    docker: bool = False,
    annotations: Mapping[str, str] | None = None,
) -> Pushed:
    """Push an index over `children`: pushed images (named with their platform) or ready descriptors."""
    name = parse_repository(repository)
    media_type = media_types.DOCKER_LIST if docker else media_types.OCI_INDEX
    entries = [_entry(child) if isinstance(child, Pushed) else dict(child) for child in children]
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
    if annotations:
        document["annotations"] = dict(annotations)
    raw = json.dumps(document, indent=1).encode()
    digest = _put(store, name, tags, media_type, raw)
    return Pushed(name, digest, media_type, raw, children=tuple(Digest(entry["digest"]) for entry in entries))


def descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    """A descriptor as manifests hold it."""
    return {"mediaType": media_type, "digest": digest, "size": size}


@dataclass(frozen=True, slots=True)
class _Types:
    manifest: str
    config: str
    layer: str


_OCI = _Types(media_types.OCI_MANIFEST, media_types.OCI_CONFIG, media_types.OCI_LAYER_GZIP)
_DOCKER = _Types(media_types.DOCKER_MANIFEST, media_types.DOCKER_CONFIG, media_types.DOCKER_LAYER_GZIP)


def _put(store: Store, repository: RepositoryName, tags: Sequence[str], media_type: str, raw: bytes) -> Digest:
    digest = digest_of(raw)
    for reference in tags or (digest,):
        store.put_manifest(repository, reference, media_type, raw)
    return digest


def _entry(image: Pushed) -> dict[str, Any]:
    os, _, rest = (image.platform or "unknown/unknown").partition("/")
    architecture, _, variant = rest.partition("/")
    platform = {"os": os, "architecture": architecture} | ({"variant": variant} if variant else {})
    return image.descriptor | {"platform": platform}
