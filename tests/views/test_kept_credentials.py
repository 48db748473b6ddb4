"""Credentials after they were kept: they follow a password that is changed here, and a refused one is one question."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.test import Client, override_settings
from django.utils import timezone

from dashboard.models import AuditEntry, Credential, Invitation, Registry, User
from dashboard.services import access, connections, credentials
from dashboard.services.audit import Actor
from tests.fake_registry import FakeRegistry
from tests.support.htpasswd import write_htpasswd
from tests.support.password_file import PasswordFileOnDisk

from .page import Page, look, page_of, send, words

HOME = "/registries/default/"
USERS = "/settings/registries/default/users/"
GROUPS = "/settings/registries/default/groups/"
SECRET, CHOSEN = "marias-secret-4711", "quite another long secret"


@pytest.fixture
def version() -> str:
    """A password is the same to all of them."""
    return "3.1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The registry's password file."""
    return write_htpasswd(tmp_path / "auth" / "htpasswd", robot="robots-secret", maria=SECRET)


@pytest.fixture
def fake(version: str, file: Path) -> Iterator[FakeRegistry]:
    """A registry that reads that file at each request; it is mounted here."""
    with (
        FakeRegistry(version, basic=PasswordFileOnDisk(file)) as registry,
        connections.clients_made_by(lambda row: registry.client(name=row.public_host)),
        override_settings(HTPASSWD_FILE=str(file), REGISTRY_USERNAME="robot", REGISTRY_PASSWORD="robots-secret"),
    ):
        registry.push_image("team/app", "1.0")
        yield registry


@pytest.fixture
def own(registry: Registry, maria: User, index: Callable[[], None]) -> Registry:
    """People act with their own; Maria has given hers."""
    index()
    registry.act_with = Registry.ActWith.OWN
    registry.save()
    assert credentials.keep(user=maria, registry=registry, username="maria", password=SECRET).accepted
    return registry


@pytest.fixture
def team(registry: Registry, maria: User, index: Callable[[], None]) -> Group:
    """People act with their group's; Maria's has one, under the same name."""
    index()
    registry.act_with = Registry.ActWith.GROUP
    registry.save()
    group = Group.objects.create(name="Team A")
    maria.groups.add(group)
    kept = credentials.keep_for_group(
        group=group, registry=registry, username="maria", password=SECRET, actor=Actor("x")
    )
    assert kept.accepted
    return group


def act(browser: Client, action: str, status: int = 302, **fields: str) -> Page:
    """Sends a form of the users' page as it shows it."""
    seen = look(browser, USERS).attributes("input[name=seen]", "value")[0]
    return send(browser, USERS, status, **({"action": action, "seen": seen, "name": "maria"} | fields))


def changed_outside(file: Path) -> None:
    write_htpasswd(file, robot="robots-secret", maria="changed by hand")
    access.forget()


# Changed here: it follows


@pytest.mark.usefixtures("own")
def test_a_password_changed_here_is_kept_for_its_person_too(as_admin: Client, as_maria: Client) -> None:
    look(as_maria, HOME)
    assert "maria acts with this name here" in look(as_admin, f"{USERS}?user=maria").text("#user")
    page = act(as_admin, "password", 200, password="")
    assert "The credential kept for maria has it too" in page.text(".token-made")
    assert Credential.objects.get().secret() == page.text("#password")
    access.forget()
    look(as_maria, HOME)
    look(as_maria, f"{HOME}team/app/")
    followed = AuditEntry.objects.get(code="credentials-followed")
    assert (followed.user, followed.reason) == ("admin", "maria → maria")
    act(as_admin, "password", password="chosen-by-admin")
    assert "The credential kept for maria has it too" in look(as_admin, USERS).text("main")
    assert Credential.objects.get().secret() == "chosen-by-admin"


def test_that_of_a_group_follows_as_well(as_admin: Client, as_maria: Client, team: Group) -> None:
    act(as_admin, "password", password="chosen-by-admin")
    assert Credential.objects.get().secret() == "chosen-by-admin"
    access.forget()
    look(as_maria, HOME)
    assert "group Team A" in look(as_admin, USERS).text("main")


