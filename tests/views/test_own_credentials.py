"""People who act with a credential of their own: asked once and clearly, never replaced by the default one."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone

from dashboard.contexts.activity_words import deed
from dashboard.models import AuditEntry, Credential, Registry, User
from dashboard.services import access as gate
from dashboard.services import connections, credential_checks, credentials
from dashboard.services.audit import Actor
from tests.fake_registry import FakeRegistry

from .page import Page, look, page_of, send, words

HOME = "/registries/default/"
APP = f"{HOME}team/app/"
FORM = "/account/credentials/default/"
SECRET = "open-sesame-4711"
QUESTION = "What is your name and password on registry.test:5000?"


@pytest.fixture
def version() -> str:
    """One version: authentication stands before everything that differs."""
    return "3.1"


@pytest.fixture
def people() -> dict[str, str]:
    """The registry's password file: a robot of ours, and two people."""
    return {"robot": "robots-own-secret", "ada": SECRET, "bob": "bobs-secret-0815"}


@pytest.fixture
def fake(version: str, people: dict[str, str]) -> Iterator[FakeRegistry]:
    """A registry with that password file."""
    with (
        FakeRegistry(version, basic=people) as registry,
        connections.clients_made_by(lambda row: registry.client(name=row.public_host)),
    ):
        registry.push_image("team/app", "1.0")
        yield registry


@pytest.fixture(autouse=True)
def default_credential() -> Iterator[None]:
    """The default credential that must never stand in for a person's own."""
    with override_settings(REGISTRY_USERNAME="robot", REGISTRY_PASSWORD="robots-own-secret"):
        yield


@pytest.fixture(autouse=True)
def indexed(index: Callable[[], None], fake: FakeRegistry, default_credential: None) -> None:
    """What the worker has read with the default credential: a list must not show it to whom the registry refuses."""
    index()
    fake.forget_requests()


@pytest.fixture
def own(registry: Registry) -> Registry:
    """The registry where people act with their own credential."""
    registry.act_with = Registry.ActWith.OWN
    registry.save()
    return registry


@pytest.fixture
def browser(own: Registry, as_jonas: Client) -> Client:
    """Jonas, who has no credential yet."""
    return as_jonas


def users(fake: FakeRegistry) -> set[str]:
    """As whom the registry was asked."""
    return {request.user for request in fake.requests}


def asks(page: Page) -> str:
    """The page is the one question; its explanation."""
    assert page.text("h1") == "registry.test:5000"
    assert page.text("section.state h2") == QUESTION
    said = page.text("section.state p")
    button = "Enter it again" if "no longer accepts" in said else "Enter your credential"
    assert page.links("section.state a") == {button: FORM}
    return said


@contextmanager
def the_verdict_is(verdict: credentials.Verdict) -> Iterator[list[str]]:
    """Within it, this is what comes of asking about a credential; the names that were asked about."""
    asked: list[str] = []

    def verify(*, username: str, **_others: object) -> credentials.Verdict:
        asked.append(username)
        return verdict

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(credentials, "verify", verify)
        yield asked


def give(client: Client, username: str = "ada", password: str = SECRET, status: int = 302) -> Page:
    return send(client, FORM, status, username=username, password=password)


# Without a credential


@pytest.mark.parametrize(
    "address",
    [HOME, f"{HOME}?name=team", APP, f"{APP}-/tags/1.0/", f"{APP}-/blobs/sha256:{'a' * 64}/", f"{HOME}-/storage/"],
)
def test_without_a_credential_one_question_and_no_name(browser: Client, fake: FakeRegistry, address: str) -> None:
    page = look(browser, address, 403)
    assert "you have none yet" in asks(page)
    assert "team/app" not in page.text()
    assert users(fake) == {""}, "never the default credential"


def test_status_tells_as_whom_and_where_to_set_it(browser: Client, fake: FakeRegistry) -> None:
    page = look(browser, f"{HOME}-/status/")
    row = words(page.row("Authentication"))
    assert "You act without a credential. It answered 401." in row
    assert "Set your credential on the account page." in row
    assert users(fake) == {""}


def test_registry_that_asks_nobody_is_read_by_nobody_in_particular(browser: Client) -> None:
    with (
        FakeRegistry("2.8") as open_to_all,
        connections.clients_made_by(lambda row: open_to_all.client(name=row.public_host)),
    ):
        open_to_all.push_image("public/app", "1.0")
        assert look(browser, HOME).texts("table.repos .name") == ["team/ app"]
        assert users(open_to_all) == {""}


def test_background_work_goes_on_with_the_default_credential(own: Registry, client: Client, fake: FakeRegistry) -> None:
    assert client.get("/readyz").json()["registries"] == {"default": "ok"}
    assert "robot" in users(fake)


