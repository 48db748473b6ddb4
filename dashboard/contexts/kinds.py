"""What a manifest is, in a word or two."""

from __future__ import annotations

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
    if manifest.kind in (Kind.IMAGE, Kind.INDEX):
        return ""
    if manifest.kind is Kind.LEGACY:
        return gettext("Legacy image")
    if manifest.kind is Kind.UNKNOWN:
        return gettext("Unknown")
    return str(_ARTIFACTS.get(manifest.artifact_type, gettext("Artifact")))


def document_label(media_type: str) -> str:
    """What kind of document a media type is; "Unknown document" for one that is not known."""
    return str(_DOCUMENTS.get(media_type, gettext("Unknown document")))
