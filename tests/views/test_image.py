"""An image by tag and by digest, only through the repository that holds it; its other names; what is kept of it."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.db.models import QuerySet
from django.test import Client

from dashboard.models import Content, Registry
from tests.fake_registry import FakeRegistry

from .image_page import APP, NAME, TAG, lading, manifest_url
from .page import look


@pytest.fixture
def version() -> str:
    """One version: what differs between them is the client's, and tested there."""
    return "3.1"


@pytest.fixture
def browser(registry: Registry, as_jonas: Client) -> Client:
    """Jonas, before a registry."""
    return as_jonas


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


def test_delete_button_for_those_who_may(
    registry: Registry, as_jonas: Client, as_maria: Client, fake: FakeRegistry
) -> None:
    image = fake.push_image("team/app", "1.0")
    assert look(as_maria, TAG).links(".tab-actions a")["Delete this tag"] == f"{APP}-/delete/?tag=1.0"
    assert not look(as_jonas, TAG).has(".tab-actions")
    assert look(as_maria, manifest_url(image.digest)).links(".tab-actions a").keys() == {"Add a tag"}


def test_page_does_without_what_a_busy_database_cannot_keep(
    browser: Client, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.push_image("team/app", "1.0")

    def busy(*_: object, **__: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(QuerySet, "bulk_create", busy)
    assert "1.0" in look(browser, TAG).text("h1")
    assert not Content.objects.exists()


def test_media_type_without_end_is_kept_cut(browser: Client, fake: FakeRegistry) -> None:
    """PostgreSQL refuses a text that is longer than its column."""
    fake.put_manifest(NAME, "1.0", "application/" + "x" * 5000, b"{}")
    look(browser, TAG)
    assert [len(row.media_type) for row in Content.objects.all()] == [255]
    assert look(browser, TAG).text(".lede") == "Unknown"