# Setting, replacing, removing


def test_credential_is_verified_kept_encrypted_and_never_shown(
    browser: Client, fake: FakeRegistry, jonas: User, own: Registry
) -> None:
    assert look(browser, FORM).text("h1") == "Your credential"
    done = give(browser)
    assert done.headers["Location"] == "/account/"
    page = look(browser, "/account/")
    assert "registry.test:5000 accepted your credential. It is kept encrypted." in page.text(".notice.success")
    assert "accepted as ada , your own credential" in page.text("table.accounts")
    row = Credential.objects.get()
    assert (row.user, row.registry, row.origin, row.username, row.state) == (
        jonas,
        own,
        "http://registry.test:5000",
        "ada",
        "accepted",
    )
    assert dt.datetime.now(dt.UTC) - row.checked_at < dt.timedelta(minutes=1)
    assert row.secret() == SECRET
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM dashboard_credential")
        stored = repr(cursor.fetchall())
    assert SECRET not in stored
    assert base64.b64encode(SECRET.encode()).decode() not in stored
    for address in ("/account/", FORM, HOME):
        assert SECRET not in look(browser, address).html
    assert SECRET not in f"{row!r} {row} {vars(row)}"


def test_pages_then_act_as_that_person_alone(browser: Client, fake: FakeRegistry) -> None:
    give(browser)
    fake.forget_requests()
    page = look(browser, HOME)
    assert page.texts("table.repos .name") == ["team/ app"]
    assert "acting on registry.test:5000 as ada" in page.text(".account-menu")
    look(browser, f"{APP}-/tags/1.0/")
    assert users(fake) <= {"ada", ""}
    assert {r.user for r in fake.requests if r.path != "/v2/"} == {"ada"}


@pytest.mark.parametrize(
    ("name", "password"), [("ada", "wrong"), ("nobody", SECRET), ("ada", SECRET + " "), ("Ada", SECRET)]
)
def test_refused_credential_is_not_kept(browser: Client, name: str, password: str) -> None:
    page = give(browser, name, password, 422)
    assert page.text(".help.bad") == "registry.test:5000 refused that name and password."
    assert page.node("[name=username]").attributes["value"] == name
    assert "value" not in page.node("[name=password]").attributes
    assert password.strip() not in page.html
    assert not Credential.objects.exists()
    assert "you have none yet" in asks(look(browser, HOME, 403))


@pytest.mark.parametrize(
    ("name", "password", "said"),
    [
        ("", "x", "This field is required."),
        ("ada", "", "This field is required."),
        ("a:b", "x", "A registry's user name has no colon."),
        ("a" * 256, "x", "at most 255"),
        ("ada", "x" * 4097, "at most 4096"),
    ],
)
def test_incomplete_form_asks_nobody(browser: Client, fake: FakeRegistry, name: str, password: str, said: str) -> None:
    assert said in give(browser, name, password, 422).text("form.sign-in")
    assert not fake.requests


def test_registry_that_lets_everybody_in_keeps_no_credential(browser: Client) -> None:
    with (
        FakeRegistry("2.8") as open_to_all,
        connections.clients_made_by(lambda row: open_to_all.client(name=row.public_host)),
    ):
        page = give(browser, status=422)
        assert not [r for r in open_to_all.requests if r.authorization]
    assert page.text(".notice.danger") == "registry.test:5000 asks nobody for a password, so none was kept."
    assert not Credential.objects.exists()


def test_registry_that_cannot_be_asked_keeps_no_credential(browser: Client, fake: FakeRegistry) -> None:
    fake.fail_next("", exception="certificate", times=None)
    page = give(browser, status=422)
    assert page.text("section.state.bad h2") == "registry.test:5000 could not be trusted"
    assert SECRET not in page.html
    assert not Credential.objects.exists()


def test_replacing_takes_a_credential_only_if_it_is_accepted(browser: Client, fake: FakeRegistry) -> None:
    give(browser)
    give(browser, "bob", "wrong", 422)
    assert Credential.objects.get().username == "ada"
    give(browser, "bob", "bobs-secret-0815")
    assert Credential.objects.get().username == "bob"
    fake.forget_requests()
    look(browser, HOME)
    assert users(fake) - {""} == {"bob"}


def test_removing_forgets_it(browser: Client, fake: FakeRegistry) -> None:
    give(browser)
    assert look(browser, HOME).texts("table.repos .name") == ["team/ app"]
    send(browser, FORM, action="remove")
    assert "Your credential on registry.test:5000 was removed." in look(browser, "/account/").text(".notice.success")
    assert not Credential.objects.exists()
    fake.forget_requests()
    asks(look(browser, HOME, 403))
    assert users(fake) == {""}


