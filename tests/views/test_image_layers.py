"""Layers of an image: beside the steps that made them, their sizes, and those that lie elsewhere."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from dashboard.models import Registry
from dashboard.registry import media_types
from dashboard.registry.references import digest_of
from tests.fake_registry import FakeRegistry
from tests.support.images import descriptor

from .image_page import APP, NAME, TAG
from .page import look, words


@pytest.fixture
def version() -> str:
    """One version: what differs between them is the client's, and tested there."""
    return "3.1"


@pytest.fixture
def browser(registry: Registry, as_jonas: Client) -> Client:
    """Jonas, before a registry."""
    return as_jonas


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
