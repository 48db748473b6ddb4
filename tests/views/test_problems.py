"""What goes wrong between us and a registry gets a page: what happened, where, as whom, what to change, and Retry."""

from __future__ import annotations

import pytest
from django.test import Client, override_settings

from dashboard.models import Registry
from dashboard.services import connections
from tests.fake_registry import FakeRegistry

from .page import Page, look, words

HOME = "/registries/default/"
APP = f"{HOME}team/app/"
TAG = f"{APP}-/tags/1.0/"
DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def version() -> str:
    """One version: how answers become errors is the client's, and tested there."""
    return "2.8"


@pytest.fixture
def browser(registry: Registry, as_jonas: Client, fake: FakeRegistry) -> Client:
    """Jonas, before a registry with one image."""
    fake.push_image("team/app", "1.0")
    return as_jonas


def holds(page: Page, title: str, sentence: str, advice: str, retry: str) -> None:
    """The page says all of it, and the rest of the frame works."""
    assert page.text("h1") == page.text("section.state h2") == title
    assert page.title == f"{title} · Strata"
    assert sentence in page.text("section.state")
    facts = dict(zip(page.texts("section.state > dl > dt"), page.texts("section.state > dl > dd"), strict=True))
    assert facts["Address"] == "http://registry.test:5000"
    assert facts["As"] == "nobody (no credential sent)"
    assert facts.get("To change", "") == advice
    links = page.links("section.state a")
    assert links["Retry"] == retry
    assert links["Status of the registry"] == "/registries/default/-/status/"
    assert page.texts(".main-nav a") == ["Repositories", "Storage", "Activity", "Trash", "Status"]


@pytest.mark.parametrize(
    "address", [HOME, f"{APP}?name=x&page=2", TAG, f"{APP}-/manifests/{DIGEST}/", f"{APP}-/blobs/{DIGEST}/"]
)
def test_registry_down_on_every_page(browser: Client, fake: FakeRegistry, address: str) -> None:
    fake.fail_next("", exception="refused", times=None)
    page = look(browser, address, 502)
    holds(
        page, "registry.test:5000 cannot be reached", "No connection could be made (connection refused).",
        "Check that the registry runs and that its address is right.", address,
    )  # fmt: skip
    fake.heal()
    if address in (HOME, TAG):
        look(browser, page.links("section.state a")["Retry"])


@pytest.mark.parametrize("address", [HOME, APP, TAG])
def test_certificate_that_does_not_match(browser: Client, fake: FakeRegistry, address: str) -> None:
    fake.fail_next("", exception="certificate", times=None)
    page = look(browser, address, 502)
    assert page.text("h1") == "registry.test:5000 could not be trusted"
    assert "self-signed certificate in certificate chain" in page.text("section.state")
    assert "Nothing was sent, no password either." in page.text("section.state")
    assert "DASHBOARD_REGISTRY_CA_FILE" in page.text("section.state dl")


@pytest.mark.parametrize("address", [HOME, APP, TAG])
def test_registry_that_does_not_answer_in_time(browser: Client, fake: FakeRegistry, address: str) -> None:
    fake.delay = 3600
    page = look(browser, address, 504)
    assert page.text("h1") == "registry.test:5000 did not answer in time"
    assert "Try again" in page.text("section.state dl")