def test_verifying_again_notes_what_the_registry_says(
    browser: Client, fake: FakeRegistry, people: dict[str, str]
) -> None:
    give(browser)
    send(browser, FORM, action="verify")
    assert "registry.test:5000 accepts your credential." in look(browser, "/account/").texts(".notice.success")
    people["ada"] = "another"
    send(browser, FORM, action="verify")
    page = look(browser, "/account/")
    assert "refuses your credential now. Enter it again." in page.text(".notice.danger")
    assert "The registry refuses ada ." in page.text("table.accounts")
    assert "no longer accepts the password of ada , your own credential" in asks(look(browser, HOME, 403))
    fake.forget_requests()
    look(browser, HOME, 403)
    assert users(fake) <= {""}, "a refused password is not tried again and again: registries lock accounts"


def test_password_changed_on_the_registry_asks_for_the_new_one(
    browser: Client, fake: FakeRegistry, people: dict[str, str]
) -> None:
    give(browser)
    people["ada"] = "another"
    assert "no longer accepts the password of ada , your own credential" in asks(look(browser, HOME, 403))
    assert "robot" not in users(fake)


def tries(fake: FakeRegistry) -> int:
    """How often the registry was asked as ada."""
    return sum(request.user == "ada" for request in fake.requests)


def test_a_refusal_is_verified_once_and_then_nothing_is_tried(
    browser: Client, fake: FakeRegistry, people: dict[str, str]
) -> None:
    give(browser)
    before = Credential.objects.get().checked_at
    people["ada"] = "another"
    gate.forget()
    fake.forget_requests()
    look(browser, APP, 403)
    assert tries(fake) == 2, "the page's own, and one to be sure"
    row = Credential.objects.get()
    assert (row.state, row.checked_at > before) == ("refused", True)
    entry = AuditEntry.objects.get(code="credential-refused")
    assert (entry.user, entry.reason, entry.registry) == ("jonas", "ada (jonas)", "default")
    assert "was refused with a kept credential" in deed(entry, done=True)
    for address in (HOME, APP, f"{APP}-/tags/1.0/", f"{HOME}-/storage/"):
        asks(look(browser, address, 403))
    send(browser, FORM, action="verify")
    assert "less than a minute ago, and was not asked again" in look(browser, "/account/").text(".notice.danger")
    assert tries(fake) == 2, "registries lock accounts"
    give(browser, password="another")
    assert look(browser, HOME).texts("table.repos .name") == ["team/ app"]


def test_a_registry_that_cannot_be_asked_again_leaves_it_as_it_is_for_a_minute(
    browser: Client, fake: FakeRegistry, people: dict[str, str]
) -> None:
    give(browser)
    people["ada"] = "another"
    gate.forget()
    with the_verdict_is(credentials.Verdict(accepted=False)) as asked:
        for _ in range(3):
            asks(look(browser, HOME, 403))
        assert (Credential.objects.get().state, len(asked)) == ("accepted", 1)
        Credential.objects.update(asked_again_at=timezone.now() - dt.timedelta(seconds=61))
        asks(look(browser, HOME, 403))
        assert len(asked) == 2


def test_a_password_that_is_right_after_all_is_no_question(
    browser: Client, fake: FakeRegistry, people: dict[str, str]
) -> None:
    """Another process kept the new one; what this one remembers of the name is from before."""
    give(browser)
    people["ada"] = "another"
    with the_verdict_is(credentials.Verdict(accepted=False)):
        asks(look(browser, HOME, 403))
    row = Credential.objects.get()
    row.set_secret("another")
    row.asked_again_at = None
    row.save()
    page = look(browser, HOME, 302)
    assert page.headers["Location"] == HOME
    assert look(browser, HOME).texts("table.repos .name") == ["team/ app"]


def test_one_that_was_entered_meanwhile_is_not_marked(browser: Client, jonas: User, own: Registry) -> None:
    give(browser)
    acting = connections.acting(user=jonas, registry=own)
    Credential.objects.update(encrypted_secret="of another password")
    with the_verdict_is(credentials.Verdict(accepted=False, refused=True)):
        assert credential_checks.after_refusal(acting=acting, actor=Actor("jonas")) == "unknown"
    assert Credential.objects.get().state == "accepted"


def test_a_fragment_takes_the_whole_page_to_the_question(
    browser: Client, fake: FakeRegistry, people: dict[str, str]
) -> None:
    give(browser)
    people["ada"] = "another"
    gate.forget()
    response = browser.get(HOME, headers={"HX-Request": "true"})
    assert response.headers["HX-Redirect"] == HOME
    asks(look(browser, HOME, 403))


