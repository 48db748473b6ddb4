"""The status page: how the registry stands, line by line, each with the fix, asked by requests that change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client, override_settings

from dashboard.models import Registry
from dashboard.services import connections
from tests.fake_registry import FakeRegistry

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
