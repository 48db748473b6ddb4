"""An image that is an index: its platforms and attestations as tabs, what is missing, and what a look costs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from dashboard.models import Registry
from dashboard.registry import media_types
from dashboard.registry.references import digest_of
from tests.fake_registry import FakeRegistry
from tests.support.images import Pushed, descriptor

from .image_page import APP, NAME, TAG, lading, manifest_url
from .page import look, part, words


@pytest.fixture
def version() -> str:
    """One version: what differs between them is the client's, and tested there."""
    return "3.1"


@pytest.fixture
def browser(registry: Registry, as_jonas: Client) -> Client:
    """Jonas, before a registry."""
    return as_jonas


def attestation(fake: FakeRegistry, of: Pushed, predicate: str = "https://slsa.dev/provenance/v1") -> dict[str, Any]:
    """What BuildKit adds beside an image."""
    layer = fake.upload_blob(NAME, b'{"_type": "https://in-toto.io/Statement/v0.1"}')
    config = fake.upload_blob(NAME, b"{}")
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": descriptor(media_types.OCI_CONFIG, config, 2),
        "layers": [
            descriptor(media_types.IN_TOTO, layer, 46) | {"annotations": {"in-toto.io/predicate-type": predicate}}
        ],
    }
    raw = json.dumps(document).encode()
    digest = fake.put_manifest(NAME, digest_of(raw), media_types.OCI_MANIFEST, raw)
    return descriptor(media_types.OCI_MANIFEST, digest, len(raw)) | {
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of.digest},
    }


@pytest.fixture
def index(fake: FakeRegistry) -> dict[str, Any]:
    """amd64 with an attestation, arm64 that is missing, and s390x."""
    amd = fake.push_image("team/app", layers=[b"base" * 500, b"amd" * 100])
    arm = fake.push_image("team/app", layers=[b"base" * 500, b"arm" * 100], platform="linux/arm64")
    s390 = fake.push_image("team/app", layers=[b"s390" * 300], platform="linux/s390x")
    proof = attestation(fake, amd)
    root = fake.push_index("team/app", "1.0", children=[amd, arm, s390, proof])
    fake.remove_manifest("team/app", arm.digest)
    return {"amd": amd, "arm": arm, "s390": s390, "proof": proof, "root": root}


def test_tabs_name_each_platform_its_size_its_attestation_and_the_index(browser: Client, index: dict[str, Any]) -> None:
    page = look(browser, TAG)
    tabs = {words(tab.css_first("b")): tab for tab in page.tree.css(".index-tabs a")}
    assert {name: words(tab.css_first("small")) for name, tab in tabs.items()} == {
        "linux/amd64": _size_of(index["amd"]), "attestation": "provenance", "linux/arm64": "not in the registry",
        "linux/s390x": _size_of(index["s390"]), "index": "lists all 4",
    }  # fmt: skip
    assert {name: tab.attributes["href"] for name, tab in tabs.items()} == {
        "linux/amd64": f"{TAG}?platform=linux%2Famd64",
        "attestation": f"{TAG}?platform=linux%2Famd64&show=attestation",
        "linux/arm64": f"{TAG}?platform=linux%2Farm64",
        "linux/s390x": f"{TAG}?platform=linux%2Fs390x",
        "index": f"{TAG}?show=index",
    }
    assert [name for name, tab in tabs.items() if tab.attributes.get("aria-current")] == ["linux/amd64"]
    assert [name for name, tab in tabs.items() if "missing" in str(tab.attributes.get("class"))] == ["linux/arm64"]
    assert page.text(".lede") == "Index of 3 images and 1 attestation"


def _size_of(image: Pushed) -> str:
    document = json.loads(image.raw)
    count = document["config"]["size"] + sum(layer["size"] for layer in document["layers"])
    return f"{count / 1024:.1f} KiB"


def test_first_tab_shows_the_first_platform_and_both_digests(browser: Client, index: dict[str, Any]) -> None:
    page = look(browser, TAG)
    assert lading(page)["Digest of this image"] == index["amd"].digest
    assert lading(page)["Digest of the index, what the tag points at"] == index["root"].digest
    assert lading(page)["Platform"] == "linux/amd64"
    assert lading(page)["Size, compressed, this platform"].startswith(_size_of(index["amd"]))
    assert page.texts("dl.figures dt")[0] == "compressed, all platforms"
    assert (
        words(page.node(".pull code.docker-digest"))
        == f"docker pull registry.test:5000/ team/app@{index['amd'].digest}"
    )


def test_platform_from_the_address(browser: Client, index: dict[str, Any]) -> None:
    page = look(browser, f"{TAG}?platform=linux/s390x")
    assert lading(page)["Digest of this image"] == index["s390"].digest
    assert page.texts(".index-tabs a[aria-current] b") == ["linux/s390x"]
    assert lading(look(browser, f"{TAG}?platform=plan9/mips"))["Digest of this image"] == index["amd"].digest


