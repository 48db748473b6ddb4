"""What is true of every page: policy, forms, methods, theme, and where the root leads."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from dashboard.models import Registry, User
from tests.conftest import PASSWORD
from tests.fake_registry import FakeRegistry

from .page import look, page_of, send

HOME = "/registries/default/"
APP = f"{HOME}team/app/"


@pytest.fixture
def version() -> str:
    """One version: the registry plays no part here."""
    return "2.8"


@pytest.fixture
def pages(registry: Registry, fake: FakeRegistry) -> dict[str, int]:
    """Address → status of one page of each kind."""
    image = fake.push_image("team/app", "1.0")
    return {
        "/account/": 200, HOME: 200, APP: 200, f"{APP}-/tags/1.0/": 200, f"{APP}-/manifests/{image.digest}/": 200,
        f"{APP}-/blobs/{image.config}/": 200, f"{APP}-/delete/?tag=1.0": 200, f"{HOME}-/status/": 200,
        f"{HOME}-/storage/": 200, f"{HOME}-/activity/": 200, f"{APP}-/activity/": 200,
        "/nowhere/": 404, f"{HOME}no/such/": 404, f"{HOME}Upper/": 404,
    }  # fmt: skip


def test_policy_titles_and_frame(pages: dict[str, int], as_maria: Client) -> None:
    """look() checks the policy and that nothing is inline."""
    titles = []
    for address, status in pages.items():
        page = look(as_maria, address, status)
        policy = dict(part.strip().partition(" ")[::2] for part in page.headers["Content-Security-Policy"].split(";"))
        assert policy == {
            "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data:",
            "font-src": "'self'", "connect-src": "'self'", "form-action": "'self'", "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }  # fmt: skip
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert len(page.texts("h1")) == 1
        assert page.text(".account-name") == "maria"
        titles.append(page.title)
        assert titles[-1].endswith(" · Strata")
    assert len(set(titles)) == len(titles) - 1, "a title names its page; the two plain 404 share one"


def test_htmx_is_told_to_keep_to_the_policy(pages: dict[str, int], as_jonas: Client) -> None:
    settings = json.loads(look(as_jonas, HOME).attributes("meta[name=htmx-config]", "content")[0])
    assert settings == {
        "includeIndicatorStyles": False, "allowEval": False, "selfRequestsOnly": True, "historyCacheSize": 0,
        "historyRestoreAsHxRequest": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "address", ["/accounts/logout/", "/account/theme/", f"{HOME}-/storage/scan/", f"{HOME}-/refresh/"]
)
def test_what_changes_something_takes_post_alone(registry: Registry, as_maria: Client, address: str) -> None:
    assert as_maria.get(address).status_code == 405
    assert as_maria.get("/account/").status_code == 200, "still signed in"


@pytest.mark.parametrize(
    "address",
    ["/account/", HOME, APP, f"{APP}-/tags/1.0/", f"{HOME}-/status/", f"{HOME}-/storage/", f"{HOME}-/activity/", "/"],
)
def test_what_only_shows_takes_no_post(registry: Registry, as_maria: Client, fake: FakeRegistry, address: str) -> None:
    assert as_maria.post(address).status_code == 405
    assert not fake.requests


@pytest.mark.parametrize(
    "address",
    [
        "/accounts/login/",
        "/accounts/logout/",
        "/account/theme/",
        "/account/credentials/default/",
        f"{HOME}-/storage/scan/",
        f"{HOME}-/refresh/",
        f"{APP}-/delete/",
    ],
)
def test_form_of_another_site_is_refused_with_a_page(
    registry: Registry, maria: User, fake: FakeRegistry, address: str
) -> None:
    browser = Client(enforce_csrf_checks=True)
    if address != "/accounts/login/":
        browser.force_login(maria)
    page = page_of(browser.post(address, {"username": "maria", "password": PASSWORD, "theme": "dark"}), 403)
    assert page.text("h1") == "Form not accepted"
    assert "strata_theme" not in browser.cookies
    assert not fake.requests


def test_form_of_our_own_page_is_accepted(registry: Registry, maria: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(maria)
    token = look(browser, "/account/").attributes("form input[name=csrfmiddlewaretoken]", "value")[0]
    send(browser, "/account/theme/", theme="dark", csrfmiddlewaretoken=token)
    assert browser.cookies["strata_theme"].value == "dark"


@pytest.mark.parametrize("theme", ["light", "dark", "system"])
def test_theme_is_kept_in_a_cookie_and_rendered_without_a_flash(
    registry: Registry, as_jonas: Client, theme: str
) -> None:
    done = send(as_jonas, "/account/theme/", theme=theme, next="/registries/default/?name=a")
    assert done.headers["Location"] == "/registries/default/?name=a"
    page = look(as_jonas, "/account/")
    assert page.node("html").attributes.get("data-theme") == (None if theme == "system" else theme)
    assert page.attributes("input[name=theme][checked]", "value") == [theme]
    cookie = as_jonas.cookies["strata_theme"]
    assert (cookie["samesite"], cookie["max-age"]) == ("Lax", 365 * 24 * 3600)


@pytest.mark.parametrize("value", ["neon", "", '"><script>'])
def test_theme_that_is_none_is_not_kept(registry: Registry, as_jonas: Client, value: str) -> None:
    send(as_jonas, "/account/theme/", theme=value)
    assert "strata_theme" not in as_jonas.cookies
    as_jonas.cookies["strata_theme"] = "neon"
    assert look(as_jonas, "/account/").node("html").attributes.get("data-theme") is None


@pytest.mark.parametrize("target", ["https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:alert(1)"])
def test_theme_never_leads_elsewhere(registry: Registry, as_jonas: Client, target: str) -> None:
    assert send(as_jonas, "/account/theme/", theme="dark", next=target).headers["Location"] == "/account/"


def test_root_leads_to_the_only_registry(registry: Registry, as_jonas: Client) -> None:
    assert as_jonas.get("/").headers["Location"] == HOME


def test_root_lists_several_registries(registry: Registry, as_jonas: Client) -> None:
    Registry.objects.create(slug="other", url="https://other.test", public_host="other.test")
    assert look(as_jonas, "/").links("main a") == {"registry.test:5000": HOME, "other.test": "/registries/other/"}


@pytest.mark.django_db
def test_root_without_a_registry_says_what_to_set(as_jonas: Client) -> None:
    assert look(as_jonas, "/").text("section.state code") == "DASHBOARD_REGISTRY_URL"


def test_fault_of_our_own_is_a_page_without_details(
    registry: Registry, as_jonas: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret in a trace")

    monkeypatch.setattr("dashboard.services.index.repository_list.repositories", broken)
    as_jonas.raise_request_exception = False
    page = page_of(as_jonas.get(HOME), 500)
    assert "Strata has a fault" in page.text("h1")
    assert "secret" not in page.html


def test_account_page_tells_who_and_what_one_may(registry: Registry, as_maria: Client, as_jonas: Client) -> None:
    maria, jonas = look(as_maria, "/account/"), look(as_jonas, "/account/")
    assert maria.texts("main ul.plain li") == ["maintainer everywhere"]
    assert jonas.texts("main ul.plain li") == ["reader everywhere"]
    assert "without a credential: the registry asks for none" in jonas.text("table.accounts")
    assert not jonas.has("table.accounts a")
    assert not jonas.links(".account-menu a").get("People and permissions")