def test_page_spends_no_more_than_its_budget(
    browser: Client, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that are each quick enough, and together too slow: what is known is shown, and from when it is."""
    monkeypatch.setattr("dashboard.services.index.check.BUDGET_SECONDS", 0.5)
    fake.push_image("team/app", *(f"slow-{n}" for n in range(24)), "zuerst")
    look(browser, APP)
    fake.fail_next("HEAD .*/slow-", delay=0.3, times=None)
    page = look(browser, APP)
    assert len(page.tree.css("table.tags tbody tr")) == 26
    assert "Shown as it was read" in page.text("main .notice.warning")
    assert "did not answer in time" in page.text("main .notice.warning")


@override_settings(REGISTRY_USERNAME="robot", REGISTRY_PASSWORD="wrong")
def test_wrong_credential_is_told_with_its_name_never_its_password(
    registry: Registry, as_jonas: Client, fake: FakeRegistry
) -> None:
    guarded = FakeRegistry("2.8", basic={"robot": "right"})
    with connections.clients_made_by(lambda row: guarded.client(name=row.public_host)):
        page = look(as_jonas, HOME, 403)
    assert page.text("h1") == "registry.test:5000 refused the credential"
    assert "It answered 401 to the first greeting as robot" in page.text("section.state")
    assert "wrong" not in page.text("section.state").replace("name or password is wrong", "")


def test_registry_that_wants_a_credential_and_has_none(registry: Registry, as_jonas: Client) -> None:
    guarded = FakeRegistry("2.8", basic={"robot": "right"})
    with connections.clients_made_by(lambda row: guarded.client(name=row.public_host)):
        page = look(as_jonas, HOME, 403)
    assert "it wants a name and password, and none was sent" in page.text("section.state")


@pytest.mark.parametrize(
    ("kind", "title", "sentence"),
    [
        ("html", "registry.test:5000 gave an answer that cannot be read", "HTML instead of JSON"),
        ("html-404", "There is no registry at registry.test:5000", "no registry answers at this address"),
        ("truncated", "registry.test:5000 gave an answer that cannot be read", "truncated or invalid JSON"),
        ("not-an-object", "registry.test:5000 gave an answer that cannot be read", "JSON, but not an object"),
        ("fault", "registry.test:5000 has a fault", "It answered 500 to"),
        ("unavailable", "registry.test:5000 has a fault", "It answered 503 to"),
        ("redirect", "There is no registry at registry.test:5000", "redirects to https://login.elsewhere.test"),
    ],
)
def test_answers_that_no_registry_gives(
    browser: Client, fake: FakeRegistry, kind: str, title: str, sentence: str
) -> None:
    fake.break_with(kind, "tags/list")
    page = look(browser, APP, 502)
    assert page.text("h1") == title
    assert sentence in page.text("section.state")
    assert page.links("section.state a")["Retry"] == APP
    assert "secret=1" not in page.html


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("html", "registry.test:5000 gave an answer that cannot be read"),
        ("huge", "registry.test:5000 sent more than is allowed"),
        ("truncated", "registry.test:5000 sent content that is not what was asked for"),
        ("fault", "registry.test:5000 has a fault"),
    ],
)
def test_manifest_that_cannot_be_used(browser: Client, fake: FakeRegistry, kind: str, title: str) -> None:
    """HTML, 10 MB, other bytes than those of the digest: a page on the image, a row in the list."""
    fake.break_with(kind, "GET /v2/team/app/manifests/sha256")
    assert look(browser, TAG, 502).text("h1") == title
    assert title in words(look(browser, APP).row("1.0"))


def test_wrong_digest_is_not_shown_and_not_kept(browser: Client, fake: FakeRegistry) -> None:
    body = b'{"schemaVersion": 2, "layers": [], "annotations": {"planted": "yes"}}'
    fake.fail_next("GET /v2/team/app/manifests/sha256", status=200, body=body, times=None,
                   headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"})  # fmt: skip
    page = look(browser, TAG, 502)
    assert "They are not shown." in page.text("section.state")
    assert "planted" not in page.html
    fake.heal()
    assert "planted" not in look(browser, TAG).html


def test_words_of_the_registry_are_folded_away(browser: Client, fake: FakeRegistry) -> None:
    body = b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down", "detail": {"limit": 5}}]}'
    fake.fail_next("tags/list", status=429, body=body, headers={"Content-Type": "application/json"}, times=None)
    page = look(browser, APP, 502)
    assert page.text("h1") == "registry.test:5000 asks for fewer requests"
    assert page.text("details.fold dl.said") == 'TOOMANYREQUESTS slow down {"limit": 5}'


def test_one_fault_while_a_tag_is_written_is_never_seen(browser: Client, fake: FakeRegistry) -> None:
    """2.8 answers 500 for a moment: read again, once."""
    fake.break_with("fault", "tags/list", times=1)
    assert look(browser, APP).texts("table.tags .name") == ["1.0"]


def test_problem_of_a_fragment_takes_the_whole_page(browser: Client, fake: FakeRegistry) -> None:
    """htmx puts no error in a list's place, so the browser goes to the address, which says it; nothing is lost."""
    fake.fail_next("", exception="refused", times=None)
    address = f"{HOME}?name=x&page=2"
    part = look(browser, address, HX_Request="true", HX_Target="list")
    assert (part.headers["HX-Redirect"], part.html) == (address, "")
    page = look(browser, address, 502)
    assert page.links("section.state a")["Retry"] == address


# What is not there


@pytest.mark.parametrize("version", ["2.8", "3.1"])
@pytest.mark.parametrize(
    ("address", "title", "looked_for"),
    [
        (f"{HOME}no/such/", "No such repository on registry.test:5000", "no/such"),
        (f"{APP}-/tags/9.9/", "No such tag or image on registry.test:5000", "team/app:9.9"),
        (f"{APP}-/manifests/{DIGEST}/", "No such tag or image on registry.test:5000", DIGEST),
        (f"{APP}-/blobs/{DIGEST}/", "No such blob on registry.test:5000", DIGEST),
        (f"{HOME}no/such/-/tags/1.0/", "on registry.test:5000", "no/such:1.0"),
        (f"{HOME}no/such/-/blobs/{DIGEST}/", "No such blob on registry.test:5000", DIGEST),
    ],
)
def test_unknown_things_are_404_with_what_was_looked_for(
    browser: Client, address: str, title: str, looked_for: str
) -> None:
    page = look(browser, address, 404)
    assert title in page.text("h1")
    assert looked_for in page.text("section.state > p")


MALFORMED = [
    (f"{HOME}Upper/", "“Upper” is not a repository name."),
    (f"{HOME}a..b/", "“a..b” is not a repository name."),
    (f"{HOME}a//b/", "“a//b” is not a repository name."),
    (f"{HOME}-a/", "“-a” is not a repository name."),
    (f"{HOME}%2e%2e/%2e%2e/etc/passwd/", "“../../etc/passwd” is not a repository name."),
    (f"{HOME}a%0d%0aHost:%20evil/", "Nothing is at this address."),
    (f"{HOME}a%00/", "is not a repository name."),
    (f"{HOME}{'a' * 256}/", "is not a repository name."),
    (f"{HOME}team/_catalog/", "is not a repository name."),
    (f"{APP}-/tags/-rf/", "“-rf” is not a tag."),
    (f"{APP}-/tags/{'t' * 129}/", "is not a tag."),
    (f"{APP}-/tags/a%20b/", "“a b” is not a tag."),
    (f"{APP}-/tags/{DIGEST}/", "is not a tag."),
    (f"{APP}-/tags/¹/", "“¹” is not a tag."),
    (f"{APP}-/manifests/1.0/", "“1.0” is not a digest."),
    (f"{APP}-/manifests/{DIGEST.upper()}/", "is not a digest."),
    (f"{APP}-/manifests/md5:{'a' * 32}/", "is not a digest."),
    (f"{APP}-/blobs/sha256:abc/", "“sha256:abc” is not a digest."),
    (f"{APP}-/blobs/{DIGEST}%0a/", "is not a digest."),
    (f"{HOME}Upper/-/tags/1.0/", "“Upper” is not a repository name."),
    ("/registries/nowhere/", "There is no registry “nowhere” here."),
    ("/registries/nowhere/team/app/", "There is no registry “nowhere” here."),
]


@pytest.mark.parametrize(("address", "sentence"), MALFORMED, ids=[address[:60] for address, _ in MALFORMED])
def test_malformed_names_are_404_and_never_a_request(
    browser: Client, fake: FakeRegistry, address: str, sentence: str
) -> None:
    page = look(browser, address, 404)
    assert page.text("h1") == "Not found"
    assert sentence in page.text("section.state > p")
    assert page.text("section.state dd") != ""
    assert fake.requests == []


@pytest.mark.parametrize(
    "address", ["/nowhere/", "/registries/default/-/nowhere/", f"{APP}-/nowhere/", f"{APP}-/tags/1.0/more/"]
)
def test_address_that_is_no_page(browser: Client, fake: FakeRegistry, address: str) -> None:
    page = look(browser, address, 404)
    assert page.text("section.state > p") == "Nothing is at this address."
    assert page.text("section.state dd") == address
    assert fake.requests == []


def test_tag_named_like_a_page_is_reached(browser: Client, fake: FakeRegistry) -> None:
    """No fixed word ever stands where a tag, digest or repository goes."""
    for name in ("storage", "status/tags", "tags/list", "delete", "manifests/blobs"):
        fake.push_image(name, "delete", "tags", "latest")
        assert look(browser, f"{HOME}{name}/").title.startswith(name)
        assert look(browser, f"{HOME}{name}/-/tags/delete/").title.startswith(f"{name}:delete")
