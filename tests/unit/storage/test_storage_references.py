"""The quick reading of a manifest says what the full one says."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.registry import media_types
from dashboard.registry.manifests import parse_manifest
from dashboard.registry.references import is_digest
from dashboard.storage.references import references_of

DIGESTS = [f"sha256:{letter * 64}" for letter in "abcd"] + [
    f"sha512:{'e' * 128}",
    "sha256:short",
    "",
    "SHA256:" + "A" * 64,
]
TYPES = [*sorted(media_types.INDEX_TYPES | media_types.MANIFEST_TYPES | media_types.LEGACY_TYPES), "", "text/plain"]

scraps = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
descriptors = scraps | st.fixed_dictionaries(
    {},
    optional={
        "digest": st.sampled_from(DIGESTS) | scraps,
        "mediaType": st.sampled_from([media_types.OCI_LAYER, media_types.DOCKER_FOREIGN_LAYER]) | scraps,
        "urls": st.just(["https://example.com/layer"]) | scraps,
        "blobSum": st.sampled_from(DIGESTS) | scraps,
    },
)
many = scraps | st.lists(descriptors, max_size=4)
documents = st.fixed_dictionaries(
    {},
    optional={
        "schemaVersion": st.sampled_from([1, 2, "1"]),
        "mediaType": st.sampled_from(TYPES) | scraps,
        "config": descriptors,
        "layers": many,
        "blobs": many,
        "manifests": many,
        "fsLayers": many,
        "subject": descriptors,
    },
)


@settings(max_examples=400, deadline=None)
@given(documents)
def test_agrees_with_the_full_parser(document: dict[str, Any]) -> None:
    raw = json.dumps(document).encode()
    manifest, facts = parse_manifest(raw), references_of(raw)

    assert facts is not None
    content, children, subject, foreign, _sizes, _unread = facts
    assert digests(content) == {descriptor.digest for descriptor in manifest.content()}
    assert digests(children) == {descriptor.digest for descriptor in manifest.children}
    assert digests([subject]) == ({manifest.subject.digest} if manifest.subject else set())
    assert digests(digest for digest, _ in foreign) == {layer.digest for layer in manifest.layers if layer.is_foreign}


def digests(texts: Iterable[str]) -> set[str]:
    """Those texts that are digests: the quick reading leaves the others for later."""
    return {text for text in texts if is_digest(text)}


@given(st.binary(max_size=60))
def test_never_raises(raw: bytes) -> None:
    assert references_of(raw) is None or isinstance(references_of(raw), tuple)


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"7", b'"text"', b"{", b"\xff"])
def test_what_is_no_object_is_no_manifest(raw: bytes) -> None:
    assert references_of(raw) is None
