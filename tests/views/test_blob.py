"""The page of a layer or config: what it is, through the repository that holds it, and what is shown of it."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from dashboard.models import Registry
from dashboard.registry.references import short
from tests.fake_registry import FakeRegistry

from .image_page import APP, TAG, lading
from .page import look

CONFIG = {"author": "Ada <ada@example.com>", "config": {"Env": ["DB_PASSWORD=hunter2"]}}


@pytest.fixture
def version() -> str:
    """One version: what differs between them is the client's, and tested there."""
    return "3.1"


@pytest.fixture
def browser(registry: Registry, as_jonas: Client) -> Client:
    """Jonas, before a registry."""
    return as_jonas


def test_a_layer_is_named_measured_and_can_be_fetched(browser: Client, fake: FakeRegistry) -> None:
    digest = fake.push_image("team/app", "1.0", layers=[b"a" * 6000]).layers[0]
    page = look(browser, f"{APP}-/blobs/{digest}/")
    told = lading(page)
    assert told["Digest"] == digest
    assert told["Size, as stored"] == "5.9 KiB 6,000 bytes"
    assert told["Content"].startswith("Not shown")
    assert page.links("dl.lading a") == {"team/app": APP}
    reference = f"registry.test:5000/team/app@{digest}"
    assert page.attributes("h1 [data-copy]", "data-copy") == [reference]
    assert page.node(".command code").text() == f"crane blob {reference} > {short(digest)}"
    assert page.links("h1 a") == {
        "registry.test:5000": "/registries/default/",
        "team": "/registries/default/?name=team%2F",
        "app": APP,
    }
    assert not page.has("pre.json")


def test_a_configuration_is_shown_when_asked_for(browser: Client, fake: FakeRegistry) -> None:
    """Folded, because it may hold secrets in plain text."""
    image = fake.push_image("team/app", "1.0", config=CONFIG)
    address = f"{APP}-/blobs/{image.config}/"
    assert not look(browser, address).has("pre.json"), "not known before its image was looked at"
    look(browser, TAG)
    page = look(browser, address)
    assert json.loads(page.text("details:not([open]) pre.json"))["config"] == CONFIG["config"]
    assert page.has("details [data-copy-next]")
    assert lading(page)["Content"] == "Document shown below"
    assert page.text(".lede") == "A document that this repository holds"
