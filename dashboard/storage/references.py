"""Which digests a manifest's bytes refer to: the part of a manifest that accounting needs, and only that.

The same reading as `dashboard.registry.manifests.parse_manifest` (a test holds them together), but without building
descriptors: a scan parses every manifest of the registry. Formats: OCI image spec 1.1, Docker schema 1 and 2.
"""

from __future__ import annotations

import json
from typing import Any

from dashboard.registry import media_types
from dashboard.registry.references import is_digest

from .facts import ManifestFacts


def references_of(raw: bytes) -> ManifestFacts | None:
    """The digests that the manifest in `raw` refers to; None if it is no JSON object. Never raises."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    kind = _media_type(document)
    content: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    if kind in media_types.LEGACY_TYPES:
        return ManifestFacts(content=_legacy_layers(document))
    if kind not in media_types.INDEX_TYPES:
        layers = document.get("layers")
        if not layers and kind not in media_types.MANIFEST_TYPES:
            layers = document.get("blobs")
        content = _digests([document.get("config")]) + _digests(layers)
        foreign = _foreign(layers)
    if kind not in media_types.MANIFEST_TYPES:
        children = _digests(document.get("manifests"))
    subject = _digests([document.get("subject")])
    return ManifestFacts(content, children, subject[0] if subject else "", foreign)


def _media_type(document: dict[str, Any]) -> str:
    declared = document.get("mediaType")
    if isinstance(declared, str) and (bare := media_types.bare(declared)):
        return bare
    if document.get("schemaVersion") == 1:
        return media_types.DOCKER_SCHEMA1_SIGNED
    if isinstance(document.get("manifests"), list):
        return media_types.OCI_INDEX
    return media_types.OCI_MANIFEST if isinstance(document.get("config"), dict) else ""


def _digests(entries: Any) -> tuple[str, ...]:
    if not isinstance(entries, list):
        return ()
    found = [entry.get("digest") for entry in entries if isinstance(entry, dict)]
    return tuple(digest for digest in found if isinstance(digest, str) and is_digest(digest))


def _foreign(layers: Any) -> tuple[str, ...]:
    if not isinstance(layers, list):
        return ()
    return _digests([entry for entry in layers if isinstance(entry, dict) and entry.get("urls") and _is_foreign(entry)])


def _is_foreign(entry: dict[str, Any]) -> bool:
    declared = entry.get("mediaType")
    return isinstance(declared, str) and media_types.bare(declared) in media_types.FOREIGN_LAYER_TYPES


def _legacy_layers(document: dict[str, Any]) -> tuple[str, ...]:
    layers = document.get("fsLayers")
    if not isinstance(layers, list):
        return ()
    found = [entry.get("blobSum") for entry in layers if isinstance(entry, dict)]
    return tuple(digest for digest in found if isinstance(digest, str) and is_digest(digest))
