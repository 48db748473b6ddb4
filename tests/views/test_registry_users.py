"""The registry's own users in pages: what an administrator does to the password file, and what stands in the way."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.core.checks import run_checks
from django.test import Client, override_settings

from dashboard.models import AuditEntry, Credential, Registry, User
from dashboard.services import connections, credentials, registry_users
from tests.fake_registry import FakeRegistry
from tests.support.htpasswd import write_htpasswd
from tests.support.password_file import PasswordFileOnDisk

from .page import Page, look, part, send, words

USERS = "/settings/registries/default/users/"
EDIT = "/settings/registries/default/"
SECRET = "adas-secret-4711"


@pytest.fixture
def version() -> str:
    """A password file is the same to all of them."""
    return "3.1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The password file: a comment, a robot of ours, and ada."""
    path = write_htpasswd(tmp_path / "auth" / "htpasswd", robot="robots-secret", ada=SECRET)
    path.write_text(f"# by hand\n{path.read_text()}old:{{SHA}}qUqP5cyxm6YcTAhz05Hph5gvu9M=\n")
    path.chmod(0o640)
    return path


@pytest.fixture
def fake(version: str, file: Path) -> Iterator[FakeRegistry]:
    """A registry that reads that file at each request."""
    with (
        FakeRegistry(version, basic=PasswordFileOnDisk(file)) as registry,
        connections.clients_made_by(lambda row: registry.client(name=row.public_host)),
    ):
        yield registry


@pytest.fixture(autouse=True)
def mounted(file: Path) -> Iterator[None]:
    """As the environment says it."""
    with override_settings(HTPASSWD_FILE=str(file), REGISTRY_USERNAME="robot", REGISTRY_PASSWORD="robots-secret"):
        yield


@pytest.fixture
def browser(admin: User, registry: Registry) -> Client:
    """The administrator's."""
    client = Client()
    client.force_login(admin)
    return client


def act(browser: Client, action: str, status: int = 302, **fields: str) -> Page:
    """Sends a form as the page shows it."""
    seen = look(browser, USERS).attributes("input[name=seen]", "value")[0]
    return send(browser, USERS, status, **({"action": action, "seen": seen} | fields))


def accepts(registry: Registry, name: str, password: str) -> bool:
    return credentials.verify(registry=registry, username=name, password=password).accepted


def rows(page: Page) -> list[list[str]]:
    return [[words(cell) for cell in row.css("th, td")][:3] for row in page.tree.css(".registry-users tbody tr")]


def audited() -> list[tuple[str, str, str]]:
    found = AuditEntry.objects.filter(action=AuditEntry.Action.REGISTRY_USER).order_by("pk")
    return [(entry.outcome, entry.code, entry.reason) for entry in found]


def test_users_are_listed_with_their_state_and_who_acts_with_them(
    browser: Client, registry: Registry, jonas: User, file: Path
) -> None:
    credentials.store(user=jonas, registry=registry, username="ada", password=SECRET)
    page = look(browser, USERS)
    assert rows(page) == [
        ["robot the dashboard's own credential", "active", "—"],
        ["ada", "active", "jonas"],
        ["old", "not bcrypt the registry refuses it: change the password", "—"],
    ]
    assert str(file) in page.text("main")
    assert "$2" not in page.html, "no hash is ever shown"
    assert look(browser, EDIT).links("main a")["Names and passwords"] == USERS


def test_a_user_is_added_with_a_password_and_the_registry_accepts_it_at_once(
    browser: Client, registry: Registry, file: Path
) -> None:
    before = file.read_text()
    act(browser, "add", username="eve", password="eves-secret-0815")
    assert file.read_text().startswith(before), "comments and other lines stay"
    assert re.fullmatch(r"eve:\$2y\$10\$.{53}\n", file.read_text().removeprefix(before))
    assert file.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in file.parent.iterdir()) == [".htpasswd.lock", "htpasswd"]
    assert accepts(registry, "eve", "eves-secret-0815")
    page = look(browser, USERS)
    assert "eve was added." in page.text("main")
    assert "The registry accepts eve at once." in page.text("main")
    assert audited() == [("done", "registry-user-added", "eve")]
    assert "added a user of the registry" in look(browser, "/registries/default/-/activity/").text("main")


