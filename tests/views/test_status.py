"""The status page: how the registry stands, line by line, each with the fix, asked by requests that change nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client, override_settings
from django.utils import timezone

from dashboard.models import Notification, NotificationState, Registry, encryption
from dashboard.services import connections
from dashboard.services.notifications import receive
from dashboard.services.notifications.envelope import read_envelope
from tests.fake_registry import FakeRegistry
from tests.support.events import envelope, event

from .page import Page, look, words

STATUS = "/registries/default/-/status/"


@pytest.fixture
def browser(registry: Registry, as_jonas: Client) -> Client:
    """Jonas, before a registry."""
    return as_jonas


def line(page: Page, name: str) -> tuple[str, str, str, str]:
    """Colour, verdict, what was found, and the fix."""
    cells = page.row(name).css("td")
    badge = cells[0].css_first(".badge")
    assert badge is not None
    colours = {"success": "green", "warning": "amber", "danger": "red"}
    colour = colours[str(badge.attributes["class"]).split()[-1]]
    return colour, words(badge), words(cells[1]), words(cells[2])


@pytest.mark.parametrize(
    ("version", "family", "deletion"),
    [
        ("2.8", "CNCF Distribution 2.x", "On, by digest only"),
        ("3.1", "CNCF Distribution 3.x", "On, by tag and by digest"),
    ],
)
def test_registry_that_works(browser: Client, fake: FakeRegistry, family: str, deletion: str) -> None:
    fake.push_image("app", "1.0")
    before = fake.tags("app")
    page = look(browser, STATUS)
    assert line(page, "Registry")[:2] == ("green", family)
    assert "No header tells the exact version." in line(page, "Registry")[2]
    assert line(page, "Deletion")[:2] == ("green", deletion)
    assert line(page, "Authentication")[:2] == ("amber", "Asks nobody for a password")
    assert "may push and delete" in line(page, "Authentication")[2]
    assert line(page, "Storage")[:2] == ("amber", "Not mounted here")
    assert "set in the environment, read-only here" in page.text(".lede")
    assert fake.tags("app") == before
    assert {r.method for r in fake.requests} <= {"GET", "HEAD", "DELETE"}
    assert not [r for r in fake.requests if r.method == "DELETE" and "/app/" in r.path], "never where something is"


@pytest.mark.parametrize(
    ("switch", "verdict", "fix"),
    [
        ("delete", "Off", "REGISTRY_STORAGE_DELETE_ENABLED=true"),
        ("readonly", "Read-only mode", "storage.maintenance.readonly"),
    ],
)
def test_deletion_that_is_switched_off(
    browser: Client, fake: FakeRegistry, switch: str, verdict: str, fix: str
) -> None:
    setattr(fake, switch, switch == "readonly")
    found = line(look(browser, STATUS), "Deletion")
    assert found[:2] == ("amber", verdict)
    assert fix in found[3]


@pytest.mark.parametrize("version", ["3.1"])
class TestFault:
    """A version that deletes tags although deletion is off."""

    @pytest.fixture
    def fake(self, version: str) -> Iterator[FakeRegistry]:
        """Such a registry."""
        with (
            FakeRegistry(version, delete=False, deletes_tags_although_disabled=True) as registry,
            connections.clients_made_by(lambda row: registry.client(name=row.public_host)),
        ):
            yield registry

    def test_is_told_in_red_with_the_version_to_take(self, browser: Client) -> None:
        found = line(look(browser, STATUS), "Faults")
        assert found[:2] == ("red", "Deletes tags although deletion is off")
        assert "3.1.1" in found[3]


@pytest.mark.parametrize("version", ["2.8"])
def test_registry_that_is_down_is_a_line_of_the_page(browser: Client, fake: FakeRegistry) -> None:
    fake.fail_next("", exception="refused", times=None)
    page = look(browser, STATUS)
    assert line(page, "Registry")[:2] == ("red", "registry.test:5000 cannot be reached")
    assert line(page, "Authentication")[:2] == ("amber", "Not known")
    assert line(page, "Deletion")[:2] == ("amber", "Not known")
    fake.heal()
    assert line(look(browser, page.links("p.help a")["Ask again"]), "Registry")[0] == "green"


@pytest.mark.parametrize("version", ["2.8"])
def test_address_that_holds_no_registry(browser: Client, fake: FakeRegistry) -> None:
    fake.break_with("html")
    assert line(look(browser, STATUS), "Registry")[:2] == ("red", "There is no registry at registry.test:5000")


@pytest.mark.parametrize("version", ["2.8"])
@pytest.mark.parametrize(
    ("password", "colour", "verdict"),
    [("robots-word", "green", "Name and password (htpasswd)"), ("another-word", "red", "Refused")],
)
def test_default_credential(registry: Registry, as_jonas: Client, password: str, colour: str, verdict: str) -> None:
    guarded = FakeRegistry("2.8", basic={"robot": "robots-word"})
    with (
        override_settings(REGISTRY_USERNAME="robot", REGISTRY_PASSWORD=password),
        connections.clients_made_by(lambda row: guarded.client(name=row.public_host)),
    ):
        page = look(as_jonas, STATUS)
    found = line(page, "Authentication")
    assert found[:2] == (colour, verdict)
    assert "Everybody here acts as robot, the default credential." in found[2]
    assert ("DASHBOARD_REGISTRY_PASSWORD" in found[3]) is (colour == "red")
    assert password not in page.html


@pytest.mark.parametrize("version", ["2.8"])
def test_mount(browser: Client, registry: Registry, tmp_path: Path) -> None:
    for root, verdict in (
        (tmp_path / "nowhere", "The storage directory is not there"),
        (tmp_path, "That directory is not a registry's storage"),
    ):
        Registry.objects.update(storage_root=str(root))
        found = line(look(browser, STATUS), "Storage")
        assert found[:2] == ("red", verdict)
        assert str(root) in found[2]
    (tmp_path / "docker" / "registry" / "v2" / "repositories").mkdir(parents=True)
    found = line(look(browser, STATUS), "Storage")
    assert found[:2] == ("green", "Mounted")
    assert str(tmp_path) in found[2]


@pytest.mark.parametrize("version", ["3.1"])
class TestNotifications:
    """Whether the registry tells us what happens on it, and what to add where it does not."""

    def yaml_of(self, page: Page) -> Any:
        cell = page.row("Notifications").css("td")[2].css_first("pre")
        return yaml.safe_load(cell.text()) if cell else None

    def test_not_set_up(self, browser: Client) -> None:
        with override_settings(BASE_URL="https://strata.example.com"):
            page = look(browser, STATUS)
        found = line(page, "Notifications")
        assert found[:2] == ("amber", "Not set up")
        assert found[3].startswith("Set DASHBOARD_EVENTS_TOKEN, add this to the registry's configuration")
        [endpoint] = self.yaml_of(page)["notifications"]["endpoints"]
        assert endpoint["url"] == "https://strata.example.com/events/default/"
        assert endpoint["headers"]["Authorization"] == ["Bearer <DASHBOARD_EVENTS_TOKEN>"]
        assert endpoint["ignore"] == {"mediatypes": ["application/octet-stream"]}

    def test_a_registry_of_its_own_needs_a_token_of_its_own(self, browser: Client, registry: Registry) -> None:
        Registry.objects.update(from_environment=False)
        with override_settings(EVENTS_TOKEN="of another"):
            found = line(look(browser, STATUS), "Notifications")
        assert found[:2] == ("amber", "Not set up")
        assert "DASHBOARD_EVENTS_TOKEN" not in found[3]
        Registry.objects.update(encrypted_events_token=encryption.encrypt("its own"))
        assert line(look(browser, STATUS), "Notifications")[:2] == ("amber", "None yet")

    def test_none_yet_and_the_token_is_shown_to_nobody(self, browser: Client) -> None:
        with override_settings(EVENTS_TOKEN="a-secret-token"):
            page = look(browser, STATUS)
        found = line(page, "Notifications")
        assert found[:2] == ("amber", "None yet")
        assert self.yaml_of(page)["notifications"]["endpoints"]
        assert "a-secret-token" not in page.html

    def test_arriving(self, browser: Client, registry: Registry) -> None:
        with override_settings(EVENTS_TOKEN="t"):
            receive.store(registry=registry, events=read_envelope(envelope(event("push", "app"))))
            page = look(browser, STATUS)
            found = line(page, "Notifications")
            assert found == (
                "green", "Arriving",
                "The last came just now; today: 1. None of a pull so far. Waiting for the worker: 1.", "",
            )  # fmt: skip
            assert self.yaml_of(page) is None
            long_ago = timezone.now() - dt.timedelta(days=9)
            receive.store(registry=registry, events=read_envelope(envelope(event("pull", "app"))))
            NotificationState.objects.update(last_at=long_ago, pulls_began_at=dt.datetime(2026, 5, 3, tzinfo=dt.UTC))
            Notification.objects.update(processed_at=long_ago, received_at=long_ago)
            found = line(look(browser, STATUS), "Notifications")
            assert found[2] == "The last came 9 days ago; today: 0. Pulls are known of since 3 May 2026."
