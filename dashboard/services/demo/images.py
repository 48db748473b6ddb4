"""The documents around layers: configs, manifests, indexes, attestations, charts, signatures and other artifacts.

Formats: OCI image spec 1.1 (config.md, manifest.md, image-index.md), Docker schema 2, BuildKit's attestation storage,
cosign's signature tags, Helm's OCI layout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

from dashboard.registry import media_types
from dashboard.registry.references import Digest, digest_of

from .layers import Layer, Packing

AMD64 = {"architecture": "amd64", "os": "linux"}
ARM64 = {"architecture": "arm64", "os": "linux", "variant": "v8"}
ARM_V7 = {"architecture": "arm", "os": "linux", "variant": "v7"}
WINDOWS = {"architecture": "amd64", "os": "windows", "os.version": "10.0.20348.2762"}
UNKNOWN = {"architecture": "unknown", "os": "unknown"}


class Dialect(Enum):
    """Whose media types a manifest uses."""

    OCI = "oci"
    DOCKER = "docker"

    @property
    def manifest(self) -> str:
        return media_types.OCI_MANIFEST if self is Dialect.OCI else media_types.DOCKER_MANIFEST

    @property
    def index(self) -> str:
        return media_types.OCI_INDEX if self is Dialect.OCI else media_types.DOCKER_LIST

    @property
    def config(self) -> str:
        return media_types.OCI_CONFIG if self is Dialect.OCI else media_types.DOCKER_CONFIG

    def layer(self, packing: Packing) -> str:
        """The media type of a layer packed so; Docker knows gzip only here."""
        return packing.value if self is Dialect.OCI else media_types.DOCKER_LAYER_GZIP


@dataclass(frozen=True)
class Blob:
    """Content beside a manifest: a config, a layer or whatever an artifact carries."""

    media_type: str
    content: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def digest(self) -> Digest:
        return digest_of(self.content)

    def descriptor(self) -> dict[str, Any]:
        """How a manifest refers to this."""
        return _descriptor(self.media_type, self.digest, len(self.content), annotations=self.annotations)


@dataclass(frozen=True)
class Document:
    """A manifest or index as it is pushed, with what has to be there before it."""

    media_type: str
    raw: bytes
    blobs: tuple[Blob, ...] = ()
    children: tuple[Document, ...] = ()
    platform: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def digest(self) -> Digest:
        return digest_of(self.raw)

    def descriptor(self, **more: Any) -> dict[str, Any]:
        """How an index, or the `subject` of another manifest, refers to this."""
        return _descriptor(self.media_type, self.digest, len(self.raw), **more)


@dataclass(frozen=True, slots=True)
class Step:
    """A line of an image's history; without a layer it only changed the config."""

    created_by: str
    layer: Layer | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """Something to build on: the steps so far and the settings that are inherited."""

    steps: tuple[Step, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def then(self, *steps: Step, **settings: Any) -> Base:
        """This base with more steps on top. `Env` and `Labels` add up, other settings replace."""
        merged = {**self.settings, **settings}
        for name, join in (("Env", list), ("Labels", dict)):
            if name in self.settings and name in settings:
                old, new = self.settings[name], settings[name]
                merged[name] = [*old, *new] if join is list else {**old, **new}
        return Base((*self.steps, *steps), merged)


def image(
    base: Base,
    *,
    created: str,
    platform: Mapping[str, str] = AMD64,
    dialect: Dialect = Dialect.OCI,
    author: str = "",
    with_history: bool = True,
    annotations: Mapping[str, str] | None = None,
) -> Document:
    """An image of one platform. `created` is RFC 3339 text."""
    layers = [step.layer for step in base.steps if step.layer]
    config: dict[str, Any] = {"created": created, **platform, "config": dict(base.settings)}
    if author:
        config["author"] = author
    config["rootfs"] = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    if with_history:
        config["history"] = [_history(step, created) for step in base.steps]
    blobs = [Blob(dialect.config, _compact(config))]
    blobs += [Blob(dialect.layer(layer.packing), layer.content) for layer in layers]
    return _manifest(blobs, media_type=dialect.manifest, annotations=annotations, platform=platform)


def index(
    images: Sequence[Document],
    *,
    attestations: Sequence[tuple[Document, Document]] = (),
    dialect: Dialect = Dialect.OCI,
    annotations: Mapping[str, str] | None = None,
) -> Document:
    """An index of images, one a platform; `attestations` pairs each attestation with the image it is about."""
    entries = [child.descriptor(platform=dict(child.platform)) for child in images]
    for attestation, about in attestations:
        marks = {
            media_types.REFERENCE_DIGEST_ANNOTATION: about.digest,
            media_types.REFERENCE_TYPE_ANNOTATION: media_types.ATTESTATION_MANIFEST,
        }
        entries.append(attestation.descriptor(annotations=marks, platform=UNKNOWN))
    document = {"schemaVersion": 2, "mediaType": dialect.index, "manifests": entries}
    if annotations:
        document["annotations"] = dict(annotations)
    children = (*images, *(attestation for attestation, _ in attestations))
    return Document(dialect.index, _indented(document), children=children)


def attestation(about: Document, name: str) -> Document:
    """What BuildKit adds beside an image: its provenance and its SBOM as in-toto statements."""
    subject = [{"name": f"pkg:docker/{name}", "digest": {"sha256": about.digest.removeprefix("sha256:")}}]
    predicates = {
        "https://slsa.dev/provenance/v0.2": {
            "builder": {"id": ""},
            "buildType": "https://mobyproject.org/buildkit@v1",
            "materials": [{"uri": "pkg:docker/debian@bookworm-slim"}],
            "invocation": {"configSource": {"entryPoint": "Dockerfile"}, "environment": {"platform": "linux/amd64"}},
        },
        "https://spdx.dev/Document": {
            "spdxVersion": "SPDX-2.3",
            "name": name,
            "packages": [
                {"name": package, "SPDXID": f"SPDXRef-{package}"} for package in ("base-files", "libc6", "openssl")
            ],
        },
    }
    statements = [
        Blob(
            media_types.IN_TOTO,
            _compact(
                {
                    "_type": "https://in-toto.io/Statement/v0.1",
                    "predicateType": kind,
                    "subject": subject,
                    "predicate": predicate,
                }
            ),
            {"in-toto.io/predicate-type": kind},
        )
        for kind, predicate in predicates.items()
    ]
    rootfs = {"type": "layers", "diff_ids": [statement.digest for statement in statements]}
    config = Blob(media_types.OCI_CONFIG, _compact({**UNKNOWN, "config": {}, "rootfs": rootfs}))
    return _manifest([config, *statements], platform=UNKNOWN)


def chart(about: Mapping[str, Any], archive: bytes, *, created: str) -> Document:
    """A Helm chart: Chart.yaml's content as JSON, and the packed chart."""
    blobs = [Blob(media_types.HELM_CONFIG, _compact(about)), Blob(media_types.HELM_CHART, archive)]
    notes = {
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.title": str(about["name"]),
        "org.opencontainers.image.version": str(about["version"]),
        "org.opencontainers.image.description": str(about["description"]),
    }
    return _manifest(blobs, annotations=notes)


def signature(of: Document, reference: str, mark: bytes) -> Document:
    """A cosign-style signature of a manifest; `mark` stands for the signature itself, which nobody could verify."""
    statement = {
        "critical": {
            "identity": {"docker-reference": reference},
            "image": {"docker-manifest-digest": of.digest},
            "type": "cosign container image signature",
        },
        "optional": None,
    }
    payload = Blob(
        media_types.COSIGN_SIGNATURE, _compact(statement), {"dev.cosignproject.cosign/signature": mark.hex()}
    )
    rootfs = {"type": "layers", "diff_ids": [payload.digest]}
    config = Blob(media_types.OCI_CONFIG, _compact({"architecture": "", "os": "", "config": {}, "rootfs": rootfs}))
    return _manifest([config, payload])


def artifact(
    artifact_type: str,
    content: Sequence[Blob],
    *,
    config: Blob | None = None,
    subject: Document | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Document:
    """Any other artifact, about `subject` if there is one. Without a config it has OCI's empty one."""
    blobs = [config or Blob(media_types.OCI_EMPTY, b"{}"), *content]
    return _manifest(blobs, artifact_type=artifact_type, subject=subject, annotations=annotations)


def referrers(attached: Sequence[tuple[Document, str]]) -> Document:
    """The index under the tag `sha256-<hex>` that lists what is attached, where a registry has no referrers API."""
    entries = [document.descriptor(artifactType=artifact_type) for document, artifact_type in attached]
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}
    return Document(media_types.OCI_INDEX, _indented(document), children=tuple(document for document, _ in attached))


def _manifest(
    blobs: Sequence[Blob],
    *,
    media_type: str = media_types.OCI_MANIFEST,
    artifact_type: str = "",
    subject: Document | None = None,
    annotations: Mapping[str, str] | None = None,
    platform: Mapping[str, str] | None = None,
) -> Document:
    config, *layers = blobs
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type}
    if artifact_type:
        document["artifactType"] = artifact_type
    document["config"] = config.descriptor()
    document["layers"] = [layer.descriptor() for layer in layers]
    if subject:
        document["subject"] = subject.descriptor()
    if annotations:
        document["annotations"] = dict(annotations)
    return Document(media_type, _indented(document), tuple(blobs), platform=platform or {})


def _history(step: Step, created: str) -> dict[str, Any]:
    line: dict[str, Any] = {"created": created, "created_by": step.created_by}
    if "# buildkit" in step.created_by or step.layer is None:
        line["comment"] = "buildkit.dockerfile.v0"
    if step.layer is None:
        line["empty_layer"] = True
    return line


def _descriptor(media_type: str, digest: Digest, size: int, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size, **{k: v for k, v in more.items() if v}}


def _compact(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _indented(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=2).encode()