@pytest.mark.usefixtures("own")
def test_disabled_here_is_refused_at_once_and_enabled_accepted_again(
    as_admin: Client, as_maria: Client, fake: FakeRegistry
) -> None:
    look(as_maria, HOME)
    act(as_admin, "disable")
    assert Credential.objects.get().state == Credential.State.REFUSED
    fake.forget_requests()
    assert "no longer accepts the password of maria" in look(as_maria, HOME, 403).text("main")
    assert "maria" not in {request.user for request in fake.requests}, "nothing is asked with it"
    act(as_admin, "enable")
    assert Credential.objects.get().state == Credential.State.ACCEPTED
    look(as_maria, HOME)


@pytest.mark.usefixtures("own")
def test_of_another_name_nothing_follows(as_admin: Client) -> None:
    act(as_admin, "password", name="robot", password="another for the robot")
    assert Credential.objects.get().secret() == SECRET
    assert not AuditEntry.objects.filter(code="credentials-followed").exists()


# Changed elsewhere: asked about once, then one question


@pytest.mark.usefixtures("own")
def test_a_refused_credential_is_asked_about_once_and_noted(as_maria: Client, file: Path, fake: FakeRegistry) -> None:
    look(as_maria, HOME)
    before = Credential.objects.get().checked_at
    changed_outside(file)
    fake.forget_requests()
    page = look(as_maria, f"{HOME}team/app/", 403)
    assert page.text("section.state h2") == "What is your name and password on registry.test:5000?"
    assert "no longer accepts the password of maria , your own credential. Enter it again." in page.text("main")
    row = Credential.objects.get()
    assert (row.state, row.checked_at > before) == (Credential.State.REFUSED, True)
    tried = [request for request in fake.requests if request.user == "maria"]
    assert 1 <= len(tried) <= 3
    entry = AuditEntry.objects.get(code="credential-refused")
    assert (entry.user, entry.reason) == ("maria", "maria (maria)")
    fake.forget_requests()
    for address in (HOME, f"{HOME}team/app/", f"{HOME}-/activity/", f"{HOME}-/storage/", "/search/?q=app"):
        as_maria.get(address)
    assert "maria" not in {request.user for request in fake.requests}, "registries lock accounts"
    assert AuditEntry.objects.filter(code="credential-refused").count() == 1
    done = as_maria.post("/account/credentials/default/", {"username": "maria", "password": "changed by hand"})
    assert done.status_code == 302
    look(as_maria, HOME)


def test_a_refused_one_of_a_group_says_who_has_to_act_and_can_be_checked_again(
    as_maria: Client, as_admin: Client, team: Group, file: Path
) -> None:
    look(as_maria, HOME)
    changed_outside(file)
    page = look(as_maria, HOME, 403)
    assert "no longer accepts the password of maria , the credential of your group Team A." in page.text("main")
    assert "an administrator of this registry has to enter it" in page.text("main")
    line = words(look(as_admin, GROUPS).row("Team A"))
    assert "maria refused Enter its password again." in line
    send(as_admin, GROUPS, check=str(team.pk))
    assert "less than a minute ago, and was not asked again" in look(as_admin, GROUPS).text("main")
    write_htpasswd(file, robot="robots-secret", maria=SECRET)
    Credential.objects.update(asked_again_at=timezone.now() - dt.timedelta(minutes=2))
    send(as_admin, GROUPS, check=str(team.pk))
    page = look(as_admin, GROUPS)
    assert "accepts the credential of Team A." in page.text("main")
    assert "maria accepted" in words(page.row("Team A"))
    look(as_maria, HOME)


