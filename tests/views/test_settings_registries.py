"""Registries in the interface: who may, what is refused by field, what is kept of secrets, and what goes on removal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone

from dashboard.models import (
    Content,
    Credential,
    Deletion,
    DeletionItem,
    DeletionPlan,
    IndexedRepository,
    IndexedTag,
    Job,
    Registry,
    Role,
    TagPeriod,
    TrashedManifest,
    UsageSnapshot,
    User,
    encryption,
)
from dashboard.services import connections, credentials, registries
from dashboard.services.index.refresh import ask_for_refresh
from dashboard.services.notifications.tokens import sender
from dashboard.tasks import run_job
from tests.fake_registry import FakeRegistry
from tests.support.people import let
from tests.support.tls import make_certificates

from .page import Page, look, page_of, send, words

LIST = "/settings/registries/"
NEW = f"{LIST}new/"
EDIT = f"{LIST}second/"
REMOVE = f"{EDIT}remove/"
URL = "http://second.test:5000"
SECRET = "robots-own-secret-4711"


@pytest.fixture
def version() -> str:
    """What a registry answers to a greeting differs in nothing that matters here."""
    return "3.1"


@pytest.fixture
def people() -> dict[str, str]:
    """The password file of the second registry."""
    return {"robot": SECRET}


@pytest.fixture
def second(people: dict[str, str], version: str) -> Iterator[FakeRegistry]:
    """A registry that wants a password, behind every client of the test."""
    with (
        FakeRegistry(version, url=URL, basic=people) as fake,
        connections.clients_made_by(lambda row: fake.client(name=row.public_host)),
    ):
        fake.push_image("team/app", "1.0")
        yield fake


def described(**changes: Any) -> dict[str, Any]:
    """The form as a person fills it in."""
    fields = {
        "slug": "second", "url": URL, "public_host": "", "ca_file": "", "storage_root": "", "act_with": "default",
        "refresh_minutes": "5", "default_username": "", "password": "",
    }  # fmt: skip
    return fields | changes


def add(as_admin: Client, status: int = 302, **changes: Any) -> Page:
    return send(as_admin, NEW, status, **described(**changes))


def change(as_admin: Client, status: int = 302, **changes: Any) -> Page:
    return send(as_admin, EDIT, status, **described(**changes))


def row() -> Registry:
    return Registry.objects.get(slug="second")


def notices(as_admin: Client) -> str:
    return " ".join(look(as_admin, EDIT).texts(".notice"))


# Who may


@pytest.mark.parametrize("address", [LIST, NEW, EDIT, REMOVE])
def test_only_who_may_change_registries_gets_there(
    second: FakeRegistry, as_admin: Client, as_maria: Client, maria: User, address: str
) -> None:
    add(as_admin)
    for answer in (
        look(as_maria, address, 403),
        page_of(as_maria.post(address, described(slug="third")), 403 if address != LIST else 405),
    ):
        assert answer.status == 405 or answer.text("h1") == "Not permitted"
    assert not look(as_maria, "/account/").has(f'a[href="{LIST}"]')
    assert Client().get(address).status_code == 302
    let(maria, Role.ADMINISTRATOR, registry=Registry.objects.get())
    look(as_maria, address, 403)
    let(maria, Role.ADMINISTRATOR)
    look(as_maria, address)
    assert look(as_maria, "/account/").links(".account-menu a")["Registries"] == LIST
    assert Registry.objects.count() == 1


def test_environments_registry_is_shown_and_read_only(registry: Registry, as_admin: Client) -> None:
    with override_settings(REGISTRY_USERNAME="robot", REGISTRY_PASSWORD=SECRET, EVENTS_TOKEN="token-of-the-env"):
        page = look(as_admin, f"{LIST}default/")
        assert "read-only here" in page.text(".lede")
        assert "DASHBOARD_REGISTRY_URL" in page.text("dl.facts")
        assert "robot" in page.text("dl.facts")
        assert not page.has("main form")
        assert SECRET not in page.html
        assert "token-of-the-env" not in page.html
    for address in (f"{LIST}default/", f"{LIST}default/remove/"):
        done = send(as_admin, address, slug="default", action="make-token", url=URL)
        assert done.headers["Location"] == f"{LIST}default/"
    assert "is read-only here" in look(as_admin, f"{LIST}default/").text(".notice.danger")
    registry.refresh_from_db()
    assert (registry.url, registry.encrypted_events_token) == ("http://registry.test:5000", "")
    assert "of the environment, read-only" in look(as_admin, LIST).text("table.registries")


# Adding, and what is refused


def test_added_registry_is_read_and_shown(second: FakeRegistry, as_admin: Client) -> None:
    done = add(as_admin, default_username="robot", password=SECRET, sign_in="on", refresh_minutes="30")
    assert done.headers["Location"] == EDIT
    said = notices(as_admin)
    assert "second.test:5000 was saved." in said
    assert "It accepts robot; the password is kept encrypted." in said
    assert "CNCF Distribution 3.x" in said
    kept = row()
    assert (kept.url, kept.public_host, kept.refresh_minutes, kept.sign_in) == (URL, "second.test:5000", 30, True)
    assert (kept.default_username, kept.default_origin, kept.default_password()) == ("robot", URL, SECRET)
    job = Job.objects.get()
    assert (job.kind, job.registry) == ("refresh", kept)
    run_job(str(job.pk))
    assert look(as_admin, "/registries/second/").attributes("table.repos a.name", "href") == [
        "/registries/second/team/app/"
    ]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("slug", "Second", "Only lower-case letters and digits"),
        ("slug", "a--b", "Only lower-case letters and digits"),
        ("slug", "new", "is an address of this page"),
        ("slug", "default", "There is a registry of that name already."),
        ("slug", "", "This field is required."),
        ("url", "registry.example.com", "Not a plain http or https address."),
        ("url", "https://me:secret@registry.example.com", "Not a plain http or https address."),
        ("url", "https://registry.example.com/?a=b", "Not a plain http or https address."),
        ("url", "", "This field is required."),
        ("public_host", "https://pull.example.com", "A host name, and a port after a colon"),
        ("public_host", "a; rm -rf /", "A host name, and a port after a colon"),
        ("ca_file", "/nowhere/ca.pem", "cannot be read here as PEM certificates"),
        ("ca_file", __file__, "cannot be read here as PEM certificates"),
        ("ca_file", "/dev/zero", "cannot be read here as PEM certificates"),
        ("storage_root", "/nowhere", "There is no such directory here."),
        ("storage_root", "/" + "x" * 400, "There is no such directory here."),
        ("refresh_minutes", "0", "greater than or equal to 1"),
        ("refresh_minutes", "often", "Enter a whole number."),
        ("default_username", "a:b", "A registry's user name has no colon."),
        ("act_with", "both", "Select a valid choice."),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_nobody_is_asked(
    registry: Registry, second: FakeRegistry, as_admin: Client, field: str, value: str, said: str
) -> None:
    page = add(as_admin, 422, **{field: value, "password": SECRET if field == "default_username" else ""})
    rows = [words(node) for node in page.tree.css(".form-row") if node.css_first(f"[name={field}]")]
    assert said in rows[0]
    assert len(page.texts(".form-row .help.bad")) == 1
    if field != "act_with":
        assert page.attributes(f"[name={field}]", "aria-invalid") == ["true"]
    assert Registry.objects.count() == 1
    assert not second.requests


def test_name_and_password_belong_together(second: FakeRegistry, as_admin: Client) -> None:
    assert "Whose password is it?" in add(as_admin, 422, password=SECRET).text("main form")
    assert "Enter the password of that name." in add(as_admin, 422, default_username="robot").text("main form")
    assert not second.requests


def test_a_directory_and_an_authority_that_are_there_are_taken(
    second: FakeRegistry, as_admin: Client, tmp_path: Path
) -> None:
    add(as_admin, storage_root=str(tmp_path), ca_file=str(make_certificates(tmp_path).authority))
    assert row().storage_root == str(tmp_path)


def test_unreachable_registry_is_kept_and_what_it_answered_is_said(second: FakeRegistry, as_admin: Client) -> None:
    second.fail_next("", exception="refused", times=None)
    add(as_admin, default_username="robot", password=SECRET)
    said = notices(as_admin)
    assert "The password was not kept: the registry could not be asked about it." in said
    kept = row()
    assert (kept.default_username, kept.encrypted_default_password) == ("robot", "")
    assert "There is no password of robot for this address." in said


def test_refused_password_saves_nothing(second: FakeRegistry, as_admin: Client) -> None:
    page = add(as_admin, 422, default_username="robot", password="wrong-and-secret")
    assert "second.test:5000 refuses that name and password." in page.text("main form")
    assert "wrong-and-secret" not in page.html
    assert not Registry.objects.exists()


def test_registry_that_asks_nobody_keeps_no_password(fake: FakeRegistry, as_admin: Client) -> None:
    add(as_admin, default_username="robot", password=SECRET)
    assert "asks nobody for a password, so none was kept." in notices(as_admin)
    assert (row().default_username, row().encrypted_default_password) == ("", "")


def test_slug_stays(second: FakeRegistry, as_admin: Client) -> None:
    add(as_admin)
    assert not look(as_admin, EDIT).has("[name=slug]")
    change(as_admin, slug="third", public_host="pull.test")
    assert Registry.objects.values_list("slug", "public_host").get() == ("second", "pull.test")


# Secrets


def test_password_is_kept_encrypted_and_never_shown(second: FakeRegistry, as_admin: Client) -> None:
    add(as_admin, default_username="robot", password=SECRET)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM dashboard_registry")
        assert SECRET not in repr(cursor.fetchall())
    page = look(as_admin, EDIT)
    assert SECRET not in page.html
    assert "A password is kept." in page.text("main form")
    assert page.attributes("[name=password]", "value") == [""]
    change(as_admin, default_username="robot", refresh_minutes="7")
    assert (row().default_password(), row().refresh_minutes) == (SECRET, 7), "left empty it stays"


def test_password_is_not_sent_to_another_origin(second: FakeRegistry, as_admin: Client) -> None:
    add(as_admin, default_username="robot", password=SECRET)
    second.forget_requests()
    change(as_admin, default_username="robot", url="http://third.test:5000")
    assert row().encrypted_default_password == ""
    assert not second.requests, "neither with it nor as nobody"
    said = notices(as_admin)
    assert "has to be entered again" in said
    assert "There is no password of robot for this address." in said
    change(as_admin, default_username="robot", password=SECRET, url="http://third.test:5000")
    assert row().default_password() == SECRET


def test_row_that_moved_by_other_ways_does_not_send_it_either(second: FakeRegistry, as_admin: Client) -> None:
    add(as_admin, default_username="robot", password=SECRET)
    Registry.objects.update(url="http://third.test:5000")
    second.forget_requests()
    page = look(as_admin, "/registries/second/", 403)
    assert "The default credential of second.test:5000 has to be entered again" in page.text("h1")
    assert not second.requests


def test_taking_the_name_away_takes_the_password_along(second: FakeRegistry, as_admin: Client) -> None:
    add(as_admin, default_username="robot", password=SECRET)
    change(as_admin)
    assert (row().default_username, row().encrypted_default_password) == ("", "")


def test_another_name_never_gets_the_old_password(second: FakeRegistry, as_admin: Client) -> None:
    add(as_admin, default_username="robot", password=SECRET)
    change(as_admin, 422, default_username="ada")
    second.fail_next("", exception="refused", times=None)
    change(as_admin, default_username="ada", password="of-ada")
    assert (row().default_username, row().encrypted_default_password) == ("ada", "")


def test_secret_that_no_key_reads_never_falls_back_to_nobody(second: FakeRegistry, as_admin: Client) -> None:
    add(as_admin, default_username="robot", password=SECRET)
    second.forget_requests()
    connections_before = row()
    with override_settings(CREDENTIAL_KEYS=[Fernet.generate_key().decode()]):
        page = look(as_admin, "/registries/second/", 403)
        assert "The default credential of second.test:5000 cannot be read" in page.text("h1")
        assert "The password of robot can no longer be decrypted" in page.text("section.state")
        assert "can no longer be decrypted" in look(as_admin, EDIT).text(".notice.danger")
        assert "cannot be read" in look(as_admin, "/registries/second/-/status/").text("table.statuses")
        assert as_admin.get("/readyz").json()["registries"] == {"second": "unauthorized"}
        run_job(str(Job.objects.get().pk))
        job = Job.objects.get()
        assert (job.state, job.outcome_code, job.outcome["reason"]) == (
            "failed", "unauthorized", connections.CREDENTIAL_UNREADABLE,
        )  # fmt: skip
        assert "cannot be read" in look(as_admin, LIST).text("table.registries")
        assert look(as_admin, "/search/?q=app")
        assert "robot" in look(as_admin, "/account/").text("main")
        assert not second.requests, "neither as robot nor as nobody"
        change(as_admin, default_username="robot", password=SECRET)
        assert row().default_password() == SECRET
    assert connections_before.default_password() == SECRET


def test_rotation_takes_registries_along_and_counts_what_cannot_be_read(
    second: FakeRegistry, as_admin: Client, admin: User, capsys: pytest.CaptureFixture[str]
) -> None:
    add(as_admin, default_username="robot", password=SECRET)
    token = registries.make_events_token(row())
    credentials.store(user=admin, registry=row(), username="ada", password="of-ada")
    newest = Fernet.generate_key().decode()
    with override_settings(CREDENTIAL_KEYS=[newest, *settings.CREDENTIAL_KEYS]):
        assert credentials.rotate_all() == (3, 0)
    with override_settings(CREDENTIAL_KEYS=[newest]):
        assert row().default_password() == SECRET
        assert encryption.decrypt(row().encrypted_events_token) == token
        assert Credential.objects.get().secret() == "of-ada"
    assert credentials.rotate_all() == (0, 3)
    call_command("rotate_credentials_key")
    assert "0 secrets encrypted anew, 3 unreadable" in capsys.readouterr().out


# The token of notifications


def test_token_is_shown_once_with_the_configuration_and_then_lets_in(second: FakeRegistry, as_admin: Client) -> None:
    add(as_admin)
    page = send(as_admin, EDIT, 200, action="make-token")
    assert page.headers["Cache-Control"] == "no-store"
    token = page.text("#token")
    assert len(token) >= 43
    assert f"Authorization: [Bearer {token}]" in page.text("pre")
    assert "url: http://testserver/events/second/" in page.text("pre")
    assert token not in look(as_admin, EDIT).html
    assert token not in row().encrypted_events_token
    assert sender(slug="second", authorization=f"Bearer {token}") == row()
    again = send(as_admin, EDIT, 200, action="make-token").text("#token")
    assert sender(slug="second", authorization=f"Bearer {token}") is None
    assert sender(slug="second", authorization=f"Bearer {again}") == row()
    send(as_admin, EDIT, action="drop-token")
    assert sender(slug="second", authorization=f"Bearer {again}") is None
    assert row().url == URL, "the rest stays"


# Removing


def belongings(registry: Registry, user: User) -> None:
    """A row of each kind that belongs to a registry."""
    now = timezone.now()
    TagPeriod.objects.create(
        registry=registry, repository="team/app", tag="1.0", digest="sha256:1", began_at=now, learnt="refresh",
        ended_at=now,
    )  # fmt: skip
    UsageSnapshot.objects.create(
        registry=registry, began_at=now, seconds=1, root="/x", disk_bytes=1, free_bytes=1, report={}
    )
    plan = DeletionPlan.objects.create(
        registry=registry, repository="team/app", user=user, created_at=now,
        expires_at=now, effect={}, fingerprint="x",
    )  # fmt: skip
    deletion = Deletion.objects.create(
        plan=plan, registry=registry, repository="team/app", user=user,
        user_name="a", acted_with="default", state="done", created_at=now, kept_until=now + dt.timedelta(days=30),
    )  # fmt: skip
    DeletionItem.objects.create(deletion=deletion, position=0, digest="sha256:0", tags=["0.9"], method="remove")
    TrashedManifest.objects.create(deletion=deletion, digest="sha256:0", media_type="x", raw=b"x")


def test_removal_says_what_goes_and_takes_only_that(
    registry: Registry, second: FakeRegistry, as_admin: Client, admin: User
) -> None:
    add(as_admin, default_username="robot", password=SECRET)
    registry.from_environment = False
    registry.default_username = "robot"
    registry.set_default_password(SECRET)
    registry.save()
    for each in (row(), registry):
        run_job(str(ask_for_refresh(registry=each, user=admin).pk))
        belongings(each, admin)
        credentials.store(user=admin, registry=each, username="ada", password="of-ada")
    page = look(as_admin, REMOVE)
    assert page.texts(".goes-with li") == [
        "1 repository of the index", "1 tag of the index", "2 periods of the tags' history",
        "1 snapshot of the storage", "1 manifest that could be restored", "1 person's own credential",
    ]  # fmt: skip
    assert "Remove second.test:5000" in page.text("button.danger")
    wrong = send(as_admin, REMOVE, 422, slug="secon")
    assert "Type second to remove it." in wrong.text(".help.bad")
    assert Registry.objects.count() == 2
    content = set(Content.objects.values_list("digest", flat=True))
    second.forget_requests()
    assert send(as_admin, REMOVE, slug="second").headers["Location"] == LIST
    assert "second.test:5000 was removed from here." in look(as_admin, LIST).text(".notice.success")
    assert list(Registry.objects.all()) == [registry]
    models = (Deletion, DeletionPlan, TrashedManifest, TagPeriod, UsageSnapshot, Credential, IndexedRepository)
    for model in models:
        assert model._default_manager.exists(), f"the other registry's {model.__name__}"
    assert IndexedTag.objects.values_list("repository__registry__slug", flat=True).get() == "default"
    assert set(Content.objects.values_list("digest", flat=True)) == content
    assert not second.requests
    look(as_admin, REMOVE, 404)


def test_nothing_is_removed_while_a_deletion_runs(second: FakeRegistry, as_admin: Client, admin: User) -> None:
    add(as_admin)
    belongings(row(), admin)
    Deletion.objects.update(state="in-progress")
    assert "is being deleted or put back" in send(as_admin, REMOVE, 422, slug="second").text(".help.bad")
    assert TrashedManifest.objects.exists()