def test_the_status_page_says_itself_that_it_is_refused(
    browser: Client, fake: FakeRegistry, people: dict[str, str]
) -> None:
    give(browser)
    people["ada"] = "another"
    assert "Refused" in words(look(browser, f"{HOME}-/status/").row("Authentication"))
    assert Credential.objects.get().state == "refused"


def test_secret_is_not_sent_to_where_the_registry_moved(browser: Client, fake: FakeRegistry, own: Registry) -> None:
    give(browser)
    own.url = "http://registry.test:5001"
    own.save()
    fake.forget_requests()
    assert "has moved to another address" in asks(look(browser, HOME, 403))
    assert "registry moved" in look(browser, "/account/").text("table.accounts")
    send(browser, FORM, action="verify")
    assert users(fake) == {""}
    give(browser)
    assert look(browser, HOME).texts("table.repos .name") == ["team/ app"]
    assert Credential.objects.get().origin == "http://registry.test:5001"


def test_path_of_the_same_origin_is_no_move(browser: Client, own: Registry) -> None:
    give(browser)
    own.url = "http://REGISTRY.test:5000/"
    own.save()
    assert look(browser, HOME).texts("table.repos .name") == ["team/ app"]


def test_secret_whose_key_is_gone_is_asked_for_again(browser: Client, fake: FakeRegistry) -> None:
    give(browser)
    with override_settings(CREDENTIAL_KEYS=[Fernet.generate_key().decode()]):
        assert "its key is gone" in asks(look(browser, HOME, 403))
        assert "unreadable" in look(browser, "/account/").text("table.accounts")
        send(browser, FORM, action="verify")
        assert "has to be entered again" in look(browser, "/account/").text(".notice.danger")
        give(browser)
        assert look(browser, HOME).texts("table.repos .name") == ["team/ app"]


def test_older_key_still_reads(browser: Client) -> None:
    give(browser)
    with override_settings(CREDENTIAL_KEYS=[Fernet.generate_key().decode(), *settings.CREDENTIAL_KEYS]):
        assert look(browser, HOME).texts("table.repos .name") == ["team/ app"]


def test_no_credential_is_taken_where_people_act_with_the_default(
    registry: Registry, as_jonas: Client, fake: FakeRegistry
) -> None:
    for page in (look(as_jonas, FORM, 404), give(as_jonas, status=404)):
        assert "On registry.test:5000 people act with the default credential." in page.text("section.state")
    assert not fake.requests
    assert "as robot , the registry's default credential" in look(as_jonas, "/account/").text("table.accounts")
    assert look(as_jonas, HOME).texts("table.repos .name") == ["team/ app"]
    look(as_jonas, APP)
    assert {r.user for r in fake.requests if r.path != "/v2/"} == {"robot"}


def test_own_credential_from_before_is_not_used_where_people_act_with_the_default(
    own: Registry, as_jonas: Client, fake: FakeRegistry
) -> None:
    give(as_jonas)
    own.act_with = Registry.ActWith.DEFAULT
    own.save()
    fake.forget_requests()
    look(as_jonas, HOME)
    assert users(fake) - {""} == {"robot"}


# Two people


def test_credential_of_one_is_nothing_to_another(
    own: Registry, as_jonas: Client, as_maria: Client, fake: FakeRegistry
) -> None:
    give(as_jonas)
    look(as_jonas, HOME)
    fake.forget_requests()
    asks(look(as_maria, HOME, 403))
    assert users(fake) == {""}
    assert "ada" not in look(as_maria, "/account/").text("main")
    give(as_maria, "bob", "bobs-secret-0815")
    send(as_maria, FORM, action="remove")
    assert Credential.objects.get().username == "ada"


def test_person_removed_takes_the_credential_along(browser: Client, jonas: User) -> None:
    give(browser)
    jonas.delete()
    assert not Credential.objects.exists()


def test_registry_that_answers_with_the_secret_tells_it_to_nobody(
    browser: Client, fake: FakeRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    give(browser)
    fake.hostile = True
    page = look(browser, f"{HOME}no/such/", 404)
    token = base64.b64encode(f"ada:{SECRET}".encode()).decode()
    for text in (page.html, caplog.text):
        assert SECRET not in text
        assert token not in text


def test_verdict_speaks_of_the_credential_without_its_secret(own: Registry) -> None:
    verdict = credentials.verify(registry=own, username="ada", password="wrong-and-secret")
    assert (verdict.accepted, verdict.needless, verdict.error) == (False, False, None)
    assert "wrong-and-secret" not in repr(verdict)


def test_form_page_is_for_registries_that_exist(as_jonas: Client, own: Registry) -> None:
    page = page_of(as_jonas.get("/account/credentials/nowhere/"), 404)
    assert "There is no registry “nowhere” here." in page.text("section.state")