def test_another_group_is_offered_and_never_taken_silently_within_a_page(
    as_maria: Client, as_admin: Client, team: Group, registry: Registry, maria: User, file: Path
) -> None:
    other = Group.objects.create(name="Team B")
    maria.groups.add(other)
    credentials.keep_for_group(
        group=other, registry=registry, username="robot", password="robots-secret", actor=Actor("x")
    )
    look(as_maria, HOME)
    changed_outside(file)
    page = look(as_maria, HOME, 403)
    assert "Go on as robot, the credential of your group Team B" in page.text("section.state")
    look(as_maria, HOME)
    assert "the credential of your group Team B" in look(as_maria, f"{HOME}-/status/").text("main")


# One link for both


def invite(as_admin: Client, name: str = "ada", **more: str) -> str:
    """The address of the link that the page shows."""
    page = send(as_admin, "/settings/people/new/", 200, username=name, full_name="", **more)
    comes_with = f"With it comes the user {name} of the registry" in page.text(".token-made")
    assert comes_with == ("registry_user" in more and look(as_admin, "/settings/people/new/").has("#id_registry_user"))
    return page.text("#link").removeprefix("http://testserver").removeprefix("http://127.0.0.1:8000")


@pytest.mark.usefixtures("own")
def test_one_link_gives_a_sign_in_and_a_user_of_the_registry(as_admin: Client, file: Path, registry: Registry) -> None:
    assert "Also make a user of the registry" in look(as_admin, "/settings/people/new/").text("form.settings-form")
    before = file.read_text()
    link = invite(as_admin, registry_user="on")
    assert file.read_text() == before, "an unused link leaves nothing on the registry"
    client = Client()
    page = page_of(client.post(link, {"password": CHOSEN, "again": CHOSEN}), 200)
    password = page.text("#password")
    assert page.headers["Cache-Control"] == "no-store"
    assert "docker login -u ada registry.test:5000" in page.text("main")
    assert credentials.verify(registry=registry, username="ada", password=password).accepted
    row = Credential.objects.get(username="ada")
    assert (row.user, row.secret()) == (User.objects.get(username="ada"), password)
    look(client, HOME)
    for address in ("/account/", HOME, "/account/credentials/default/"):
        assert password not in look(client, address).html
    assert password not in str(list(AuditEntry.objects.values())) + str(list(Invitation.objects.values()))
    assert client.post(link, {"password": CHOSEN, "again": CHOSEN}).status_code == 410


@pytest.mark.usefixtures("own")
def test_without_the_wish_nothing_is_made(as_admin: Client, file: Path) -> None:
    before = file.read_text()
    link = invite(as_admin)
    assert Client().post(link, {"password": CHOSEN, "again": CHOSEN}).status_code == 302
    assert file.read_text() == before


@pytest.mark.usefixtures("own")
def test_a_name_that_is_taken_on_the_registry_is_said_before(as_admin: Client) -> None:
    write = {"username": "robot", "full_name": "", "registry_user": "on"}
    page = send(as_admin, "/settings/people/new/", 422, **write)
    assert "There is a user of that name already." in page.text("#id_registry_user_error")
    assert not User.objects.filter(username="robot").exists()


@pytest.mark.usefixtures("own")
def test_what_hinders_it_never_hinders_the_sign_in(as_admin: Client, file: Path) -> None:
    link = invite(as_admin, registry_user="on")
    file.unlink()
    client = Client()
    assert client.post(link, {"password": CHOSEN, "again": CHOSEN}).status_code == 302
    assert "could not be made. The password file is not there." in look(client, "/account/").text("main")
    failed = AuditEntry.objects.get(code="registry-user-not-made")
    assert (failed.user, failed.outcome, failed.reason) == ("ada", "failed", "ada")
    assert not Credential.objects.filter(username="ada").exists()


def test_where_no_file_is_mounted_it_is_not_offered(as_admin: Client, own: Registry) -> None:
    with override_settings(HTPASSWD_FILE=""):
        assert "Also make a user" not in look(as_admin, "/settings/people/new/").text("form.settings-form")
        link = invite(as_admin, registry_user="on")
        assert Client().post(link, {"password": CHOSEN, "again": CHOSEN}).status_code == 302
