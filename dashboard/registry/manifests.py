"""Manifests and image configs as frozen values, parsed once from the registry's bytes.

Nothing here raises on strange input: a document that cannot be understood is a manifest of kind UNKNOWN, and a field
of the wrong type is as if it were absent. All text is the pusher's and untrusted.
Formats: OCI image spec 1.1 (manifest.md, image-index.md, config.md), Docker schema 1 and 2.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from . import media_types
from .references import Digest, digest_of, is_digest

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
MAX_CONFIG_BYTES = 8 * 1024 * 1024
MAX_ENTRIES = 10_000
_PLAIN = frozenset({"mediaType", "digest", "size"})
_PLAIN_FIELDS = len(_PLAIN)


class Kind(StrEnum):
    """What a manifest is: an index of others, an image, any other artifact, schema 1, or not understood."""

    INDEX = "index"
    IMAGE = "image"
    ARTIFACT = "artifact"
    LEGACY = "legacy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    @property
    def machine(self) -> str:
        """Architecture and variant; the one variant that every arm64 is left out."""
        default = self.architecture == "arm64" and self.variant == "v8"
        return "/".join(part for part in (self.architecture, "" if default else self.variant) if part)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.machine) if part)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to content: media type, digest, and size in bytes as the referring document claims it."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str = ""
    urls: tuple[str, ...] = ()

    @property
    def is_foreign(self) -> bool:
        """Whether the content lies elsewhere by design and is not stored in this registry."""
        return self.media_type in media_types.FOREIGN_LAYER_TYPES and bool(self.urls)

    @property
    def is_attestation(self) -> bool:
        """Whether an index entry is a BuildKit attestation, not a platform."""
        return self.annotations.get(media_types.REFERENCE_TYPE_ANNOTATION) == media_types.ATTESTATION_MANIFEST

    @property
    def attests(self) -> str:
        """The digest of the image that an attestation entry belongs to; empty if it says none."""
        return self.annotations.get(media_types.REFERENCE_DIGEST_ANNOTATION, "") if self.is_attestation else ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A parsed manifest. `size` is the document's own bytes; `layers` in order from the base, `children` as listed."""

    digest: Digest
    media_type: str
    size: int
    kind: Kind
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    legacy_history: tuple[str, ...] = ()

    def content(self) -> Iterator[Descriptor]:
        """Config and layers: what this manifest reaches besides itself and its children. Foreign layers included."""
        if self.config is not None:
            yield self.config
        yield from self.layers

    @property
    def content_bytes(self) -> int:
        """Bytes of config and layers stored here, each digest once (foreign layers are not stored)."""
        return sum({d.digest: d.size for d in self.content() if not d.is_foreign}.values())


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One step of a build. `empty_layer` steps made no layer."""

    created_by: str
    created: str = ""
    comment: str = ""
    empty_layer: bool = False


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """An image's configuration. Lists are as given; `created` is the unparsed RFC 3339 text."""

    platform: Platform
    created: str = ""
    author: str = ""
    user: str = ""
    working_dir: str = ""
    stop_signal: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    health_check: tuple[str, ...] = ()
    health_interval_ns: int = 0
    history: tuple[HistoryEntry, ...] = ()
    diff_ids: tuple[str, ...] = ()


def parse_manifest(raw: bytes, media_type: str = "", digest: Digest | None = None) -> Manifest:
    """The manifest in `raw`, whatever it is; never raises.

    `media_type` is what the registry said (Content-Type); where it is empty or unspecific the document's own
    `mediaType` or shape decides, as from a storage directory. `digest` defaults to the sha256 of `raw`.
    """
    digest = digest or digest_of(raw)
    document = _object(raw)
    kind_of = media_types.bare(media_type) or _guess_type(document)
    base: dict[str, Any] = {"digest": digest, "media_type": kind_of, "size": len(raw)}
    if kind_of in media_types.INDEX_TYPES:
        return Manifest(
            **base,
            kind=Kind.INDEX,
            children=_descriptors(document.get("manifests")),
            subject=_descriptor(document.get("subject")),
            artifact_type=_text(document.get("artifactType")),
            annotations=_texts(document.get("annotations")),
        )
    if kind_of in media_types.MANIFEST_TYPES:
        config = _descriptor(document.get("config"))
        artifact_type = _text(document.get("artifactType")) or (config.media_type if config else "")
        is_image = config is not None and config.media_type in media_types.IMAGE_CONFIG_TYPES
        if is_image and _text(document.get("artifactType")):
            is_image = False
        return Manifest(
            **base,
            kind=Kind.IMAGE if is_image else Kind.ARTIFACT,
            config=config,
            layers=_descriptors(document.get("layers")),
            subject=_descriptor(document.get("subject")),
            artifact_type="" if is_image else artifact_type,
            annotations=_texts(document.get("annotations")),
        )
    if kind_of in media_types.LEGACY_TYPES:
        return _legacy(base, document)
    return Manifest(
        **base,
        kind=Kind.UNKNOWN,
        config=_descriptor(document.get("config")),
        layers=_descriptors(document.get("layers") or document.get("blobs")),
        children=_descriptors(document.get("manifests")),
        subject=_descriptor(document.get("subject")),
        artifact_type=_text(document.get("artifactType")),
        annotations=_texts(document.get("annotations")),
    )


