"""What a manifest is, in a word or two."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dashboard.registry import media_types as mt
from dashboard.registry.manifests import Kind, Manifest

_ARTIFACTS = {
    mt.HELM_CONFIG: _("Helm chart"),
    mt.BUILDKIT_CACHE: _("Build cache"),
    "application/vnd.wasm.config.v0+json": _("WebAssembly"),
    "application/vnd.wasm.config.v1+json": _("WebAssembly"),
    "application/vnd.docker.attestation.manifest.v1+json": _("Attestation"),
    "application/vnd.dev.sigstore.bundle.v0.3+json": _("Signature"),
    "application/spdx+json": _("SBOM"),
    "application/vnd.cyclonedx+json": _("SBOM"),
}

_SIGNATURES = frozenset(
    {
        "application/vnd.dev.sigstore.bundle.v0.3+json",
        "application/vnd.dev.cosign.artifact.sig.v1+json",
        "application/vnd.cncf.notary.signature",
    }
)
_SBOMS = frozenset(
    {"application/spdx+json", "application/vnd.cyclonedx+json", "application/vnd.dev.cosign.artifact.sbom.v1+json"}
)
_ATTESTATIONS = frozenset({"application/vnd.docker.attestation.manifest.v1+json", mt.IN_TOTO})

_DOCUMENTS = {
    mt.OCI_INDEX: _("OCI image index"),
    mt.OCI_MANIFEST: _("OCI image manifest"),
    mt.DOCKER_LIST: _("Docker manifest list"),
    mt.DOCKER_MANIFEST: _("Docker image manifest, version 2"),
    mt.DOCKER_SCHEMA1: _("Docker image manifest, version 1"),
    mt.DOCKER_SCHEMA1_SIGNED: _("Docker image manifest, version 1, signed"),
    mt.OCI_ARTIFACT_MANIFEST: _("OCI artifact manifest (withdrawn)"),
}


def is_signature(manifest: Manifest) -> bool:
    """Whether it carries a cosign signature."""
    return any(layer.media_type == mt.COSIGN_SIGNATURE for layer in manifest.layers)


def is_attestation(manifest: Manifest) -> bool:
    """Whether it carries in-toto statements."""
    return any(layer.media_type == mt.IN_TOTO for layer in manifest.layers)


def kind_label(manifest: Manifest) -> str:
    """ "Helm chart", "Signature", "Legacy image" …; empty for an image or index, whose platforms say enough."""
    if is_signature(manifest):
        return gettext("Signature")
    if is_attestation(manifest):
        return gettext("Attestation")
    return kind_name(manifest.kind, manifest.artifact_type)


def kind_name(kind: str, artifact_type: str) -> str:
    """The same from what the index knows; "" also where it knows nothing."""
    if kind in (Kind.IMAGE, Kind.INDEX, ""):
        return ""
    if kind == Kind.LEGACY:
        return gettext("Legacy image")
    if kind == Kind.UNKNOWN:
        return gettext("Unknown")
    return str(_ARTIFACTS.get(artifact_type, gettext("Artifact")))


@dataclass(frozen=True, slots=True)
class Attachment:
    """What belongs to an image: what it is, and what that makes of the image ("" where that cannot be said)."""

    name: str
    makes: str


def attachment(tag: str, artifact_type: str) -> Attachment:
    """By the ending of cosign's tags, else by the type."""
    ending = tag.rpartition(".")[2] if "." in tag else ""
    if ending == "sig" or artifact_type in _SIGNATURES:
        return Attachment(gettext("Signature"), gettext("Signed"))
    if ending == "sbom" or artifact_type in _SBOMS:
        return Attachment(gettext("SBOM"), gettext("SBOM"))
    if ending == "att" or artifact_type in _ATTESTATIONS:
        return Attachment(gettext("Attestation"), gettext("Attestation"))
    return Attachment(str(_ARTIFACTS.get(artifact_type, gettext("Attachment"))), "")


def document_label(media_type: str) -> str:
    """What kind of document a media type is; "Unknown document" for one that is not known."""
    return str(_DOCUMENTS.get(media_type, gettext("Unknown document")))