def test_missing_platform_is_a_red_tab_and_a_sentence(browser: Client, index: dict[str, Any]) -> None:
    page = look(browser, f"{TAG}?platform=linux/arm64")
    assert page.text("section.state.bad h2") == "linux/arm64 is missing"
    assert index["arm"].digest in page.text("section.state.bad dl")
    assert not page.has("table.layers")


def test_every_platform_missing_is_still_a_page(browser: Client, fake: FakeRegistry, index: dict[str, Any]) -> None:
    for name in ("amd", "s390"):
        fake.remove_manifest("team/app", index[name].digest)
    assert look(browser, TAG).text("section.state.bad h2") == "linux/amd64 is missing"


def test_platform_that_could_not_be_read_is_not_called_missing(
    browser: Client, fake: FakeRegistry, index: dict[str, Any]
) -> None:
    fake.fail_next(f"/manifests/{index['s390'].digest}", status=503, times=None)
    tabs = look(browser, TAG).links(".index-tabs a")
    assert "linux/s390x could not be read" in tabs


def test_attestation_tab_shows_its_statements(browser: Client, index: dict[str, Any]) -> None:
    page = look(browser, f"{TAG}?platform=linux/amd64&show=attestation")
    assert lading(page)["Digest of this image"] == index["proof"]["digest"]
    assert page.texts(".index-tabs a[aria-current] b") == ["attestation"]
    assert "Attestation" in lading(page)["Platform"]


def test_index_tab_lists_every_entry(browser: Client, index: dict[str, Any]) -> None:
    page = look(browser, f"{TAG}?show=index")
    rows = [words(row) for row in page.tree.css("table.ledger tbody tr")]
    assert len(rows) == 4
    assert "not in the registry" in rows[1]
    assert rows[3].startswith("attestation")
    links = page.links("td.f-digest a")
    assert links[index["amd"].digest[7:19]] == manifest_url(index["amd"].digest)
    assert index["arm"].digest[7:19] not in links
    assert json.loads(page.text("pre.json"))["manifests"][1]["digest"] == index["arm"].digest


def test_twins_of_one_platform_are_both_reached(browser: Client, fake: FakeRegistry) -> None:
    """Windows images differ by os.version alone."""
    old = fake.push_image("team/app", layers=[b"old"], platform="windows/amd64")
    new = fake.push_image("team/app", layers=[b"new"], platform="windows/amd64")
    entries = [
        image.descriptor | {"platform": {"os": "windows", "architecture": "amd64", "os.version": build}}
        for image, build in ((old, "10.0.17763.1"), (new, "10.0.20348.2"))
    ]
    fake.push_index("team/app", "1.0", children=entries)
    page = look(browser, TAG)
    tabs = {words(tab.css_first("b")): str(tab.attributes["href"]) for tab in page.tree.css(".index-tabs a")}
    assert list(tabs) == ["windows/amd64 10.0.17763.1", "windows/amd64 10.0.20348.2", "index"]
    second = look(browser, tabs["windows/amd64 10.0.20348.2"])
    assert lading(second)["Digest of this image"] == new.digest


def test_entries_without_a_platform_are_reached_by_digest(browser: Client, fake: FakeRegistry) -> None:
    charts = [
        fake.push_artifact("team/app", config=b'{"n": %d}' % n, config_type=media_types.HELM_CONFIG) for n in (1, 2)
    ]
    fake.push_index("team/app", "1.0", children=[c.descriptor for c in charts])
    page = look(browser, TAG)
    second = str(page.tree.css(".index-tabs a")[1].attributes["href"])
    assert lading(look(browser, second))["Digest of this image"] == charts[1].digest


def test_index_with_more_entries_than_are_read_says_so(browser: Client, fake: FakeRegistry) -> None:
    child = fake.push_image("team/app", layers=[b"only one is real"])
    absent = [
        descriptor(child.media_type, f"sha256:{n:064x}", 5) | {"platform": {"os": "linux", "architecture": f"m{n}"}}
        for n in range(104)
    ]
    fake.push_index("team/app", "1.0", children=[child, *absent])
    page = look(browser, TAG)
    assert page.links(".index-tabs a")["index shows 100 of 105"] == f"{TAG}?show=index"
    assert page.has("dl.figures .partial")
    star = part(look(browser, APP).row("1.0"), ".partial")
    assert star.attributes["title"] == "Entries of the index are missing: the size is that of what is here."


def test_cost_of_an_image_page(browser: Client, fake: FakeRegistry, index: dict[str, Any]) -> None:
    look(browser, TAG)
    fake.forget_requests()
    look(browser, TAG)
    asked = [f"{r.method} {r.path.removeprefix('/v2/team/app/')}" for r in fake.requests]
    amd = index["amd"]
    assert sorted(asked) == sorted(
        ["HEAD manifests/1.0", f"HEAD blobs/{amd.config}"]
        + [f"GET manifests/{index['arm'].digest}"]  # missing: nothing of it is kept, so it is asked for again
        + [f"HEAD manifests/{digest}" for digest in (amd.digest, index["s390"].digest, index["proof"]["digest"])]
    )
