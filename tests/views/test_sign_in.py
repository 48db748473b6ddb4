"""Signing in and out: what needs it, where it leads, what it refuses, and when it is locked."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.test import Client, RequestFactory, override_settings
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from dashboard.models import Registry, User
from dashboard.services.client_address import client_address
from tests.conftest import PASSWORD
from tests.fake_registry import FakeRegistry

from .page import look, send

LOGIN = "/accounts/login/"
DIGEST = "sha256:" + "a" * 64
OPEN = {LOGIN, "/set-up/", "/invitations/1/", "/accounts/oidc/", "/accounts/oidc/callback/"}
OPEN |= {"/healthz", "/readyz", "/events/default/", "/metrics"}
"""Open on purpose (some want a token of their own); whatever else answers without sign-in fails a test."""
NAMES = {"slug": "default", "repository": "team/app", "tag": "1.0", "digest": DIGEST}
NAMES["job"] = NAMES["deletion"] = "00000000-0000-0000-0000-000000000000"
WRONG = "That name and password do not belong together."


@pytest.fixture
def version() -> str:
    """One version: the registry plays no part here."""
    return "3.1"


def addresses() -> Iterator[str]:
    """Every address of the dashboard's own pages, made from the URL patterns."""
    for route in _routes(get_resolver().url_patterns, "/"):
        if "(?P" not in route:
            yield re.sub(r"<(?:\w+:)?(\w+)>", lambda found: NAMES.get(found[1], "1"), route)


def _routes(patterns: list[URLPattern | URLResolver], base: str) -> Iterator[str]:
    for pattern in patterns:
        route = base + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, route)
        else:
            yield route


def test_everything_but_a_few_addresses_needs_sign_in(
    client: Client, registry: Registry, jonas: User, fake: FakeRegistry
) -> None:
    for address in sorted(set(addresses()) - OPEN):
        for method in (client.get, client.post):
            chain = [location for location, _ in method(address, follow=True).redirect_chain]
            assert chain, f"{address} answers without sign-in"
            assert chain[-1].startswith(f"{LOGIN}?next=") or chain == [LOGIN], f"{address} leads to {chain}"
            assert len(chain) <= 2
    assert not fake.requests, "nobody unknown makes us ask the registry"


def test_the_walk_saw_every_kind_of_page() -> None:
    found = set(addresses())
    assert {
        "/", "/account/", "/account/theme/", "/account/credentials/default/", "/registries/default/",
        "/registries/default/-/status/", "/registries/default/-/storage/", "/registries/default/team/app/",
        "/registries/default/team/app/-/tags/1.0/", f"/registries/default/team/app/-/blobs/{DIGEST}/",
        "/registries/default/team/app/-/delete/", "/settings/people/", "/settings/people/1/",
    } <= found  # fmt: skip


@pytest.mark.django_db
def test_static_files_are_open(client: Client) -> None:
    with closing(client.get("/static/app.css")) as response:
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/css")


def test_signing_in_leads_on_and_out_again(client: Client, registry: Registry, jonas: User, fake: FakeRegistry) -> None:
    fake.push_image("app", "1")
    page = look(client, LOGIN)
    assert page.title == "Sign in · Strata"
    assert not page.has(".account-menu")
    done = send(client, f"{LOGIN}?next=/registries/default/app/", username="jonas", password=PASSWORD)
    assert done.headers["Location"] == "/registries/default/app/"
    assert look(client, "/registries/default/app/").text(".account-name") == "jonas"
    assert send(client, "/accounts/logout/").headers["Location"] == LOGIN
    assert client.get("/registries/default/").status_code == 302


@pytest.mark.parametrize(
    "target",
    ["https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:alert(1)", "http:///evil.test", "\t//evil.test"],
)
@pytest.mark.django_db
def test_signing_in_never_leads_elsewhere(client: Client, jonas: User, target: str) -> None:
    done = send(client, LOGIN, username="jonas", password=PASSWORD, next=target)
    assert done.headers["Location"] == "/"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "password"), [("jonas", "wrong"), ("nobody", "wrong"), ("gone", PASSWORD), ("jonas", " " + PASSWORD)]
)
def test_refusal_does_not_tell_what_was_wrong(client: Client, jonas: User, name: str, password: str) -> None:
    User.objects.create_user("gone", password=PASSWORD, is_active=False)
    page = send(client, LOGIN, 422, username=name, password=password)
    assert page.text(".notice.danger") == WRONG
    assert page.node("[name=username]").attributes["value"] == name
    assert password.strip() not in page.html


def test_somebody_signed_in_is_led_on(as_jonas: Client) -> None:
    assert as_jonas.get(f"{LOGIN}?next=/account/").headers["Location"] == "/account/"


@pytest.mark.django_db
def test_fragment_whose_session_ended_takes_the_whole_page_to_sign_in(client: Client, jonas: User) -> None:
    response = client.get("/registries/default/?name=x", headers={"HX-Request": "true"}, follow=True)
    assert response.content == b""
    assert response.headers["HX-Redirect"] == "/accounts/login/?next=%2Fregistries%2Fdefault%2F%3Fname%3Dx"


