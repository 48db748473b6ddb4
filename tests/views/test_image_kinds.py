"""What is no image in today's form: schema 1, charts, artifacts, documents that nobody knows."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from dashboard.models import Registry
from dashboard.registry import media_types
from tests.fake_registry import FakeRegistry

from .image_page import NAME, TAG, facts, lading, manifest_url
from .page import look


@pytest.fixture
def version() -> str:
    """One version: what differs between them is the client's, and tested there."""
    return "3.1"


@pytest.fixture
def browser(registry: Registry, as_jonas: Client) -> Client:
    """Jonas, before a registry."""
    return as_jonas


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
