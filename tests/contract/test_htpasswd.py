"""A real registry with a password file, over TLS from a private authority: users made here open it at once, what people
do through the dashboard stands under their own names, and a password that changed elsewhere leads to one question."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from pytest_django import Settings

from dashboard.models import AuditEntry, Credential, DeletionItem, Registry, Role, User
from dashboard.registry import errors, htpasswd
from dashboard.registry.auth import Credential as ClientCredential
from dashboard.registry.client import RegistryClient
from dashboard.registry.references import parse_repository
from dashboard.services import access, connections, registry_users
from dashboard.services.audit import Actor
from tests.conftest import PASSWORD
from tests.support.deleting import Desk
from tests.support.htpasswd import write_htpasswd
from tests.support.images import push_image
from tests.support.people import let
from tests.support.receivers import Hook, hook
from tests.support.registries import Kind, RunningRegistry, binary, missing, start_registry
from tests.support.tls import make_certificates
from tests.views.page import look, page_of, send

APP = parse_repository("team/app")
ROBOT = ClientCredential("robot", "robots-secret")
BY = Actor("admin", "192.0.2.1")

pytestmark = [pytest.mark.contract, pytest.mark.django_db]
skopeo_is_here = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")


@dataclass
class Place:
    """The registry, its row, its password file, what it notified, and the directory of its authority's certificate."""

    running: RunningRegistry
    row: Registry
    file: Path
    notified: Hook
    certificates: Path

    def seen(self) -> str:
        """As the page would hand it out."""
        return registry_users.shown(self.row).seen

    def skopeo(self, *arguments: str, given: str = "") -> bool:
        """Whether skopeo succeeds; `given` on its standard input."""
        where = ["--cert-dir", str(self.certificates), "--authfile", str(self.certificates / "auth.json")]
        command = ["skopeo", "--insecure-policy", arguments[0], *where, *arguments[1:]]
        return (
            subprocess.run(command, input=given.encode(), capture_output=True, timeout=60, check=False).returncode == 0
        )

    def login(self, name: str, password: str) -> bool:
        """Whether skopeo may sign in."""
        return self.skopeo("login", "--username", name, "--password-stdin", self.running.host, given=password)

    def deletions(self) -> list[dict[str, Any]]:
        """Events of deletions, as the registry sent them."""
        events = [event for _, envelope in self.notified.received for event in envelope["events"]]
        return [event for event in events if event["action"] == "delete"]


@pytest.fixture(params=["2.8", "3.1"])
def place(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings, db: None) -> Iterator[Place]:
    """A registry with one user, the dashboard's; people act with their own."""
    kind: Kind = request.param
    if binary(kind) is None:
        pytest.skip(missing(kind))
    certificates = make_certificates(tmp_path / "tls")
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    (trusted / "ca.crt").write_bytes(certificates.authority.read_bytes())
    file = write_htpasswd(tmp_path / "auth" / "htpasswd", robot=ROBOT.password)
    settings.HTPASSWD_FILE, settings.REGISTRY_USERNAME, settings.REGISTRY_PASSWORD = str(file), "robot", ROBOT.password
    clients: list[RegistryClient] = []

    def make(row: Registry) -> RegistryClient:
        clients.append(RegistryClient(row.url, name=row.public_host, ca_file=row.ca_file))
        return clients[-1]

    with hook() as notified, connections.clients_made_by(make):
        endpoint = {"name": "test", "url": notified.url, "timeout": "5s", "threshold": 3, "backoff": "1s"}
        running = start_registry(
            kind, tmp_path / "registry", htpasswd=file, tls=certificates, notifications={"endpoints": [endpoint]}
        )
        row = Registry.objects.create(
            slug="default",
            url=running.url,
            public_host=running.host,
            ca_file=str(certificates.authority),
            act_with=Registry.ActWith.OWN,
            from_environment=True,
        )
        with closing(make(row)) as client:
            push_image(client.session(ROBOT), APP, "1.0", "latest")
        yield Place(running, row, file, notified, trusted)
        running.stop()
    for made in clients:
        made.close()


@pytest.fixture
def alice(db: None) -> User:
    """May delete here; has no credential yet."""
    user = User.objects.create_user("alice", password=PASSWORD)
    let(user, Role.MAINTAINER)
    return user


@skopeo_is_here
def test_what_is_done_to_a_user_holds_at_once_and_without_a_restart(place: Place) -> None:
    row = place.row
    assert not place.login("eve", "eves-secret")
    written = registry_users.add(registry=row, name="eve", password="eves-secret", seen=place.seen(), actor=BY)
    assert written.verdict is not None
    assert written.verdict.accepted
    assert place.login("eve", "eves-secret")
    assert place.skopeo("list-tags", f"docker://{place.running.host}/{APP}")
    registry_users.disable(registry=row, name="eve", seen=place.seen(), actor=BY)
    assert not place.login("eve", "eves-secret")
    registry_users.enable(registry=row, name="eve", seen=place.seen(), actor=BY)
    assert place.login("eve", "eves-secret")
    made = registry_users.set_password(registry=row, name="eve", password="", seen=place.seen(), actor=BY)
    assert not place.login("eve", "eves-secret")
    assert place.login("eve", made.password)
    registry_users.remove(registry=row, name="eve", seen=place.seen(), actor=BY)
    assert not place.login("eve", made.password)
    assert place.login(ROBOT.username, ROBOT.password), "others are not touched"
    assert place.running.process.poll() is None