def test_nobody_but_administrators_enters_the_administration(as_jonas: Client) -> None:
    page = look(as_jonas, "/settings/people/", 403)
    assert page.text("h2") == "You may not do that here"


# Throttling


def fail(client: Client, name: str, times: int, **where: str) -> None:
    for _ in range(times):
        client.post(LOGIN, {"username": name, "password": "wrong"}, **where)  # type: ignore[arg-type]


@pytest.mark.django_db
def test_ten_failures_lock_a_name_from_an_address_for_a_quarter_of_an_hour(
    client: Client, jonas: User, maria: User
) -> None:
    fail(client, "jonas", 9)
    assert "_auth_user_id" not in client.session
    before = timezone.now()
    send(client, LOGIN, 429, username="jonas", password="wrong")
    page = send(client, LOGIN, 429, username="jonas", password=PASSWORD)
    assert page.text("h1") == "Too many failures"
    said = re.search(r"Try again after (.*) UTC\.", page.text("section.state"))
    assert said is not None
    told = dt.datetime.strptime(said[1], "%d %B %Y, %H:%M:%S").replace(tzinfo=dt.UTC)
    assert dt.timedelta(minutes=14) < told - before <= dt.timedelta(minutes=15)
    assert "_auth_user_id" not in client.session
    send(client, LOGIN, username="maria", password=PASSWORD)
    assert client.session["_auth_user_id"] == str(maria.pk)


@pytest.mark.django_db
def test_lock_is_for_that_address_alone_and_ends(client: Client, jonas: User) -> None:
    fail(client, "jonas", 10)
    elsewhere = Client(REMOTE_ADDR="192.0.2.7")
    send(elsewhere, LOGIN, username="jonas", password=PASSWORD)
    fail(client, "jonas", 10, REMOTE_ADDR="192.0.2.8")
    AccessAttempt.objects.update(attempt_time=timezone.now() - dt.timedelta(minutes=16))
    assert send(client, LOGIN, username="jonas", password=PASSWORD).headers["Location"] == "/"


@pytest.mark.django_db
def test_success_forgets_the_failures(client: Client, jonas: User) -> None:
    fail(client, "jonas", 9)
    send(client, LOGIN, username="jonas", password=PASSWORD)
    client.logout()
    fail(client, "jonas", 9)
    assert send(client, LOGIN, username="jonas", password=PASSWORD).headers["Location"] == "/"


@pytest.mark.django_db
def test_forged_forwarding_does_not_escape_the_lock(client: Client, jonas: User) -> None:
    for number in range(10):
        fail(client, "jonas", 1, HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")
    assert send(client, LOGIN, 429, username="jonas", password=PASSWORD).text("h1") == "Too many failures"


@pytest.mark.django_db
def test_behind_a_proxy_people_are_locked_by_their_own_address(client: Client, jonas: User) -> None:
    with override_settings(TRUSTED_PROXIES=1):
        for number in range(10):
            fail(client, "jonas", 1, HTTP_X_FORWARDED_FOR=f"10.9.9.{number}, 192.0.2.1")
        locked = client.post(
            LOGIN, {"username": "jonas", "password": PASSWORD}, headers={"X-Forwarded-For": "192.0.2.1"}
        )
        free = client.post(LOGIN, {"username": "jonas", "password": PASSWORD}, headers={"X-Forwarded-For": "192.0.2.2"})
    assert (locked.status_code, free.status_code) == (429, 302)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "", "203.0.113.9"), (0, "192.0.2.1", "203.0.113.9"),
        (1, "192.0.2.1", "192.0.2.1"), (1, "10.0.0.1, 192.0.2.1", "192.0.2.1"), (1, "", "203.0.113.9"),
        (1, "not an address", "203.0.113.9"), (1, "<script>", "203.0.113.9"), (1, "2001:DB8::1", "2001:db8::1"),
        (2, "10.0.0.1, 192.0.2.1, 198.51.100.1", "192.0.2.1"), (2, "192.0.2.1", "203.0.113.9"),
        (2, "192.0.2.1,198.51.100.1", "192.0.2.1"), (2, " , ,192.0.2.1", "203.0.113.9"),
    ],
)  # fmt: skip
def test_client_address(proxies: int, forwarded: str, address: str) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="203.0.113.9", HTTP_X_FORWARDED_FOR=forwarded)
    with override_settings(TRUSTED_PROXIES=proxies):
        assert client_address(request) == address


def test_password_in_the_log_of_no_failure(client: Client, jonas: User, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        send(client, LOGIN, 422, username="jonas", password="my-other-password")
    assert "my-other-password" not in caplog.text
    attempt = AccessAttempt.objects.get()
    assert "my-other-password" not in f"{attempt.post_data} {attempt.get_data}"
    assert settings.AXES_FAILURE_LIMIT == 10
