"""An image: its platforms as tabs, its layers beside the steps that made them, its configuration and documents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models import QuerySet
from django.test import Client

from dashboard.models import Content, Registry
from dashboard.registry import media_types
from dashboard.registry.references import digest_of, parse_repository
from tests.fake_registry import FakeRegistry
from tests.support.images import Pushed, descriptor

from .page import Page, look, part, words

APP = "/registries/default/team/app/"
TAG = f"{APP}-/tags/1.0/"
NAME = parse_repository("team/app")


@pytest.fixture
def version() -> str:
    """One version: what differs between them is the client's, and tested there."""
    return "3.1"


@pytest.fixture
def browser(registry: Registry, as_jonas: Client) -> Client:
    """Jonas, before a registry."""
    return as_jonas


def manifest_url(digest: str) -> str:
    return f"{APP}-/manifests/{digest}/"


def facts(page: Page) -> dict[str, str]:
    return {words(div.css_first("dt")): words(div.css_first("dd")) for div in page.tree.css("dl.facts > div")}


def lading(page: Page) -> dict[str, str]:
    return {words(div.css_first("dt")): words(div.css_first("dd")) for div in page.tree.css("dl.lading > div")}


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


# An index


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


# Layers


HISTORY = [
    {"created_by": "/bin/sh -c #(nop) ADD file:abc in / "},
    {"created_by": '/bin/sh -c #(nop)  CMD ["bash"]', "empty_layer": True},
    {"created_by": "RUN /bin/sh -c apt-get install -y curl # buildkit"},
    {"created_by": "/bin/sh -c echo done"},
    {"created_by": "ENV A=1", "empty_layer": True},
]


