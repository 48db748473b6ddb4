"""Signing in with a name and password of a registry: off by default, proved by three questions, never a take-over."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager

import httpx
import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import Group
from django.test import Client, RequestFactory, override_settings

from dashboard.models import Credential, Registry, User
from dashboard.services import connections, registry_signin
from tests.conftest import PASSWORD
from tests.fake_registry import FakeRegistry
from tests.support.scripted import answer
from tests.support.token_server import TokenUser

from .page import Page, look, send

LOGIN = "/accounts/login/"
WRONG = "That name and password do not belong together."
SECRET = "adas-registry-secret"


@pytest.fixture
def version() -> str:
    """One version: authentication stands before everything that differs."""
    return "3.1"


@pytest.fixture(autouse=True)
def somebody(db: None) -> User:
    """While there is nobody at all, every page leads to the set-up."""
    return User.objects.create_user("somebody", password=PASSWORD)


@pytest.fixture
def people() -> dict[str, str]:
    """The registry's password file: Ada, and people who chose names that are taken here."""
    return {
        "ada": SECRET, "Ada": "another-ada", "admin": "not-the-administrators", "Admin": "not-the-administrators",
        "ADMIN": "not-the-administrators", "ａｄｍｉｎ": "not-the-administrators", "jonas": "not-jonas-own",
    }  # fmt: skip


@pytest.fixture
def fake(version: str, people: dict[str, str]) -> Iterator[FakeRegistry]:
    """A registry with that password file."""
    with FakeRegistry(version, basic=people) as registry, plugged(registry):
        registry.push_image("team/app", "1.0")
        yield registry


def plugged(fake: FakeRegistry) -> AbstractContextManager[None]:
    """This registry behind every client."""
    return connections.clients_made_by(lambda row: fake.client(name=row.public_host))


@pytest.fixture
def open_door(registry: Registry) -> Registry:
    """The registry whose people may sign in here, acting with their own credential."""
    Registry.objects.filter(pk=registry.pk).update(sign_in=True, act_with=Registry.ActWith.OWN)
    registry.refresh_from_db()
    return registry


def sign_in(client: Client, name: str, password: str, status: int = 302) -> Page:
    return send(client, LOGIN, status, username=name, password=password)


def refused(client: Client, name: str, password: str) -> None:
    """The answer is that of a wrong password, and nobody was made."""
    before = User.objects.count()
    assert sign_in(client, name, password, 422).text(".notice.danger") == WRONG
    assert "_auth_user_id" not in client.session
    assert User.objects.count() == before
    assert not Credential.objects.exists()


# Who comes in


def test_off_by_default(registry: Registry, client: Client, fake: FakeRegistry) -> None:
    assert registry.sign_in is False
    refused(client, "ada", SECRET)
    assert not fake.requests
    assert "work here too" not in look(client, LOGIN).text()


def test_page_says_that_it_is_possible(open_door: Registry, client: Client) -> None:
    assert look(client, LOGIN).text("p.help") == "Your name and password on registry.test:5000 work here too."


def test_right_password_makes_a_person_without_permissions(
    open_door: Registry, client: Client, fake: FakeRegistry
) -> None:
    sign_in(client, "ada", SECRET)
    user = User.objects.get(origin_registry=open_door)
    assert client.session["_auth_user_id"] == str(user.pk)
    assert (user.username, user.origin_registry, user.is_staff, user.is_superuser, user.is_active) == (
        "ada",
        open_door,
        False,
        False,
        True,
    )
    assert not user.has_usable_password()
    assert not user.get_all_permissions()
    assert not user.groups.exists()
    assert "Signed in first with a password of registry.test:5000" in look(client, "/account/").text(".lede")


