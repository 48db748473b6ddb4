"""Texts that mean harm: what a pusher or a registry wrote stays text, is bounded, and never a link or a secret told."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client, override_settings

from dashboard.models import Registry
from dashboard.registry import media_types
from dashboard.registry.references import parse_repository
from tests.fake_registry import FakeRegistry
from tests.fake_registry.hostile import FORBIDDEN_TAGS, SCRIPT

from .page import Page, look, words

APP = "/registries/default/team/app/"
TAG = f"{APP}-/tags/1.0/"
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
LONG = "x" * 100_000


@pytest.fixture
def version() -> str:
    """One version: the texts are the pusher's."""
    return "3.1"


@pytest.fixture
def browser(registry: Registry, as_jonas: Client) -> Client:
    """Jonas, before a registry."""
    return as_jonas


def config(text: str) -> dict[str, Any]:
    """A configuration with `text` wherever a text may stand."""
    return {
        "author": text, "created": text, "os": text, "architecture": text, "variant": text, "os.version": text,
        "config": {
            "User": text, "WorkingDir": text, "StopSignal": text, "Entrypoint": [text], "Cmd": [text],
            "Env": [f"{text}={text}", f"PASSWORD={text}"], "ExposedPorts": {text: {}}, "Volumes": {text: {}},
            "Labels": {text: text, "org.opencontainers.image.url": text}, "Healthcheck": {"Test": ["CMD", text]},
        },
        "history": [{"created_by": text}, {"created_by": text, "empty_layer": True}],
    }  # fmt: skip


def texts_of(page: Page) -> str:
    """What a reader sees, folds opened."""
    return words(page.tree.body)