@skopeo_is_here
@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("zoë", "pässwörd"),
        ("a b", " with blanks "),
        ("x" * 255, "y" * 72),
        ("a#b$c", "colons: and #s"),
        ("系统", "密码密码密码"),
    ],
)  # fmt: skip
def test_every_name_and_password_that_is_taken_here_is_taken_there(place: Place, name: str, password: str) -> None:
    written = registry_users.add(registry=place.row, name=name, password=password, seen=place.seen(), actor=BY)
    assert written.verdict is not None
    assert written.verdict.accepted
    assert place.login(name, password)
    assert not place.login(name, f"{password[:-1]}?")


def test_a_line_without_a_colon_makes_it_answer_400_until_it_is_mended(place: Place) -> None:
    with closing(RegistryClient(place.row.url, ca_file=place.row.ca_file)) as client:
        place.file.write_text(f"{place.file.read_text()}no colon\n")
        with pytest.raises(errors.Rejected, match="status 400"):
            client.session(ROBOT).ping()
        with pytest.raises(htpasswd.Refused):
            registry_users.add(registry=place.row, name="eve", password="", seen=place.seen(), actor=BY)
        registry_users.mend(registry=place.row, seen=place.seen(), actor=BY)
        registry_users.add(registry=place.row, name="eve", password="eves-secret", seen=place.seen(), actor=BY)
        assert client.session(ClientCredential("eve", "eves-secret")).ping().status == 200


def test_a_deletion_by_somebody_stands_in_the_notifications_under_that_name(place: Place, alice: User) -> None:
    written = registry_users.map_to(registry=place.row, user=alice, name="alice", seen=place.seen(), actor=BY)
    assert written.verdict is not None
    assert written.verdict.accepted
    acting = access.access_to(user=alice, registry=place.row).acting
    assert (acting.name, acting.own) == ("alice", connections.OwnCredential.USABLE)
    desk = Desk(place.row, alice, acting.session)
    desk_row = desk.delete(APP, "1.0")
    assert desk_row.state == DeletionItem.State.DONE
    assert sorted(desk.session.tags(APP)) == ["latest"]
    end = time.monotonic() + 15
    while not place.deletions():
        assert time.monotonic() < end, place.notified.received
        time.sleep(0.05)
    assert {event["actor"].get("name") for event in place.deletions()} == {"alice"}


def test_a_password_that_changed_elsewhere_leads_to_one_question(place: Place, alice: User) -> None:
    registry_users.map_to(registry=place.row, user=alice, name="alice", seen=place.seen(), actor=BY)
    browser = Client()
    browser.force_login(alice)
    tags = f"/registries/default/{APP}/"
    assert "latest" in look(browser, tags).text("main")
    file = htpasswd.parse(place.file.read_text()).set_hash("alice", htpasswd.hash_password("her own choice", cost=4))
    place.file.write_text(file.text)
    access.forget()
    for address in (tags, "/registries/default/", f"{tags}-/delete/?tag=1.0"):
        page = look(browser, address, 403)
        assert page.text("section.state h2") == f"What is your name and password on {place.running.host}?"
        assert "no longer accepts the password of alice" in page.text("section.state p")
    assert Credential.objects.get().state == Credential.State.REFUSED
    answer = browser.post(
        "/account/credentials/default/", {"username": "alice", "password": "her own choice"}, follow=True
    )
    assert "accepted your credential" in page_of(answer, 200).text("main")
    assert Credential.objects.get().secret() == "her own choice"
    assert "latest" in look(browser, tags).text("main")


@skopeo_is_here
def test_one_link_is_enough_for_somebody_new_and_stays_enough(
    place: Place, as_admin: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Invited with one link, signed in at both, and never asked again until the password changes behind our back."""
    caplog.set_level("DEBUG")
    shown = send(as_admin, "/settings/people/new/", 200, username="erin", registry_user="on")
    link = urlsplit(shown.text("#link")).path
    let(User.objects.get(username="erin"), Role.READER)
    assert "erin" not in place.file.read_text()
    browser, said = Client(), []
    password = send(browser, link, 200, password=PASSWORD, again=PASSWORD).text("#password")
    assert place.login("erin", password)
    tags, users = f"/registries/default/{APP}/", "/settings/registries/default/users/"
    said.append(look(browser, tags).html)
    assert "latest" in said[0]

    made = send(as_admin, users, 200, action="password", name="erin", password="", seen=place.seen())
    assert "It is kept here as the credential of erin, who need do nothing." in made.text("main")
    changed = made.text("#password")
    assert not place.login("erin", password)
    assert place.login("erin", changed)
    said += [look(browser, page).html for page in (tags, "/registries/default/", f"{tags}-/tags/latest/", "/account/")]
    assert "accepted as erin , your own credential" in look(browser, "/account/").text("table.accounts")

    file = htpasswd.parse(place.file.read_text()).set_hash("erin", htpasswd.hash_password("by hand", cost=4))
    place.file.write_text(file.text)
    access.forget()
    for address in (tags, "/registries/default/", f"{tags}-/tags/latest/"):
        page = look(browser, address, 403)
        assert page.links("section.state a") == {"Enter it again": "/account/credentials/default/"}
        said.append(page.html)
    said += [look(as_admin, address).html for address in (users, "/settings/people/", "/registries/default/-/status/")]
    said += [caplog.text, str(list(AuditEntry.objects.values())), str(list(Credential.objects.values()))]
    for secret in (password, changed):
        assert not any(secret in text for text in said), "in that one answer alone"
