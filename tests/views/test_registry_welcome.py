"""One link for both: who is invited gets a user of the registry in the same step, and is told its password once."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from django.test import Client, override_settings
from django.utils import timezone

from dashboard.models import AuditEntry, Credential, Invitation, Registry, User
from dashboard.services import connections, credentials, people
from dashboard.services.audit import Actor
from tests.fake_registry import FakeRegistry
from tests.support.htpasswd import write_htpasswd
from tests.support.password_file import PasswordFileOnDisk

from .page import Page, look, send

NEW = "/settings/people/new/"
CHOSEN = "quite another long secret"


@pytest.fixture
def version() -> str:
    """A password file is the same to all of them."""
    return "3.1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The password file: a robot of ours."""
    return write_htpasswd(tmp_path / "auth" / "htpasswd", robot="robots-secret")


@pytest.fixture
def fake(version: str, file: Path) -> Iterator[FakeRegistry]:
    """A registry that reads that file at each request."""
    with (
        FakeRegistry(version, basic=PasswordFileOnDisk(file)) as registry,
        connections.clients_made_by(lambda row: registry.client(name=row.public_host)),
    ):
        yield registry


@pytest.fixture(autouse=True)
def mounted(file: Path, registry: Registry) -> Iterator[None]:
    """As the environment says it; people act with their own credential."""
    Registry.objects.update(act_with=Registry.ActWith.OWN)
    with override_settings(HTPASSWD_FILE=str(file), REGISTRY_USERNAME="robot", REGISTRY_PASSWORD="robots-secret"):
        yield


def invite(as_admin: Client, name: str = "eve", **fields: str) -> tuple[str, Page]:
    """The path of the link, and the page that showed it."""
    page = send(as_admin, NEW, 200, username=name, **({"registry_user": "on"} | fields))
    return re.sub(r".*(/invitations/.*)", r"\1", page.text("#link")), page


def accept(client: Client, link: str, status: int = 200) -> Page:
    return send(client, link, status, password=CHOSEN, again=CHOSEN)


def not_made() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.filter(code="registry-user-not-made").values_list("user", "outcome"))


def test_one_link_gives_a_password_here_and_one_there(
    as_admin: Client, client: Client, registry: Registry, file: Path
) -> None:
    before = file.read_bytes()
    form = look(as_admin, NEW)
    assert "checked" in form.node("[name=registry_user]").attributes, "where people act with their own"
    assert "On registry.test:5000" in form.text("main form")
    link, shown = invite(as_admin)
    assert "The user eve of the registry is made then, and its password shown to them alone." in shown.text("main")
    assert file.read_bytes() == before, "an unused link leaves nothing"
    assert "You get a user of the registry too, eve" in look(client, link).text("main")
    page = accept(client, link)
    password = page.text("#password")
    assert re.fullmatch(r"[a-z2-9]{5}(-[a-z2-9]{5}){3}", password)
    assert page.headers["Cache-Control"] == "no-store"
    assert page.texts(".command code")[1:] == [
        "docker login -u eve registry.test:5000",
        "skopeo login -u eve registry.test:5000",
    ]
    assert credentials.verify(registry=registry, username="eve", password=password).accepted
    row = Credential.objects.get()
    assert (row.user, row.username, row.secret()) == (User.objects.get(username="eve"), "eve", password)
    look(client, "/registries/default/")
    codes = AuditEntry.objects.exclude(action="sign-in").order_by("pk").values_list("user", "code", "reason")
    assert list(codes) == [
        ("admin", "person-invited", "eve; registry user: eve"),
        ("eve", "invitation-accepted", ""),
        ("eve", "registry-user-mapped", "eve → eve"),
    ]