def test_a_generated_password_is_shown_once_and_kept_nowhere(browser: Client, registry: Registry, file: Path) -> None:
    page = act(browser, "add", 200, username="eve")
    password = page.text("#password")
    assert re.fullmatch(r"[a-z2-9]{5}(-[a-z2-9]{5}){3}", password)
    assert page.headers["Cache-Control"] == "no-store"
    assert accepts(registry, "eve", password)
    assert password not in look(browser, USERS).html
    assert password not in str([session.get_decoded() for session in Session.objects.all()])
    assert password not in str(list(AuditEntry.objects.values()))
    page = act(browser, "password", 200, name="ada", password="")
    assert "The password of ada is shown this once" in page.text(".token-made h2")
    assert accepts(registry, "ada", page.text("#password"))
    assert not accepts(registry, "ada", SECRET)


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"username": "ada"}, "username", "There is a user of that name already."),
        ({"username": "a:b"}, "username", "A name without colon"),
        ({"username": "#a"}, "username", "A name without colon"),
        ({"username": ""}, "username", "This field is required."),
        ({"username": "eve", "password": "x" * 73}, "password", "at most 72 characters"),
        ({"username": "eve", "password": "ö" * 37}, "password", "At most 72 bytes, without control characters"),
    ],
)
def test_what_cannot_be_added_is_said_beside_the_field(
    browser: Client, file: Path, fields: dict[str, str], field: str, said: str
) -> None:
    before = file.read_bytes()
    page = act(browser, "add", 422, **fields)
    assert said in page.text(f"#id_{field}_error")
    assert file.read_bytes() == before
    assert not audited()


def test_a_user_is_disabled_and_enabled_with_the_password_from_before(
    browser: Client, registry: Registry, file: Path
) -> None:
    before = file.read_text()
    act(browser, "disable", name="ada")
    assert not accepts(registry, "ada", SECRET)
    page = look(browser, USERS)
    assert rows(page)[1] == ["ada", "disabled", "—"]
    assert part(page.row("ada"), "button").text() == "Enable"
    act(browser, "enable", name="ada")
    assert accepts(registry, "ada", SECRET)
    assert file.read_text() == before
    assert [code for _, code, _ in audited()] == ["registry-user-disabled", "registry-user-enabled"]


def test_a_user_is_removed_when_the_name_is_typed(browser: Client, registry: Registry, file: Path) -> None:
    chosen = look(browser, look(browser, USERS).attributes(".registry-users a", "href")[1])
    assert "Remove ada" in chosen.text("#user")
    page = act(browser, "remove", 422, name="ada", typed="eve")
    assert page.text("#typed_error") == "Type ada to remove it."
    assert accepts(registry, "ada", SECRET)
    act(browser, "remove", name="ada", typed="ada")
    assert not accepts(registry, "ada", SECRET)
    assert [row[0] for row in rows(look(browser, USERS))] == ["robot the dashboard's own credential", "old"]
    page = act(browser, "enable", 422, name="ada")
    assert "There is no user of that name in the file any more." in page.text("main")


def test_a_changed_password_of_a_user_without_bcrypt_opens_the_door(
    browser: Client, registry: Registry, file: Path
) -> None:
    page = act(browser, "password", 422, name="old", password="x" * 73)
    assert page.text("#user .bad").startswith("Ensure this value has at most 72 characters")
    act(browser, "password", name="old", password="something new")
    assert accepts(registry, "old", "something new")
    assert "The password of old was changed." in look(browser, USERS).text("main")


def test_the_name_of_the_dashboard_itself_is_warned_of(browser: Client) -> None:
    assert "DASHBOARD_REGISTRY_PASSWORD" in look(browser, f"{USERS}?user=robot").text("#user")
    assert not look(browser, f"{USERS}?user=nobody").has("#user")


def test_one_step_makes_a_registry_user_for_somebody_whose_password_nobody_sees(
    browser: Client, registry: Registry, as_jonas: Client, jonas: User
) -> None:
    assert not look(browser, USERS).has("#map_person"), "everybody acts with the default credential"
    act(browser, "map", 404, person=str(jonas.pk))
    registry.act_with = Registry.ActWith.OWN
    registry.save()
    assert "none yet" in as_jonas.get("/registries/default/").content.decode()
    act(browser, "map", person=str(jonas.pk))
    row = Credential.objects.get()
    assert (row.user, row.username, row.state) == (jonas, "jonas", Credential.State.ACCEPTED)
    assert accepts(registry, "jonas", row.secret())
    page = look(browser, USERS)
    assert "jonas was made on the registry and is the credential of jonas now." in page.text("main")
    assert rows(page)[-1] == ["jonas", "active", "jonas"]
    assert row.secret() not in page.html
    assert audited() == [("done", "registry-user-mapped", "jonas → jonas")]
    look(as_jonas, "/registries/default/")
    page = act(browser, "map", 422, person=str(jonas.pk))
    assert "There is a user of that name already." in page.text("#map_username_error")
    page = act(browser, "map", 422, person="4711")
    assert page.has("#map_person_error")