def test_registry_is_asked_three_things(open_door: Registry, client: Client, fake: FakeRegistry) -> None:
    """Without a credential: 401; with the given password: accepted; with a random one: refused."""
    sign_in(client, "ada", SECRET)
    sent = [r.authorization for r in fake.requests]
    assert {r.path for r in fake.requests} == {"/v2/"}
    assert "" in sent
    given, other = sorted({a for a in sent if a}, key=lambda a: a != fake.credential("ada").basic())
    assert given == fake.credential("ada").basic()
    assert other != given
    assert {r.user for r in fake.requests if r.authorization} == {"ada"}


def test_password_is_kept_as_the_persons_own_credential(
    open_door: Registry, client: Client, fake: FakeRegistry
) -> None:
    sign_in(client, "ada", SECRET)
    row = Credential.objects.get()
    assert row.user is not None
    assert (row.user.username, row.registry, row.username, row.state, row.secret()) == (
        "ada",
        open_door,
        "ada",
        "accepted",
        SECRET,
    )
    assert "as ada" in look(client, "/registries/default/").text(".account-menu")


def test_next_time_it_is_the_same_person_with_the_new_password(
    open_door: Registry, client: Client, people: dict[str, str]
) -> None:
    sign_in(client, "ada", SECRET)
    client.logout()
    people["ada"] = "changed-meanwhile"
    sign_in(client, "ada", SECRET, 422)
    sign_in(client, "ada", "changed-meanwhile")
    assert User.objects.exclude(username="somebody").count() == 1
    assert Credential.objects.get().secret() == "changed-meanwhile"


def test_signing_in_again_changes_no_rank(open_door: Registry, client: Client) -> None:
    sign_in(client, "ada", SECRET)
    client.logout()
    group = Group.objects.create(name="core")
    user = User.objects.get(origin_registry=open_door)
    user.groups.add(group)
    user.is_staff = True
    user.set_password("a local password besides")
    user.save()
    before = user.password
    sign_in(client, "ada", SECRET)
    user.refresh_from_db()
    assert (user.is_staff, user.is_superuser, list(user.groups.all()), user.password) == (True, False, [group], before)


def test_groups_by_pattern_of_the_name(open_door: Registry, client: Client) -> None:
    own = Group.objects.create(name="robots")
    groups = ["ci-*=robots", "a*=a-team", "*=registry-users", "A*=others", "ada=a-team", "broken"]
    with override_settings(SIGN_IN_GROUPS=groups):
        sign_in(client, "ada", SECRET)
        user = User.objects.get(username="ada")
        assert sorted(user.groups.values_list("name", flat=True)) == ["a-team", "registry-users"]
        user.groups.set([own])
        client.logout()
        sign_in(client, "ada", SECRET)
    assert sorted(user.groups.values_list("name", flat=True)) == ["a-team", "registry-users", "robots"]


def test_changed_registry_password_is_followed_and_the_old_one_is_worth_nothing(
    open_door: Registry, client: Client, people: dict[str, str], fake: FakeRegistry
) -> None:
    sign_in(client, "ada", SECRET)
    people["ada"] = "changed-meanwhile"
    elsewhere = Client()
    assert sign_in(elsewhere, "ada", SECRET, 422).text(".notice.danger") == WRONG
    assert Credential.objects.get().secret() == SECRET, "a refused password changes nothing"
    sign_in(elsewhere, "ada", "changed-meanwhile")
    assert Credential.objects.get().secret() == "changed-meanwhile"
    fake.forget_requests()
    look(elsewhere, "/registries/default/team/app/")
    assert {r.authorization for r in fake.requests if r.authorization} == {fake.credential("ada").basic()}
    assert send(elsewhere, "/account/confirm/", 422, password=SECRET).has(".help.bad")
    send(elsewhere, "/account/confirm/", password="changed-meanwhile")


@pytest.mark.parametrize(
    ("name", "password"), [("ada", "wrong"), ("ada", ""), ("nobody", SECRET), ("ada", SECRET.upper())]
)
def test_wrong_password(open_door: Registry, client: Client, name: str, password: str) -> None:
    before = User.objects.count()
    page = sign_in(client, name, password, 422)
    assert page.has(".notice.danger") or page.has(".help.bad")
    assert User.objects.count() == before