def test_markup_anywhere_in_an_image_stays_text(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0", config=config(EVIL), annotations={EVIL: EVIL})
    page = look(browser, TAG)
    assert page.html.count("<script") == 2, "htmx and our own"
    assert not page.has("img")
    assert texts_of(page).count(EVIL) >= 15
    assert not look(browser, APP).has("img")


def test_markup_in_an_index_stays_text(browser: Client, fake: FakeRegistry) -> None:
    image = fake.push_image("team/app", layers=[b"a"])
    child = image.descriptor | {"platform": {"os": EVIL, "architecture": EVIL}, "annotations": {EVIL: EVIL}}
    fake.push_index("team/app", "1.0", children=[child], annotations={EVIL: EVIL})
    for address in (TAG, f"{TAG}?show=index", APP):
        page = look(browser, address)
        assert "<script>alert(1)" in texts_of(page)
        assert not page.has("img")


def test_markup_in_media_types_and_titles_stays_text(browser: Client, fake: FakeRegistry) -> None:
    name = parse_repository("team/app")
    layer = fake.upload_blob(name, b"layer")
    document = {
        "schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "artifactType": EVIL,
        "config": {"mediaType": EVIL, "digest": layer, "size": 5},
        "layers": [
            {"mediaType": EVIL, "digest": layer, "size": 5, "annotations": {"org.opencontainers.image.title": EVIL}},
        ],
    }  # fmt: skip
    fake.put_manifest(name, "1.0", media_types.OCI_MANIFEST, json.dumps(document).encode())
    page = look(browser, TAG)
    assert page.text("table.layers tbody code") == EVIL
    assert not page.has("img")


def test_address_of_a_script_never_becomes_a_link(browser: Client, fake: FakeRegistry) -> None:
    evil = "javascript:alert(1)"
    labels = {f"org.opencontainers.image.{name}": evil for name in ("url", "source", "documentation")}
    fake.push_image("team/app", "1.0", config={"config": {"Labels": labels}}, annotations={"link": evil})
    page = look(browser, TAG)
    assert evil in texts_of(page)
    assert not [a for a in page.attributes("a", "href") if not a.startswith(("/", "#", "?"))]


@pytest.mark.parametrize(
    "text",
    ["\ud800", "a\u202egnp.exe", "\x00\x07\x1b[31m", "zero\u200bwidth\ufeff", "\u2066isolated"],
    ids=["half a character", "turned round", "control characters", "zero width", "isolate"],
)
def test_text_that_hides_turns_or_cannot_be_written_is_made_visible(
    browser: Client, fake: FakeRegistry, text: str
) -> None:
    fake.push_image("team/app", "1.0", config=config(text), annotations={text: text})
    for address in (TAG, APP):
        page = look(browser, address)
        assert not set(page.html) & set(text) - set("agnp.exezerowidthisolated[31m")
    assert "\N{REPLACEMENT CHARACTER}" in look(browser, TAG).html


def test_text_without_end_is_bounded(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0", config=config(LONG), annotations={LONG: LONG})
    assert len(look(browser, TAG).html) < 900_000
    assert len(look(browser, APP).html) < 30_000


def test_document_without_end_is_cut(browser: Client, fake: FakeRegistry) -> None:
    annotations = {f"key-{n}": "v" * 1000 for n in range(3000)}
    fake.push_image("team/app", "1.0", annotations=annotations)
    page = look(browser, TAG)
    assert len(page.html) < 1_500_000
    assert len(page.tree.css("#lab-h ~ dl dt")) == 500
    assert page.node("pre.json").text().endswith("…")


def test_tags_that_nobody_can_ask_for_are_shown_and_never_asked(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    fake.hostile = True
    page = look(browser, APP)
    bad = [row for row in page.tree.css("table.tags tbody tr") if "unsupported name" in words(row)]
    shown = {words(row.css_first(".name")) for row in bad}
    assert shown == {"<img src=x onerror=alert(1)>", "-rf", "a/b", "x" * 127 + "…"}
    assert len(bad) == len(FORBIDDEN_TAGS)
    assert not [row for row in bad if row.css_first("a")]
    assert words(page.row("1.0").css_first(".f-plat")) == "linux amd64"
    assert {r.path for r in fake.requests if r.method == "HEAD"} == {"/v2/team/app/manifests/1.0"}


def test_image_beside_such_tags_is_a_page(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0", "latest")
    fake.hostile = True
    look(browser, APP)
    assert look(browser, TAG).links(".lede a") == {"latest": f"{APP}-/tags/latest/"}


def test_words_of_the_registry_stay_text(browser: Client, fake: FakeRegistry) -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": SCRIPT}]}).encode()
    fake.fail_next("/tags/list", status=403, times=None, headers={"Content-Type": "application/json"}, body=body)
    page = look(browser, APP, 403)
    assert SCRIPT in page.text("dl.said")
    assert not page.has("details[open]")


@override_settings(REGISTRY_USERNAME="robot", REGISTRY_PASSWORD="a-secret-of-the-default")
def test_secrets_that_a_registry_repeats_are_blanked(
    browser: Client, fake: FakeRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    fake.hostile = True
    sent = base64.b64encode(b"robot:a-secret-of-the-default").decode()
    errors = [{"code": "DENIED", "message": f"you sent {sent} a-secret-of-the-default"}]
    body, headers = json.dumps({"errors": errors}).encode(), {"Content-Type": "application/json"}
    fake.fail_next("/tags/list", status=403, times=None, headers=headers, body=body)
    page = look(browser, APP, 403)
    assert "you sent ••• •••" in page.text("dl.said")
    assert "403 to the list of tags as robot" in page.text("section.state")
    for text in (page.html, caplog.text):
        assert "a-secret-of-the-default" not in text
        assert sent not in text


def test_cookies_of_the_registry_are_neither_kept_nor_passed_on(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    fake.hostile = True
    look(browser, APP)
    page = look(browser, TAG)
    assert [r for r in fake.requests if "cookie" in r.headers] == []
    assert "of-somebody-else" not in str(page.headers)


def test_links_of_the_registry_to_elsewhere_are_not_followed(
    browser: Client, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    fake.hostile = True
    for number in range(3):
        fake.push_image(f"r{number}", "1")
    index()
    page = look(browser, "/registries/default/?view=flat")
    assert {"r0", "r1", "r2"} <= set(page.texts(".name"))
    assert "elsewhere.test" not in page.html


@pytest.mark.parametrize("query", [f"?name={EVIL}", f"?platform={EVIL}", f"?show={EVIL}", f"?tool={EVIL}"])
def test_markup_in_the_address_stays_text(browser: Client, fake: FakeRegistry, query: str) -> None:
    fake.push_image("team/app", "1.0")
    for address in ("/registries/default/", APP, TAG):
        page = look(browser, address + query)
        assert not page.has("img")
        assert "<script>alert" not in page.html


def test_markup_in_a_missing_address_stays_text(browser: Client) -> None:
    page = look(browser, f"/registries/default/{EVIL}/", 404)
    assert not page.has("img")
    assert "alert(1)" in page.text("section.state")