def test_layers_stand_beside_the_step_that_made_them(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0", layers=[b"a" * 6000, b"b" * 3000, b"c" * 1000], config={"history": HISTORY})
    page = look(browser, TAG)
    rows = page.tree.css("table.layers tbody tr")
    steps = [(words(row.css_first("td.n")), words(row.css_first("code"))) for row in rows]
    assert steps == [
        ("1", "ADD file:abc in /"), ("", 'CMD ["bash"]'), ("2", "RUN apt-get install -y curl"), ("3", "RUN echo done"),
        ("", "ENV A=1"),
    ]  # fmt: skip
    figures = [
        tuple(words(row.css_first(f'td[data-label="{label}"]')) for label in ("Size", "Share", "Cumulative"))
        for row in rows
        if "step" not in str(row.attributes.get("class"))
    ]
    assert figures == [
        ("5.9 KiB", "60.0 %", "5.9 KiB"),
        ("2.9 KiB", "30.0 %", "8.8 KiB"),
        ("1,000 B", "10.0 %", "9.8 KiB"),
    ]
    assert "Show the 2 steps that made no layer" in page.text("table.layers caption")
    assert page.text("table.layers tfoot") == "3 layers 9.8 KiB"
    assert page.links("table.layers td a")[digest_of(b"a" * 6000)[7:19]] == f"{APP}-/blobs/{digest_of(b'a' * 6000)}/"
    stairs = [(rect.attributes["x"], rect.attributes["width"]) for rect in page.tree.css("td.stair .seg")]
    assert stairs == [("0.000%", "60.000%"), ("60.000%", "30.000%"), ("90.000%", "10.000%")]


def test_history_that_does_not_fit_the_layers_is_not_believed(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0", layers=[b"a", b"b"], config={"history": HISTORY[:1]})
    page = look(browser, TAG)
    assert page.texts("table.layers tbody code") == [media_types.OCI_LAYER_GZIP] * 2


def test_same_layer_twice_counts_once_in_the_size_of_the_image(browser: Client, fake: FakeRegistry) -> None:
    image = fake.push_image("team/app", "1.0", layers=[b"a" * 4096, b"a" * 4096], config={"author": "x" * 1000})
    config = json.loads(image.raw)["config"]["size"]
    assert look(browser, TAG).node("dl.lading data").attributes["value"] == str(4096 + config)


def test_foreign_layers_are_said_to_lie_elsewhere_and_not_counted(browser: Client, fake: FakeRegistry) -> None:
    config = fake.upload_blob(NAME, b"{}")
    own = fake.upload_blob(NAME, b"own" * 1000)
    foreign = descriptor(media_types.DOCKER_FOREIGN_LAYER, "sha256:" + "f" * 64, 10**9) | {
        "urls": ["https://elsewhere.test/x"]
    }
    document = {
        "schemaVersion": 2, "mediaType": media_types.DOCKER_MANIFEST,
        "config": descriptor(media_types.DOCKER_CONFIG, config, 2),
        "layers": [foreign, descriptor(media_types.DOCKER_LAYER_GZIP, own, 3000)],
    }  # fmt: skip
    fake.put_manifest(NAME, "1.0", media_types.DOCKER_MANIFEST, json.dumps(document).encode())
    page = look(browser, TAG)
    rows = page.tree.css("table.layers tbody tr")
    assert "lies elsewhere" in words(rows[0])
    assert rows[0].css_first("td.f-digest a") is None
    assert words(rows[1].css_first('td[data-label="Share"]')) == "100.0 %"
    assert page.node("dl.lading data").attributes["value"] == "3002"
    assert "elsewhere.test" not in "".join(page.attributes("a", "href"))


# Configuration


CONFIG = {
    "author": "Ada", "created": "2026-03-04T05:06:07Z",
    "config": {
        "Entrypoint": ["/entry", "--a=1 && b"], "Cmd": ["serve"], "User": "app:app", "WorkingDir": "/srv",
        "Env": ["PATH=/usr/bin", "DB_PASSWORD=hunter2", "API_KEY=", "GITHUB_TOKEN=ghp_abc", "EMPTY"],
        "ExposedPorts": {"8080/tcp": {}, "53/udp": {}}, "Volumes": {"/data": {}}, "StopSignal": "SIGINT",
        "Healthcheck": {"Test": ["CMD-SHELL", "curl -f http://localhost/"], "Interval": 30_000_000_000},
        "Labels": {"org.opencontainers.image.source": "https://example.com/app", "com.example.team": "core"},
    },
}  # fmt: skip


def test_configuration_as_people_read_it(browser: Client, fake: FakeRegistry) -> None:
    image = fake.push_image("team/app", "1.0", config=CONFIG, annotations={"org.opencontainers.image.title": "The app"})
    page = look(browser, TAG)
    told = facts(page)
    expected = {
        "Entrypoint": "/entry --a=1 && b", "Command": "serve", "User": "app:app", "Working directory": "/srv",
        "Ports": "53/udp, 8080/tcp", "Volumes": "/data", "Stop signal": "SIGINT", "Author": "Ada",
        "Health check": "curl -f http://localhost/ every 30 s",
        "source": "https://example.com/app", "com.example.team": "core", "title": "The app",
    }  # fmt: skip
    assert told | expected == told
    assert page.links("dl.facts a") == {"the configuration blob": f"{APP}-/blobs/{image.config}/"}
    assert "org.opencontainers.image.*" in page.text(".help")
    assert lading(page)["Created"].endswith("4 March 2026, 05:06:07 UTC")


def test_what_looks_like_a_secret_is_masked_until_asked_for(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0", config=CONFIG)
    page = look(browser, TAG)
    lines = {words(li.css_first("code")): li for li in page.tree.css("li.variable")}
    assert [name for name, li in lines.items() if li.css_first("details.masked-value")] == [
        "DB_PASSWORD=",
        "GITHUB_TOKEN=",
    ]
    assert not page.has("details[open]")
    for secret in ("hunter2", "ghp_abc"):
        for node in page.tree.css("details"):
            node.decompose()
        assert secret not in page.text("body")


def test_documents_as_formatted_json(browser: Client, fake: FakeRegistry) -> None:
    image = fake.push_image("team/app", "1.0", config=CONFIG)
    manifest, config = (node.text() for node in look(browser, TAG).tree.css("pre.json"))
    assert json.loads(manifest) == json.loads(image.raw)
    assert json.loads(config)["config"]["Entrypoint"] == ["/entry", "--a=1 && b"]
    assert manifest.startswith("{\n  ")


def test_date_of_a_reproducible_build_is_not_told(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0", config={"created": "1970-01-01T00:00:00Z"})
    page = look(browser, TAG)
    assert lading(page)["Created"] == "not told a reproducible build says 1970-01-01T00:00:00Z"
    assert page.texts("dl.figures dt") == ["compressed"]


@pytest.mark.parametrize(
    "body",
    [b"<html>It works</html>", b'{"truncated": ', b'["a list"]', b'{"config": 7, "history": {"a": 1}, "os": 3}', b""],
)
def test_config_of_nonsense_is_still_a_page(browser: Client, fake: FakeRegistry, body: bytes) -> None:
    fake.push_artifact(
        "team/app",
        "1.0",
        config=body,
        config_type=media_types.OCI_CONFIG,
        layers=[(media_types.OCI_LAYER_GZIP, b"layer")],
    )
    page = look(browser, TAG)
    assert len(page.tree.css("table.layers tbody tr")) == 1
    assert lading(page)["Created"] == "not told"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("html", "sent content that is not what was asked for"),
        ("fault", "has a fault"),
        ("html-404", "There is no registry at"),
    ],
)
def test_config_that_could_not_be_read_is_said_and_the_rest_stands(
    browser: Client, fake: FakeRegistry, kind: str, said: str
) -> None:
    image = fake.push_image("team/app", "1.0", layers=[b"layer"])
    fake.break_with(kind, f"GET /v2/team/app/blobs/{image.config}")
    page = look(browser, TAG)
    assert said in page.text(".notice.danger")
    assert len(page.tree.css("table.layers tbody tr")) == 1
    assert not page.has("#conf-h")


def test_config_that_is_not_there(browser: Client, fake: FakeRegistry) -> None:
    image = fake.push_image("team/app", "1.0")
    fake.state.repositories["team/app"].layers.discard(str(image.config))
    assert "No such blob on registry.test:5000" in look(browser, TAG).text(".notice.danger")


# Other things than images


def test_schema_1_is_shown_as_legacy_without_invented_sizes(browser: Client, fake: FakeRegistry) -> None:
    layers = ["sha256:" + c * 64 for c in "ab"]
    document = {
        "schemaVersion": 1,
        "name": "team/app",
        "fsLayers": [{"blobSum": d} for d in layers],
        "history": [{"v1Compatibility": "{}"}] * 2,
    }
    fake.put_manifest(NAME, "1.0", media_types.DOCKER_SCHEMA1_SIGNED, json.dumps(document).encode())
    page = look(browser, TAG)
    assert page.text(".lede") == "Legacy image"
    assert lading(page)["Media type"].startswith("Docker image manifest, version 1, signed")
    assert lading(page)["Size, compressed"] == "—"
    assert page.texts("dl.figures dd") == ["—"]
    assert page.texts("table.layers td.f-digest") == ["b" * 12, "a" * 12], "the base first"
    assert "0 B" not in page.text()


def test_helm_chart(browser: Client, fake: FakeRegistry) -> None:
    fake.push_artifact(
        "team/app", "1.0", config=b'{"name": "app", "version": "1.0"}', config_type=media_types.HELM_CONFIG,
        layers=[(media_types.HELM_CHART, b"chart")], annotations={"org.opencontainers.image.description": "A chart"},
    )  # fmt: skip
    page = look(browser, TAG)
    assert page.text(".lede") == "Helm chart"
    assert lading(page)["Kind"] == f"Helm chart {media_types.HELM_CONFIG}"
    assert page.texts("table.layers tbody code") == [media_types.HELM_CHART]
    assert facts(page) == {"description": "A chart"}
    assert json.loads(page.tree.css("pre.json")[1].text())["name"] == "app"


def test_artifact_attached_to_an_image_links_to_it(browser: Client, fake: FakeRegistry) -> None:
    image = fake.push_image("team/app", "0.9")
    fake.push_artifact("team/app", "1.0", artifact_type="application/vnd.example.report", subject=image)
    page = look(browser, TAG)
    assert page.links("dl.lading a") == {image.digest: manifest_url(image.digest)}
    assert lading(page)["Kind"] == "Artifact application/vnd.example.report"


@pytest.mark.parametrize(
    "raw", [b'{"layers": [{"digest": "sha256:%s", "size": 5}]}' % (b"a" * 64), b"\x00\xff not text", b"[" * 5000]
)
def test_unknown_document_is_unknown_and_never_an_error(browser: Client, fake: FakeRegistry, raw: bytes) -> None:
    fake.put_manifest(NAME, "1.0", "application/vnd.example.unheard-of+json", raw)
    page = look(browser, TAG)
    assert page.text(".lede") == "Unknown"
    assert lading(page)["Media type"] == "Unknown document application/vnd.example.unheard-of+json"


@pytest.mark.parametrize("address", [TAG, APP])
def test_page_does_without_what_a_busy_database_cannot_keep(
    browser: Client, fake: FakeRegistry, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.push_image("team/app", "1.0")

    def busy(*_: object, **__: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(QuerySet, "bulk_create", busy)
    assert "1.0" in look(browser, address).text("main") + look(browser, address).text("h1")
    assert not Content.objects.exists()


def test_media_type_without_end_is_kept_cut(browser: Client, fake: FakeRegistry) -> None:
    """PostgreSQL refuses a text that is longer than its column."""
    fake.put_manifest(NAME, "1.0", "application/" + "x" * 5000, b"{}")
    look(browser, TAG)
    assert [len(row.media_type) for row in Content.objects.all()] == [255]
    assert look(browser, TAG).text(".lede") == "Unknown"


# By digest, and only through the repository that holds it


def test_manifest_by_digest(browser: Client, fake: FakeRegistry) -> None:
    image = fake.push_image("team/app", layers=[b"untagged"])
    page = look(browser, manifest_url(image.digest))
    assert lading(page)["Digest"] == image.digest
    assert page.attributes("h1 [data-copy]", "data-copy") == [f"registry.test:5000/team/app@{image.digest}"]
    assert page.has(".pull code.docker-digest")
    assert not page.has(".pull code.docker-tag")


@pytest.mark.parametrize("version", ["2.8", "3.1"])
def test_digest_of_one_repository_is_not_found_under_another(browser: Client, fake: FakeRegistry) -> None:
    """Our table of bytes knows them all by then; it says nothing about who holds them."""
    image = fake.push_image("team/app", "1.0", layers=[b"secret layer"], config={"author": "somebody"})
    look(browser, TAG)
    fake.push_image("other/app", "1.0", layers=[b"else"])
    for kind, digest in (("manifests", image.digest), ("blobs", image.layers[0]), ("blobs", image.config)):
        assert look(browser, f"{APP}-/{kind}/{digest}/").has("dl.lading")
        page = look(browser, f"/registries/default/other/app/-/{kind}/{digest}/", 404)
        assert str(digest) in page.text("section.state")
        assert "somebody" not in page.html


@pytest.mark.parametrize("version", ["2.8", "3.1"])
def test_index_in_another_repository_does_not_show_children_held_elsewhere(browser: Client, fake: FakeRegistry) -> None:
    image = fake.push_image("team/app", "1.0")
    look(browser, TAG)
    fake.push_index("other/app", "1.0", children=[image])
    page = look(browser, "/registries/default/other/app/-/tags/1.0/")
    assert page.text("section.state.bad h2") == "linux/amd64 is missing"


def test_aliases_of_a_tag(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0", "1", "latest")
    page = look(browser, TAG)
    assert page.text(".lede") == "Image for one platform; also latest , 1"
    assert page.links(".lede a")["latest"] == f"{APP}-/tags/latest/"


def test_cost_of_an_image_page(browser: Client, fake: FakeRegistry, index: dict[str, Any]) -> None:
    look(browser, TAG)
    fake.forget_requests()
    look(browser, TAG)
    asked = [f"{r.method} {r.path.removeprefix('/v2/team/app/')}" for r in fake.requests]
    amd = index["amd"]
    assert sorted(asked) == sorted(
        ["HEAD manifests/1.0", "GET tags/list", f"HEAD blobs/{amd.config}"]
        + [f"GET manifests/{index['arm'].digest}"]  # missing: nothing of it is kept, so it is asked for again
        + [f"HEAD manifests/{digest}" for digest in (amd.digest, index["s390"].digest, index["proof"]["digest"])]
    )


def test_delete_button_for_those_who_may(
    registry: Registry, as_jonas: Client, as_maria: Client, fake: FakeRegistry
) -> None:
    image = fake.push_image("team/app", "1.0")
    assert look(as_maria, TAG).links(".tab-actions a") == {"Delete this tag": f"{APP}-/delete/?tag=1.0"}
    assert not look(as_jonas, TAG).has(".tab-actions")
    assert not look(as_maria, manifest_url(image.digest)).has(".tab-actions")