# Names that are somebody else's


@pytest.mark.parametrize("name", ["admin", "Admin", "ADMIN", "ａｄｍｉｎ", " admin", "admin ", "ａｄｍｉｎ  "])
def test_registry_user_called_like_the_administrator_does_not_become_him(
    open_door: Registry, client: Client, admin: User, fake: FakeRegistry, name: str
) -> None:
    before = User.objects.values().get(pk=admin.pk)
    refused(client, name, "not-the-administrators")
    assert User.objects.values().get(pk=admin.pk) == before
    assert not fake.requests, "the registry is not even asked"


@pytest.mark.parametrize("name", ["ａｄｍｉｎ", "Admin", "admin ", "\tadmin", "ADMIN"])
def test_nor_past_the_form(open_door: Registry, admin: User, fake: FakeRegistry, name: str) -> None:
    """The form trims and normalises; the gate does not rely on that."""
    request = RequestFactory().post(LOGIN)
    assert authenticate(request, username=name, password="not-the-administrators") is None
    assert not fake.requests


def test_administrators_own_password_still_works(
    open_door: Registry, client: Client, admin: User, fake: FakeRegistry
) -> None:
    sign_in(client, "admin", PASSWORD)
    assert client.session["_auth_user_id"] == str(admin.pk)
    assert not fake.requests


def test_local_person_is_not_taken_over(open_door: Registry, client: Client, jonas: User) -> None:
    refused(client, "jonas", "not-jonas-own")
    jonas.refresh_from_db()
    assert jonas.check_password(PASSWORD)
    assert jonas.origin_registry is None


def test_person_of_another_registry_is_not_taken_over(open_door: Registry, client: Client) -> None:
    other = Registry.objects.create(slug="other", url="http://other.test", public_host="other.test")
    User.objects.create(username="ada", origin_registry=other)
    refused(client, "ada", SECRET)


def test_names_that_differ_by_case_alone_are_one_person(open_door: Registry, client: Client) -> None:
    sign_in(client, "ada", SECRET)
    client.logout()
    assert sign_in(client, "Ada", "another-ada", 422).text(".notice.danger") == WRONG
    assert User.objects.exclude(username="somebody").count() == 1
    assert Credential.objects.get().secret() == SECRET


def test_somebody_inactive_stays_out(open_door: Registry, client: Client, fake: FakeRegistry) -> None:
    sign_in(client, "ada", SECRET)
    client.logout()
    fake.forget_requests()
    User.objects.update(is_active=False)
    assert sign_in(client, "ada", SECRET, 422).text(".notice.danger") == WRONG
    assert "_auth_user_id" not in client.session
    assert authenticate(RequestFactory().post(LOGIN), username="ada", password=SECRET) is None
    assert not fake.requests


def test_session_ends_with_the_activity(open_door: Registry, client: Client) -> None:
    sign_in(client, "ada", SECRET)
    User.objects.update(is_active=False)
    assert client.get("/account/").status_code == 302


@pytest.mark.parametrize("name", ["a b", "x" * 151])
def test_name_that_cannot_be_a_persons_is_refused(
    open_door: Registry, client: Client, people: dict[str, str], name: str
) -> None:
    people[name] = "x" * 9
    before = User.objects.count()
    sign_in(client, name, "x" * 9, 422)
    assert User.objects.count() == before