def test_kept_credentials_follow_a_password_that_is_changed_here(
    browser: Client, registry: Registry, as_jonas: Client, jonas: User, maria: User
) -> None:
    Registry.objects.update(act_with=Registry.ActWith.OWN)
    for row in (Credential(user=jonas), Credential(group=Group.objects.create(name="Team"))):
        row.registry = registry
        credentials.keep_in(row, "ada", SECRET)
    elsewhere = credentials.store(user=maria, registry=registry, username="ada", password=SECRET)
    Credential.objects.filter(pk=elsewhere.pk).update(origin="http://before.test")
    assert "jonas, group Team. A new password" in look(browser, f"{USERS}?user=ada").text("#user")
    act(browser, "password", name="ada", password="quite another one")
    page = look(browser, USERS)
    assert "It is kept here as the credential of jonas, group Team, who need do nothing." in page.text("main")
    assert "quite another one" not in page.html
    assert [row.secret() for row in Credential.objects.order_by("pk")] == [
        "quite another one",
        "quite another one",
        SECRET,
    ]
    assert audited()[-1] == ("done", "credentials-followed", "ada → jonas, group Team")
    look(as_jonas, "/registries/default/")
    page = act(browser, "password", 200, name="ada", password="")
    assert "kept here as the credential of jonas" in page.text(".token-made")
    assert Credential.objects.get(user=jonas).secret() == page.text("#password")


def test_no_credential_follows_what_the_registry_does_not_accept(
    browser: Client, registry: Registry, jonas: User, file: Path, tmp_path: Path
) -> None:
    credentials.store(user=jonas, registry=registry, username="ada", password=SECRET)
    other = tmp_path / "elsewhere" / "htpasswd"
    other.parent.mkdir()
    other.write_bytes(file.read_bytes())
    with override_settings(HTPASSWD_FILE=str(other)):
        act(browser, "password", name="ada", password="quite another one")
    assert Credential.objects.get().secret() == SECRET


def test_kept_credentials_of_a_user_who_is_switched_off_are_refused_at_once(
    browser: Client, registry: Registry, as_jonas: Client, jonas: User, fake: FakeRegistry
) -> None:
    Registry.objects.update(act_with=Registry.ActWith.OWN)
    row = credentials.store(user=jonas, registry=registry, username="ada", password=SECRET)
    act(browser, "disable", name="ada")
    row.refresh_from_db()
    assert row.state == Credential.State.REFUSED
    fake.forget_requests()
    assert "no longer accepts the password of ada" in look(as_jonas, "/registries/default/", 403).text("main")
    assert {request.user for request in fake.requests} == {""}
    act(browser, "enable", name="ada")
    look(as_jonas, "/registries/default/")
    act(browser, "remove", name="ada", typed="ada")
    row.refresh_from_db()
    assert row.state == Credential.State.REFUSED
    act(browser, "add", username="ada", password="of somebody new")
    row.refresh_from_db()
    assert (row.state, row.secret()) == (Credential.State.REFUSED, SECRET), "a new user of that name is another one"


def test_what_the_registry_does_not_accept_is_taken_back(
    browser: Client, registry: Registry, fake: FakeRegistry, jonas: User, file: Path, tmp_path: Path
) -> None:
    registry.act_with = Registry.ActWith.OWN
    registry.save()
    other = tmp_path / "elsewhere" / "htpasswd"
    other.parent.mkdir()
    other.write_bytes(file.read_bytes())
    with override_settings(HTPASSWD_FILE=str(other)):
        act(browser, "map", person=str(jonas.pk))
        assert "Does it read this very file?" in look(browser, USERS).text("main")
        assert other.read_bytes() == file.read_bytes()
        act(browser, "add", username="eve", password="eves-secret")
        assert "The registry does not accept eve." in look(browser, USERS).text("main")
    assert not Credential.objects.exists()


def test_what_somebody_else_wrote_meanwhile_is_not_overwritten(browser: Client, file: Path) -> None:
    seen = look(browser, USERS).attributes("input[name=seen]", "value")[0]
    file.write_text(f"{file.read_text()}# meanwhile\n")
    before = file.read_bytes()
    page = send(browser, USERS, 422, action="disable", name="ada", seen=seen)
    assert "The file has changed since it was shown." in page.text("main .notice.danger")
    assert file.read_bytes() == before
    assert audited() == [("failed", "htpasswd-changed", "ada")]
    assert "had been changed since it was shown" in look(browser, "/registries/default/-/activity/").text("main")


def test_a_line_that_the_registry_cannot_read_is_said_and_mended(
    browser: Client, registry: Registry, file: Path
) -> None:
    file.write_text(f"{file.read_text()}no colon here\n")
    page = look(browser, USERS)
    assert "Line 5 has no colon." in page.text("main .notice.danger")
    assert "Mend it first." in act(browser, "disable", 422, name="ada").text("main")
    act(browser, "mend")
    assert file.read_text().endswith("# no user: no colon here\n")
    assert not look(browser, USERS).has("main .notice.danger")


