"""Which digests a manifest's bytes refer to: the part of a manifest that accounting needs, and only that.

The same reading as `dashboard.registry.manifests.parse_manifest` (a test holds them together), but without building
descriptors: a scan parses every manifest of the registry. Formats: OCI image spec 1.1, Docker schema 1 and 2.
"""

from __future__ import annotations

import json

from dashboard.registry import media_types

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself takes as long to import as all the rest
    from typing import Any

# Config and layers; children; subject or an empty text; those layers that lie elsewhere by design; the bytes that are
# claimed of config and layers, in their order (-1: not said); whether a collector fails at it. Plain text as the pusher
# wrote it: whether it is a digest is asked where it matters, not a hundred thousand times here.
References = tuple[tuple[str, ...], tuple[str, ...], str, tuple[tuple[str, int], ...], tuple[int, ...], str]

LEGACY, UNKNOWN = "legacy", "unknown"

_MAX_CLAIMED = 2**44  # bytes; no layer is larger

_LEGACY, _INDEX, _IMAGE = media_types.LEGACY_TYPES, media_types.INDEX_TYPES, media_types.MANIFEST_TYPES


def references_of(raw: bytes) -> References | None:
    """What the manifest in `raw` refers to; None if it is no JSON object. Never raises."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    kind = _media_type(document)
    if kind in _LEGACY:
        return _texts(document.get("fsLayers"), "blobSum"), (), "", (), (), _unread(document, kind)
    content: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    foreign: tuple[tuple[str, int], ...] = ()
    sizes: tuple[int, ...] = ()
    if kind not in _INDEX:
        layers = document.get("layers")
        if not layers and kind not in _IMAGE:
            layers = document.get("blobs")
        stored = [document.get("config"), *layers] if isinstance(layers, list) else [document.get("config")]
        content = _texts(stored, "digest")
        sizes = tuple([_claimed(each) for each in stored if type(each) is dict and type(each.get("digest")) is str])
        foreign = _foreign(layers)
    if kind not in _IMAGE:
        children = _texts(document.get("manifests"), "digest")
    subject = document.get("subject")
    subject = subject.get("digest") if isinstance(subject, dict) else ""
    return content, children, subject if isinstance(subject, str) else "", foreign, sizes, _unread(document, kind)


def _unread(document: dict[str, Any], kind: str) -> str:
    """Whether Distribution cannot read what it holds (registry/storage/manifeststore.go, Get; 2.8.2 and 3.1.1).

    It goes by `schemaVersion` first; a manifest of version 2 without a type is an index or an image by its shape.
    """
    version = document.get("schemaVersion")
    if version == 1:
        return LEGACY
    is_known = kind in _INDEX or kind in _IMAGE or not document.get("mediaType")
    return "" if version == 2 and is_known else UNKNOWN


def _media_type(document: dict[str, Any]) -> str:
    declared = document.get("mediaType")
    if isinstance(declared, str) and (bare := media_types.bare(declared)):
        return bare
    if document.get("schemaVersion") == 1:
        return media_types.DOCKER_SCHEMA1_SIGNED
    if isinstance(document.get("manifests"), list):
        return media_types.OCI_INDEX
    return media_types.OCI_MANIFEST if isinstance(document.get("config"), dict) else ""


def _texts(entries: Any, key: str) -> tuple[str, ...]:
    if not isinstance(entries, list):
        return ()
    return tuple([text for entry in entries if type(entry) is dict and type(text := entry.get(key)) is str])


def _foreign(layers: Any) -> tuple[tuple[str, int], ...]:
    if not isinstance(layers, list):
        return ()
    elsewhere = [entry for entry in layers if type(entry) is dict and entry.get("urls") and _is_foreign(entry)]
    return tuple(
        [(entry["digest"], max(0, _claimed(entry))) for entry in elsewhere if type(entry.get("digest")) is str]
    )


def _claimed(entry: dict[str, Any]) -> int:
    size = entry.get("size")
    return size if type(size) is int and 0 <= size < _MAX_CLAIMED else -1


def _is_foreign(entry: dict[str, Any]) -> bool:
    declared = entry.get("mediaType")
    return isinstance(declared, str) and media_types.bare(declared) in media_types.FOREIGN_LAYER_TYPES
