"""The password asked again before what is hard to undo; one's own password; failures in the audit."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.test import Client

from dashboard.models import AuditEntry, Deletion, Registry, TagRule, User
from dashboard.services import confirmed
from tests.conftest import PASSWORD
from tests.fake_registry import FakeRegistry

from .page import look, send

CONFIRM = "/account/confirm/"
PASSWORD_PAGE = "/account/password/"
LOGIN = "/accounts/login/"
RULES = "/settings/registries/default/protection/"
NEW = "another password that is long"


@pytest.fixture
def version() -> str:
    """One version: the registry plays no part here."""
    return "3.1"


@pytest.fixture
def browser(admin: User) -> Client:
    """The administrator, who signed in long ago."""
    client = Client()
    client.force_login(admin)
    later(client)
    return client


def later(client: Client, minutes: float = confirmed.MINUTES) -> None:
    """So much time passes since the last proof."""
    session = client.session
    session[confirmed.KEY] = time.time() - minutes * 60
    session.save()


def asks(client: Client, address: str, back: str, **fields: str) -> None:
    """The POST (a GET without fields) leads to the question, and that back to `back`."""
    response = client.post(address, fields) if fields else client.get(address)
    assert response.status_code == 302
    target = urlsplit(response.headers["Location"])
    assert target.path == CONFIRM
    assert parse_qs(target.query) == {"next": [back]}
    page = look(client, response.headers["Location"])
    assert page.node("form.sign-in [name=next]").attributes["value"] == back
    if fields:
        assert "Nothing was changed yet." in page.text(".notice.info")


def codes(action: str) -> list[tuple[str, str, str]]:
    entries = AuditEntry.objects.filter(action=action).order_by("pk")
    return [(entry.user, entry.outcome, entry.code) for entry in entries]


# When it is asked


def test_signing_in_counts_for_a_quarter_of_an_hour(registry: Registry, browser: Client, admin: User) -> None:
    browser.force_login(admin)
    later(browser, 14.9)
    assert look(browser, "/settings/registries/new/").has("form")
    later(browser, 15)
    asks(browser, "/settings/registries/new/", "/settings/registries/new/")


@pytest.mark.parametrize("at", [None, "soon", float("inf"), True])
def test_a_mark_that_makes_no_sense_is_none(registry: Registry, browser: Client, at: object) -> None:
    session = browser.session
    session[confirmed.KEY] = at
    session.save()
    asks(browser, "/settings/registries/new/", "/settings/registries/new/")


@pytest.mark.parametrize("path", ["new/", "default/", "default/remove/"])
def test_registries_are_changed_only_after_it(registry: Registry, browser: Client, path: str) -> None:
    asks(browser, f"/settings/registries/{path}", f"/settings/registries/{path}")
    asks(browser, f"/settings/registries/{path}", f"/settings/registries/{path}", slug="default")
    assert look(browser, "/settings/registries/").has("table"), "the list may be looked at"


@pytest.mark.parametrize("page", ["protection", "thresholds"])
def test_pages_that_may_be_looked_at_ask_when_something_is_changed(
    registry: Registry, browser: Client, page: str
) -> None:
    address = f"/settings/registries/default/{page}/"
    assert look(browser, address).has("form")
    asks(browser, address, address, tag_pattern="v*", repository_pattern="")
    assert not TagRule.objects.exists()


def test_own_credential_is_changed_only_after_it(registry: Registry, browser: Client) -> None:
    asks(browser, "/account/credentials/default/", "/account/credentials/default/")
    asks(browser, "/account/credentials/default/", "/account/credentials/default/", action="remove")


def test_who_may_not_is_not_even_asked(registry: Registry, as_jonas: Client) -> None:
    later(as_jonas)
    assert as_jonas.get("/settings/registries/new/").status_code == 403


def plan(client: Client, query: str, **more: str) -> dict[str, str]:
    page = look(client, f"/registries/default/app/-/delete/?{query}")
    named = {name: page.node(f"form [name={name}]").attributes["value"] or "" for name in ("plan", "fingerprint")}
    return named | {"method": "remove"} | more


@pytest.mark.parametrize("query", ["tag=1&tag=2", "matching=1", "whole=1"])
def test_bulk_deletion_asks_and_leads_back_to_the_plan(
    registry: Registry, as_maria: Client, fake: FakeRegistry, query: str
) -> None:
    for tag in ("1", "2"):
        fake.push_image("app", tag, layers=[tag.encode()])
    look(as_maria, "/registries/default/app/")
    fields = plan(as_maria, query, typed="app")
    later(as_maria)
    back = f"/registries/default/app/-/delete/?{query}"
    asks(as_maria, "/registries/default/app/-/delete/", back, **fields)
    assert not Deletion.objects.exists()
    send(as_maria, CONFIRM, password=PASSWORD, next=back)
    assert not Deletion.objects.exists(), "the form is not sent again by itself"
    done = as_maria.post("/registries/default/app/-/delete/", plan(as_maria, query, typed="app"))
    assert "/-/deletions/" in done.headers["Location"]


@pytest.mark.parametrize(
    ("address", "back"),
    [("-/collection/run/", "-/collection/"), ("-/uploads/remove/", "-/uploads/"), ("app/-/remove-directory/", "app/")],
)
def test_what_removes_much_for_good_asks_those_who_may(
    registry: Registry, browser: Client, as_maria: Client, fake: FakeRegistry, address: str, back: str
) -> None:
    fake.push_image("app", "1")
    home = "/registries/default/"
    asks(browser, home + address, home + back, upload="app:1", typed="app", confirmed="1")
    later(as_maria)
    assert as_maria.post(home + address, {"typed": "app"}).status_code == 403, "who may not is not even asked"


def test_one_tag_by_name_goes_without(registry: Registry, as_maria: Client, fake: FakeRegistry) -> None:
    fake.push_image("app", "1")
    look(as_maria, "/registries/default/app/")
    fields = plan(as_maria, "tag=1")
    later(as_maria)
    assert "/-/deletions/" in as_maria.post("/registries/default/app/-/delete/", fields).headers["Location"]


def test_fragment_takes_the_whole_page_there(registry: Registry, browser: Client) -> None:
    response = browser.get("/settings/registries/new/", headers={"HX-Request": "true"})
    assert response.headers["HX-Redirect"] == f"{CONFIRM}?{urlencode({'next': '/settings/registries/new/'})}"


# The answer


def test_right_password_leads_back(registry: Registry, browser: Client) -> None:
    assert send(browser, CONFIRM, password=PASSWORD, next=RULES).headers["Location"] == RULES
    assert codes("sign-in")[-1] == ("admin", "done", "password-confirmed")
    send(browser, RULES, tag_pattern="v*", repository_pattern="")
    assert TagRule.objects.count() == 1


def test_wrong_password_asks_again_and_is_told_to_the_audit(registry: Registry, browser: Client) -> None:
    page = send(browser, CONFIRM, 422, password="not-it-4711", next=RULES)
    assert page.text(".help.bad") == "That is not your password."
    assert page.node("form.sign-in [name=next]").attributes["value"] == RULES
    assert "not-it-4711" not in page.html
    assert codes("sign-in")[-1] == ("admin", "refused", "")
    asks(browser, "/settings/registries/new/", "/settings/registries/new/")


def test_password_of_somebody_else_is_wrong(registry: Registry, browser: Client, maria: User) -> None:
    maria.set_password("marias own password")
    maria.save()
    send(browser, CONFIRM, 422, password="marias own password", username="maria")
    asks(browser, "/settings/registries/new/", "/settings/registries/new/")


def test_it_is_throttled_with_the_sign_in_and_success_forgets(registry: Registry, browser: Client) -> None:
    for _ in range(9):
        send(browser, CONFIRM, 422, password="wrong")
    send(browser, CONFIRM, password=PASSWORD)
    for _ in range(9):
        send(browser, CONFIRM, 422, password="wrong")
    assert send(browser, CONFIRM, 429, password="wrong").text("h1") == "Too many failures"
    send(browser, CONFIRM, 429, password=PASSWORD)
    send(Client(), LOGIN, 429, username="admin", password=PASSWORD)
    assert codes("sign-in").count(("admin", "refused", "locked-out")) == 1
    assert codes("sign-in").count(("admin", "refused", "")) == 18


@pytest.mark.parametrize(
    "target", ["https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:alert(1)", "", "/" * 3000]
)
def test_it_never_leads_elsewhere(browser: Client, target: str) -> None:
    assert send(browser, CONFIRM, password=PASSWORD, next=target).headers["Location"] == "/account/"


# One's own password


def test_password_is_changed_and_other_sessions_end(as_jonas: Client, jonas: User) -> None:
    elsewhere = Client()
    elsewhere.force_login(jonas)
    assert look(as_jonas, "/account/").links()["Change your password"] == PASSWORD_PAGE
    done = send(as_jonas, PASSWORD_PAGE, old_password=PASSWORD, new_password1=NEW, new_password2=NEW)
    assert done.headers["Location"] == "/account/"
    assert "Your password was changed." in look(as_jonas, "/account/").text(".notice.success")
    assert elsewhere.get("/account/").status_code == 302
    jonas.refresh_from_db()
    assert jonas.check_password(NEW)
    assert codes("person") == [("jonas", "done", "password-changed")]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"old_password": "wrong", "new_password1": NEW, "new_password2": NEW}, "That is not your password."),
        ({"old_password": PASSWORD, "new_password1": NEW, "new_password2": "other"}, "The two password fields"),
        ({"old_password": PASSWORD, "new_password1": "short", "new_password2": "short"}, "This password is too short."),
        ({"old_password": PASSWORD, "new_password1": "jonas123", "new_password2": "jonas123"}, "too similar"),
        ({"old_password": PASSWORD}, "This field is required."),
    ],
)
def test_password_that_will_not_do(as_jonas: Client, jonas: User, fields: dict[str, str], said: str) -> None:
    page = send(as_jonas, PASSWORD_PAGE, 422, **fields)
    assert said in " ".join(page.texts(".help.bad"))
    assert not [value for value in page.attributes("[type=password]", "value") if value]
    jonas.refresh_from_db()
    assert jonas.check_password(PASSWORD)
    assert not codes("person")


def test_old_password_is_throttled(as_jonas: Client) -> None:
    for _ in range(9):
        send(as_jonas, PASSWORD_PAGE, 422, old_password="wrong", new_password1=NEW, new_password2=NEW)
    send(as_jonas, PASSWORD_PAGE, 429, old_password="wrong", new_password1=NEW, new_password2=NEW)


def test_who_has_none_here_cannot_change_it(as_jonas: Client, jonas: User) -> None:
    jonas.set_unusable_password()
    jonas.save()
    as_jonas.force_login(jonas)
    assert "You have no password here" in look(as_jonas, PASSWORD_PAGE, 404).text()
    assert not look(as_jonas, "/account/").has("#pass-h")


# Failures in the audit


@pytest.mark.django_db
def test_failed_sign_in_is_kept_under_a_name_that_exists_and_no_other(client: Client, jonas: User) -> None:
    send(client, LOGIN, 422, username="JONAS", password="wrong")
    send(client, LOGIN, 422, username="my-secret-password", password="wrong")
    assert codes("sign-in") == [("jonas", "refused", ""), ("", "refused", "")]
    assert {entry.address for entry in AuditEntry.objects.all()} == {"127.0.0.1"}
    assert "my-secret-password" not in str(list(AuditEntry.objects.values()))


@pytest.mark.django_db
def test_lock_is_one_entry_however_often_it_is_tried(client: Client, jonas: User) -> None:
    for _ in range(14):
        client.post(LOGIN, {"username": "jonas", "password": "wrong"})
    assert codes("sign-in") == [("jonas", "refused", "")] * 9 + [("jonas", "refused", "locked-out")]


def test_activity_tells_of_them(registry: Registry, browser: Client, client: Client, jonas: User) -> None:
    for _ in range(10):
        client.post(LOGIN, {"username": "jonas", "password": "wrong"})
    client.post(LOGIN, {"username": "nobody-of-ours", "password": "wrong"})
    send(browser, CONFIRM, password=PASSWORD)
    text = look(browser, "/registries/default/-/activity/?what=sign-ins").text("main")
    assert "jonas was locked out after too many failures" in text
    assert "jonas tried to sign in" in text
    assert "admin gave the password again" in text