def broken(file: Path, how: str) -> None:
    if how == "missing":
        file.unlink()
    elif how == "directory":
        file.unlink()
        file.mkdir()
    elif how == "pipe":
        file.unlink()
        os.mkfifo(file)
    elif how == "link out":
        target = file.parent.parent / "passwd"
        target.write_bytes(file.read_bytes())
        file.unlink()
        file.symlink_to(target)
    elif how == "large":
        file.write_bytes(b"#\n" * 600_000)
    elif how == "long line":
        file.write_bytes(b"#" * 70_000)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", "The password file is not there."), ("directory", "The password file is no plain file."),
        ("pipe", "The password file is no plain file."), ("link out", "The password file is no plain file."),
        ("large", "The password file is too large."), ("long line", "The password file cannot be read."),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_said_in_words(browser: Client, file: Path, how: str, said: str) -> None:
    seen = look(browser, USERS).attributes("input[name=seen]", "value")[0]
    broken(file, how)
    page = look(browser, USERS)
    assert said in page.text("main .notice.danger")
    assert not page.has("main form"), "there is nothing to change"
    assert send(browser, USERS, 422, action="add", username="eve", seen=seen).has("main .notice.danger")
    if how != "long line":
        with override_settings(REGISTRY_URL="https://registry.example.com"):
            [warned] = [message for message in run_checks() if message.id == "dashboard.W002"]
        assert str(file) in warned.msg


def test_a_link_within_the_directory_stays_a_link(browser: Client, file: Path) -> None:
    file.rename(file.with_name("real"))
    file.symlink_to("real")
    act(browser, "disable", name="ada")
    assert file.is_symlink()
    assert "# disabled: ada:" in file.with_name("real").read_text()


def test_a_place_that_cannot_be_written_is_said(browser: Client, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(code: int) -> Callable[..., None]:
        def replace(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        return replace

    before = file.read_bytes()
    for code, said in ((16, "is mounted by itself"), (30, "needs to write in the directory")):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", refuse(code))
            assert said in act(browser, "disable", 422, name="ada").text("main .notice.danger")
        assert file.read_bytes() == before
        assert sorted(path.name for path in file.parent.iterdir()) == [".htpasswd.lock", "htpasswd"]
    assert [(outcome, code) for outcome, code, _ in audited()] == [
        ("failed", "htpasswd-mounted-alone"),
        ("failed", "htpasswd-not-writable"),
    ]


def test_one_writes_at_a_time(browser: Client, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_users, "LOCK_SECONDS", 0.1)
    with file.with_name(".htpasswd.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "Somebody else is changing the file." in act(browser, "disable", 422, name="ada").text(
            "main .notice.danger"
        )
    act(browser, "disable", name="ada")


def test_owner_and_a_newer_time_are_kept(browser: Client, file: Path) -> None:
    future = file.stat().st_mtime_ns + 3_600_000_000_000
    os.utime(file, ns=(future, future))
    if os.geteuid() == 0:
        os.chown(file, 1234, 1234)
    act(browser, "disable", name="ada")
    found = file.stat()
    assert found.st_mtime_ns > future, "the registry looks at the time alone"
    assert os.geteuid() or (found.st_uid, found.st_gid) == (1234, 1234)


def test_a_file_that_could_not_be_given_back_to_its_owner_stays(
    browser: Client, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_permitted(*_: object) -> None:
        raise PermissionError

    if os.geteuid() != 0:
        pytest.skip("needs a file of another owner")
    os.chown(file, 1234, 1234)
    monkeypatch.setattr(os, "fchown", not_permitted)
    assert "belongs to another user" in act(browser, "disable", 422, name="ada").text("main .notice.danger")
    file.chmod(0o644)
    act(browser, "disable", name="ada")


def test_only_administrators_and_only_where_the_file_is_mounted(
    browser: Client, as_maria: Client, registry: Registry, file: Path
) -> None:
    look(as_maria, USERS, 403)
    before = file.read_bytes()
    assert as_maria.post(USERS, {"action": "disable", "name": "ada"}).status_code == 403
    look(browser, "/settings/registries/other/users/", 404)
    send(browser, USERS, 404, action="format the disk")
    with override_settings(HTPASSWD_FILE=""):
        look(browser, USERS, 404)
        assert "Names and passwords" not in look(browser, EDIT).links("main a")
    Registry.objects.update(from_environment=False)
    look(browser, USERS, 404)
    assert file.read_bytes() == before
