"""An image's configuration, labels and documents, readable or not."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from dashboard.models import Registry
from dashboard.registry import media_types
from tests.fake_registry import FakeRegistry

from .image_page import APP, TAG, facts, lading
from .page import look, words


@pytest.fixture
def version() -> str:
    """One version: what differs between them is the client's, and tested there."""
    return "3.1"


@pytest.fixture
def browser(registry: Registry, as_jonas: Client) -> Client:
    """Jonas, before a registry."""
    return as_jonas


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
