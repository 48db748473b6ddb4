"""Content by digest: verified before it is kept, identified as the OCI spec does."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.models import IndexedManifest, IndexedTag, ManifestEntry, ManifestLabel, Registry
from dashboard.registry import media_types
from dashboard.registry.manifests import parse_config, parse_manifest
from dashboard.registry.references import Digest, digest_of, parse_repository
from dashboard.services.index.documents import chain_of, keep, storable
from tests.fake_registry import FakeRegistry
from tests.unit.index.support import done

DIGESTS = st.binary(max_size=4).map(lambda content: str(digest_of(content)))


def by_the_spec(diff_ids: list[str]) -> str:
    """ChainID(L0) = DiffID(L0); ChainID(L0|…|Ln) = Digest(ChainID(L0|…|Ln-1) + " " + DiffID(Ln))."""
    if len(diff_ids) == 1:
        return diff_ids[0]
    return f"sha256:{hashlib.sha256((by_the_spec(diff_ids[:-1]) + ' ' + diff_ids[-1]).encode()).hexdigest()}"


@given(st.lists(DIGESTS, min_size=1, max_size=8))
def test_chain_is_the_chain_id_of_the_spec(diff_ids: list[str]) -> None:
    assert chain_of(diff_ids) == by_the_spec(diff_ids)


def test_a_chain_that_is_known() -> None:
    """Two layers, computed by hand with sha256sum."""
    one, two = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
    assert chain_of([one]) == one
    assert chain_of([one, two]) == "sha256:" + hashlib.sha256(f"{one} {two}".encode()).hexdigest()
    assert chain_of([]) == chain_of(["rubbish"]) == chain_of([one, "\ud800"]) == ""


@given(st.text(st.characters(), max_size=40), st.integers(0, 40))
def test_storable_text_fits_and_can_be_encoded(text: str, limit: int) -> None:
    kept = storable(text, limit)
    assert len(kept) <= limit
    assert b"\0" not in kept.encode()


def signed(payload: dict[str, Any]) -> tuple[Digest, bytes]:
    """A schema 1 document as Docker signed it: the digest is of what stands without its signatures."""
    text = json.dumps(payload, indent=3).encode()
    head, tail = text[:-2], text[-2:]

    def encoded(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    protected = json.dumps({"formatLength": len(head), "formatTail": encoded(tail), "time": "2016-01-01T00:00:00Z"})
    signatures = json.dumps([{"header": {}, "signature": "x", "protected": encoded(protected.encode())}]).encode()
    return digest_of(text), head + b',\n   "signatures": ' + signatures + tail


def test_signed_schema_1_is_known_by_its_payload(registry: Registry, fake: FakeRegistry) -> None:
    layer = fake.upload_blob(parse_repository("old"), b"layer")
    digest, raw = signed({"schemaVersion": 1, "name": "old", "tag": "1", "fsLayers": [{"blobSum": layer}]})
    assert digest != digest_of(raw)
    fake.put_manifest(parse_repository("old"), digest, media_types.DOCKER_SCHEMA1_SIGNED, raw)
    fake.state.repositories["old"].tags["1"] = digest
    fake.state.repositories["old"].has_tags = True
    done(registry)
    tag = IndexedTag.objects.select_related("manifest").get()
    assert (tag.digest, tag.error_code) == (digest, "")
    assert tag.manifest is not None
    assert (tag.manifest.kind, tag.bytes) == ("legacy", 0)


@pytest.mark.django_db
def test_what_is_there_already_stays_as_it_is() -> None:
    config = json.dumps({"os": "linux", "architecture": "arm64", "config": {"Labels": {"a": "1"}}}).encode()
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": {"mediaType": media_types.OCI_CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": media_types.OCI_LAYER, "digest": digest_of(b"x"), "size": 1}] * 2,
    }
    raw = json.dumps(document).encode()
    manifest = parse_manifest(raw)
    for _ in range(2):
        keep([manifest], {manifest.digest: raw}, {digest_of(config): config})
    row = IndexedManifest.objects.get()
    assert (row.platform, row.bytes) == (str(parse_config(config).platform), len(config) + 1)
    assert list(ManifestLabel.objects.values_list("key", "value")) == [("a", "1")]
    assert list(row.blobs.order_by("position").values_list("position", "is_layer")) == [(0, False), (1, True)]


@pytest.mark.django_db
def test_entries_of_an_index_are_kept_in_order_with_what_it_says_of_them() -> None:
    children = [digest_of(b"%d" % n) for n in range(3)]
    notes = {
        media_types.REFERENCE_TYPE_ANNOTATION: media_types.ATTESTATION_MANIFEST,
        media_types.REFERENCE_DIGEST_ANNOTATION: children[0],
    }
    entries = [{"mediaType": media_types.OCI_MANIFEST, "digest": child, "size": 1} for child in children]
    entries[0]["platform"] = {"os": "linux", "architecture": "arm", "variant": "v7"}
    entries[2] |= {"annotations": notes, "platform": {"os": "unknown", "architecture": "unknown"}}
    raw = json.dumps({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}).encode()
    keep([parse_manifest(raw)], {digest_of(raw): raw}, {})
    rows = ManifestEntry.objects.order_by("position")
    assert list(rows.values_list("digest", "platform", "attests", "is_attestation")) == [
        (children[0], "linux/arm/v7", "", False),
        (children[1], "", "", False),
        (children[2], "unknown/unknown", children[0], True),
    ]