def test_the_password_is_in_that_one_answer_alone(
    as_admin: Client, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    link, _ = invite(as_admin)
    password = accept(client, link).text("#password")
    accept(client, link, 410)
    person = f"/settings/people/{User.objects.get(username='eve').pk}/"
    pages = [
        look(client, address).html for address in ("/account/", "/registries/default/", "/registries/default/-/status/")
    ]
    pages += [look(as_admin, address).html for address in (person, "/settings/registries/default/users/")]
    kept = [str(session.get_decoded()) for session in Session.objects.all()]
    kept += [str(list(model.objects.values())) for model in (AuditEntry, Credential, Invitation, User)]
    assert password not in "".join([*pages, *kept, caplog.text])


def test_without_the_wish_nothing_is_made(as_admin: Client, client: Client, file: Path) -> None:
    before = file.read_bytes()
    link, _ = invite(as_admin, registry_user="")
    assert accept(client, link, 302).headers["Location"] == "/"
    assert file.read_bytes() == before
    assert not Credential.objects.exists()


def test_a_new_link_brings_it_too_and_the_old_one_nothing(as_admin: Client, client: Client, file: Path) -> None:
    old, _ = invite(as_admin)
    person = f"/settings/people/{User.objects.get(username='eve').pk}/"
    assert "With it comes the user eve of the registry." in look(as_admin, person).text("main")
    new = re.sub(r".*(/invitations/.*)", r"\1", send(as_admin, person, 200, action="link").text("#link"))
    accept(client, old, 404)
    Invitation.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    accept(client, new, 410)
    assert "eve" not in file.read_text()
    Invitation.objects.update(expires_at=timezone.now() + dt.timedelta(days=1))
    assert accept(client, new).has("#password")
    reset = re.sub(r".*(/invitations/.*)", r"\1", send(as_admin, person, 200, action="link").text("#link"))
    accept(Client(), reset, 302)
    assert file.read_text().count("eve:") == 1, "a new password brings no other user"


def test_it_is_offered_only_where_the_file_is_mounted(as_admin: Client, client: Client) -> None:
    link, _ = invite(as_admin)
    with override_settings(HTPASSWD_FILE=""):
        assert not look(as_admin, NEW).has("[name=registry_user]")
        send(as_admin, NEW, 200, username="ada", registry_user="on")
        accept(client, link, 302)
    assert [row.registry_user for row in Invitation.objects.filter(user__username="ada")] == [""]
    assert "its password file is not here any more" in look(client, "/account/").text(".notice.warning")
    assert not_made() == [("eve", "failed")]
    Registry.objects.update(act_with=Registry.ActWith.DEFAULT)
    assert "checked" not in look(as_admin, NEW).node("[name=registry_user]").attributes


def test_a_name_that_is_taken_is_said_to_the_administrator(as_admin: Client, file: Path) -> None:
    page = send(as_admin, NEW, 422, username="robot", registry_user="on")
    assert "There is a user of that name already." in page.text("form .bad")
    assert "The person can be invited without." in page.text("form .bad")
    file.unlink()
    page = send(as_admin, NEW, 422, username="eve", registry_user="on")
    assert "The password file is not there." in page.text("form .bad")
    assert not User.objects.filter(username__in=("robot", "eve")).exists()


def test_somebody_elses_user_is_never_taken_over(
    as_admin: Client, client: Client, registry: Registry, file: Path
) -> None:
    link, _ = invite(as_admin)
    write_htpasswd(file, robot="robots-secret", eve="of another eve")
    accept(client, link, 302)
    page = look(client, "/account/")
    assert "The user eve of the registry, which was to come with the invitation, could not be made." in page.text(
        "main"
    )
    assert credentials.verify(registry=registry, username="eve", password="of another eve").accepted
    assert not Credential.objects.exists()
    assert not_made() == [("eve", "failed")]
    Registry.objects.update(act_with=Registry.ActWith.DEFAULT)
    shown = look(as_admin, "/registries/default/-/activity/?what=people").text("main")
    assert "got no user of the registry with the invitation" in shown


def test_a_file_that_cannot_be_written_does_not_keep_anybody_out(as_admin: Client, client: Client, file: Path) -> None:
    link, _ = invite(as_admin)
    file.unlink()
    accept(client, link, 302)
    assert "could not be made. Ask an administrator" in look(client, "/account/").text(".notice.warning")
    assert User.objects.get(username="eve").check_password(CHOSEN)
    assert not_made() == [("eve", "failed")]


def test_what_the_registry_does_not_accept_is_taken_back(
    as_admin: Client, client: Client, file: Path, tmp_path: Path
) -> None:
    link, _ = invite(as_admin)
    other = tmp_path / "elsewhere" / "htpasswd"
    other.parent.mkdir()
    other.write_bytes(file.read_bytes())
    with override_settings(HTPASSWD_FILE=str(other)):
        accept(client, link, 302)
    assert "did not accept the user eve" in look(client, "/account/").text(".notice.warning")
    assert other.read_bytes() == file.read_bytes()
    assert not Credential.objects.exists()
    assert not_made() == [("eve", "failed")]


def test_two_at_once_make_one(as_admin: Client, client: Client, file: Path) -> None:
    link, _ = invite(as_admin)
    accept(client, link)
    accept(Client(), link, 410)
    assert file.read_text().count("eve:") == 1


def test_it_comes_with_an_invitation_alone(registry: Registry) -> None:
    user, made = people.invite(username="ada", full_name="", groups=[], actor=Actor("admin"))
    assert made.registry_user == ""
    assert Invitation.objects.get(user=user).registry_user == ""