def test_two_attempts_at_once_make_one_person(
    open_door: Registry, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the question and the answer somebody else took the name."""
    vouches = registry_signin._vouches

    def slowly(registry: Registry, username: str, password: str) -> bool:
        User.objects.create_user("ADA", password=PASSWORD)
        return vouches(registry, username, password)

    monkeypatch.setattr(registry_signin, "_vouches", slowly)
    assert sign_in(client, "ada", SECRET, 422).text(".notice.danger") == WRONG
    assert [u.username for u in User.objects.exclude(username="somebody")] == ["ADA"]


# Registries that prove nothing


def test_registry_that_lets_everybody_in_vouches_for_nobody(open_door: Registry, client: Client) -> None:
    with FakeRegistry("2.8") as fake, plugged(fake):
        refused(client, "ada", SECRET)
        assert not [r for r in fake.requests if r.authorization], "and is sent no password"


def test_token_server_that_gives_to_anybody_vouches_for_nobody(
    open_door: Registry, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeRegistry("2.8", token_users={}) as fake, plugged(fake):
        assert fake.tokens is not None
        issue = fake.tokens.issue
        monkeypatch.setattr(fake.tokens, "issue", lambda query, _authorization, dialect: issue(query, "", dialect))
        refused(client, "ada", SECRET)
        assert fake.count("GET", "/token") >= 2


def test_token_server_that_knows_passwords_vouches(open_door: Registry, client: Client) -> None:
    with FakeRegistry("2.8", token_users={"ada": TokenUser(SECRET, {})}) as fake, plugged(fake):
        refused(client, "ada", "wrong")
        sign_in(client, "ada", SECRET)
        assert User.objects.get(origin_registry=open_door).origin_registry == open_door


def test_password_revoked_at_the_token_server_is_refused_at_once(open_door: Registry, client: Client) -> None:
    """A token from the sign-in before proves nothing."""
    people = {"ada": TokenUser(SECRET, {})}
    with FakeRegistry("2.8", token_users=people) as fake, plugged(fake):
        sign_in(client, "ada", SECRET)
        client.logout()
        people["ada"] = TokenUser("another", {})
        assert sign_in(client, "ada", SECRET, 422).text(".notice.danger") == WRONG


@pytest.mark.parametrize("exception", ["refused", "timeout", "certificate"])
def test_registry_that_cannot_be_asked_vouches_for_nobody(
    open_door: Registry, client: Client, fake: FakeRegistry, exception: str
) -> None:
    fake.fail_next("", exception=exception, times=None)  # type: ignore[arg-type]
    refused(client, "ada", SECRET)


def test_registry_that_accepts_any_password_vouches_for_nobody(
    open_door: Registry, client: Client, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """401 without a credential, 200 with whatever one."""
    record = fake.receive

    def accept_any(request: httpx.Request) -> httpx.Response | None:
        known = record(request)
        if "authorization" not in request.headers:
            return known
        return answer(200, b"{}", Content_Type="application/json", Docker_Distribution_Api_Version="registry/2.0")

    monkeypatch.setattr(fake, "receive", accept_any)
    refused(client, "ada", SECRET)


def test_registry_that_lets_nobody_in_particular_in_vouches_for_nobody(
    open_door: Registry, client: Client, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells passwords apart, but does not ask for one: 200 without a credential, 401 with a wrong one."""
    record = fake.receive

    def ask_nobody(request: httpx.Request) -> httpx.Response | None:
        known = record(request)
        if "authorization" in request.headers:
            return known
        return answer(200, b"{}", Content_Type="application/json", WWW_Authenticate='Basic realm="if you like"')

    monkeypatch.setattr(fake, "receive", ask_nobody)
    refused(client, "ada", SECRET)


def test_password_is_in_no_log(
    open_door: Registry, client: Client, fake: FakeRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        sign_in(client, "ada", SECRET)
        client.logout()
        sign_in(client, "ada", "wrong-and-secret", 422)
    assert SECRET not in caplog.text
    assert "wrong-and-secret" not in caplog.text


def test_failures_are_throttled_here_too(open_door: Registry, client: Client, fake: FakeRegistry) -> None:
    for _ in range(10):
        client.post(LOGIN, {"username": "ada", "password": "wrong"})
    fake.forget_requests()
    sign_in(client, "ada", SECRET, 429)
    assert not fake.requests, "locked: the registry is asked nothing"