def parse_config(raw: bytes, *, with_history: bool = True) -> ImageConfig:
    """The image configuration in `raw`; never raises. Only for configs of an image config media type.

    Its history is the longest part: who reads thousands and does not need it leaves it out.
    """
    document = _object(raw)
    config = _mapping(document.get("config"))
    health = _mapping(config.get("Healthcheck"))
    rootfs = _mapping(document.get("rootfs"))
    return ImageConfig(
        platform=_platform(document) or Platform("", ""),
        created=_text(document.get("created")),
        author=_text(document.get("author")),
        user=_text(config.get("User")),
        working_dir=_text(config.get("WorkingDir")),
        stop_signal=_text(config.get("StopSignal")),
        entrypoint=_text_list(config.get("Entrypoint")),
        command=_text_list(config.get("Cmd")),
        environment=_text_list(config.get("Env")),
        ports=tuple(sorted(_mapping(config.get("ExposedPorts")))),
        volumes=tuple(sorted(_mapping(config.get("Volumes")))),
        labels=_texts(config.get("Labels")),
        health_check=_text_list(health.get("Test")),
        health_interval_ns=_number(health.get("Interval")),
        history=tuple(_history(entry) for entry in _list(document.get("history"))) if with_history else (),
        diff_ids=_text_list(rootfs.get("diff_ids")),
    )


def _guess_type(document: Mapping[str, Any]) -> str:
    declared = media_types.bare(_text(document.get("mediaType")))
    if declared:
        return declared
    if document.get("schemaVersion") == 1:
        return media_types.DOCKER_SCHEMA1_SIGNED
    if isinstance(document.get("manifests"), list):
        return media_types.OCI_INDEX
    if isinstance(document.get("config"), dict):
        return media_types.OCI_MANIFEST
    return ""


def _legacy(base: Mapping[str, Any], document: Mapping[str, Any]) -> Manifest:
    layers = tuple(
        Descriptor(media_types.DOCKER_LAYER_GZIP, Digest(blob), 0)
        for entry in reversed(_list(document.get("fsLayers")))
        if is_digest(blob := _text(_mapping(entry).get("blobSum")))
    )
    history = tuple(_text(_mapping(entry).get("v1Compatibility")) for entry in _list(document.get("history")))
    return Manifest(**base, kind=Kind.LEGACY, layers=layers, legacy_history=history)


def _history(value: Any) -> HistoryEntry:
    entry = _mapping(value)
    return HistoryEntry(
        created_by=_text(entry.get("created_by")),
        created=_text(entry.get("created")),
        comment=_text(entry.get("comment")),
        empty_layer=entry.get("empty_layer") is True,
    )


def _descriptors(value: Any) -> tuple[Descriptor, ...]:
    return tuple(d for entry in _list(value) if (d := _descriptor(entry)) is not None)


def _descriptor(value: Any) -> Descriptor | None:
    """Most entries have three fields; registries are read by the hundred thousand of them."""
    entry = _mapping(value)
    digest = _text(entry.get("digest"))
    if not is_digest(digest):
        return None
    if len(entry) == _PLAIN_FIELDS and not entry.keys() - _PLAIN:
        return Descriptor(media_types.bare(_text(entry["mediaType"])), Digest(digest), _number(entry["size"]))
    return Descriptor(
        media_type=media_types.bare(_text(entry.get("mediaType"))),
        digest=Digest(digest),
        size=_number(entry.get("size")),
        platform=_platform(_mapping(entry.get("platform"))),
        annotations=_texts(entry.get("annotations")),
        artifact_type=_text(entry.get("artifactType")),
        urls=_text_list(entry.get("urls")),
    )


def _platform(entry: Mapping[str, Any]) -> Platform | None:
    os, architecture = _text(entry.get("os")), _text(entry.get("architecture"))
    if not os and not architecture:
        return None
    return Platform(os, architecture, _text(entry.get("variant")), _text(entry.get("os.version")))


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(raw))
    except (ValueError, RecursionError):
        return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value[:MAX_ENTRIES] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> dict[str, str]:
    return {key: text for key, text in _mapping(value).items() if isinstance(text, str)}


def _text_list(value: Any) -> tuple[str, ...]:
    return tuple(text for text in _list(value) if isinstance(text, str))


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
