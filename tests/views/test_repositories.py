"""The list of repositories: what stands in it, in which order, what it costs, and what it says when it cannot."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.models import Registry
from dashboard.services import access
from tests.fake_registry import FakeRegistry

from .page import Page, look, page_of, part, words

HOME = "/registries/default/"
TAG_LISTS = "/tags/list"


@pytest.fixture
def version() -> str:
    """One version: what differs between them is the client's, and tested there."""
    return "3.1"


@pytest.fixture
def browser(registry: Registry, as_jonas: Client) -> Client:
    """Jonas, before a registry."""
    return as_jonas


def push(fake: FakeRegistry, *names: str) -> None:
    for name in names:
        fake.push_image(name, "latest")


def names(page: Page) -> list[str]:
    return page.texts("table.repos th[scope=row] .name")


def test_names_stand_below_their_namespace_and_link_to_their_tags(browser: Client, fake: FakeRegistry) -> None:
    push(fake, "team/app", "alpine", "team/app/worker", "team/api")
    page = look(browser, HOME)
    groups = [
        (
            words(body.css_first("tr.group .mono")) if body.css_first("tr.group") else "",
            [words(n) for n in body.css(".name")],
        )
        for body in page.tree.css("table.repos tbody")
    ]
    assert groups == [("", ["alpine"]), ("team/", ["api", "app"]), ("team/app/", ["worker"])]
    assert page.links("table.repos th a")["worker"] == "/registries/default/team/app/worker/"
    assert page.texts("tr.group small") == ["2 repositories", "1 repository"]
    assert page.title == "Repositories · registry.test:5000 · Strata"
    assert page.texts("dl.figures dd") == ["4", "4"]


def test_flat_shows_whole_names_in_natural_order_and_keeps_the_view_in_every_link(
    browser: Client, fake: FakeRegistry
) -> None:
    push(fake, "team/app10", "team/app9", "alpine")
    page = look(browser, f"{HOME}?view=flat")
    assert names(page) == ["alpine", "team/app9", "team/app10"]
    assert not page.has("tr.group")
    assert page.attributes("thead th a", "href") == [f"{HOME}?view=flat&sort=-name"]
    turned = look(browser, f"{HOME}?view=flat&sort=-name")
    assert names(turned) == ["team/app10", "team/app9", "alpine"]
    assert turned.attributes("thead th[scope=col]", "aria-sort")[0] == "descending"
    assert page.attributes(".segmented a[aria-current]", "href") == [f"{HOME}?view=flat"]


def test_filter_acts_on_every_name_not_on_the_page_shown(browser: Client, fake: FakeRegistry) -> None:
    push(fake, *(f"many/r{number:03}" for number in range(60)), "zoo/needle")
    page = look(browser, f"{HOME}?name=NEEDLE")
    assert names(page) == ["needle"]
    assert page.node("#f-name").attributes["value"] == "NEEDLE"
    assert "1 repository with “NEEDLE” in its name" in page.text("caption")


def test_filter_that_finds_nothing_says_how_many_were_searched(browser: Client, fake: FakeRegistry) -> None:
    push(fake, "a", "b")
    page = look(browser, f"{HOME}?name=zzz&view=flat")
    assert "No repository contains “zzz”" in page.text("#list")
    assert "2 repositories were searched." in page.text("#list")
    assert page.links("#list a") == {"Clear the filter": f"{HOME}?view=flat"}
    assert not page.has("table")


def test_fifty_to_a_page_and_tags_asked_only_for_those(browser: Client, fake: FakeRegistry) -> None:
    push(fake, *(f"many/r{number}" for number in range(1, 53)))
    first = look(browser, HOME)
    assert names(first) == [f"r{number}" for number in range(1, 51)]
    assert fake.count("GET", TAG_LISTS) == 50
    assert first.text(".pagination").startswith("1–50 of 52")
    assert first.links(".pagination a")["Next"] == f"{HOME}?page=2"
    assert first.texts("dl.figures dt")[1] == "tags on this page"
    fake.forget_requests()
    second = look(browser, f"{HOME}?page=2")
    assert names(second) == ["r51", "r52"]
    assert fake.count("GET", TAG_LISTS) == 2
    assert second.links(".pagination a")["Back"] == HOME


@pytest.mark.parametrize("number", ["99", "3"])
def test_page_beyond_the_end_is_the_last(browser: Client, fake: FakeRegistry, number: str) -> None:
    push(fake, *(f"r{n:03}" for n in range(51)))
    page = look(browser, f"{HOME}?page={number}")
    assert names(page) == ["r050"]
    assert page.texts(".pagination a[aria-current]") == ["2"]


@pytest.mark.parametrize(
    "query", ["page=x", "page=-1", "page=0", "page=²", "page=1e3", "sort=size", "view=%00", "page=99999999999"]
)
def test_nonsense_in_the_address_counts_as_not_given(browser: Client, fake: FakeRegistry, query: str) -> None:
    push(fake, "b", "a")
    assert names(look(browser, f"{HOME}?{query}")) == ["a", "b"]


def test_count_and_highest_versions_of_each(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("app", *(f"1.{minor}" for minor in range(12)))
    fake.push_image("app", "sha256-" + "a" * 64 + ".sig")
    row = look(browser, HOME).row("app")
    assert words(row.css_first(".f-tags")) == "13"
    assert words(row.css_first(".also")) == "1.11 1.10 1.9 1.8 1.7 1.6 +7"
    assert part(row, ".also a").attributes["href"] == "/registries/default/app/-/tags/1.11/"


@pytest.mark.parametrize("version", ["2.8", "3.1"])
def test_emptied_repository_is_told_as_such(browser: Client, fake: FakeRegistry) -> None:
    """2.8 answers 200 with null, 3.x with an empty list; either may forget the name."""
    fake.empty_repository("old/app")
    page = look(browser, HOME)
    assert words(page.row("app").css_first(".f-tags")) == "no tags"
    assert page.links("table.repos th .name") == {"app": "/registries/default/old/app/"}


def test_names_that_the_grammar_forbids_are_shown_and_never_asked(browser: Client, fake: FakeRegistry) -> None:
    fake.push_image("fine", "1")
    fake.hostile = True
    page = look(browser, f"{HOME}?view=flat")
    forbidden = [row for row in page.tree.css("table.repos tbody tr") if "unsupported name" in words(row)]
    shown = [words(row.css_first(".name")) for row in forbidden]
    assert "<script>alert(1)</script>" in shown
    assert "../../etc/passwd" in shown
    assert len(forbidden) == 4
    assert not [row for row in forbidden if row.css_first("a")]
    assert "\u202e" not in page.html, "a mark that turns the text round would show another name"
    assert [str(r) for r in fake.requests if TAG_LISTS in r.path] == ["GET /v2/fine/tags/list"]


def test_row_that_could_not_be_read_is_a_row_with_retry(browser: Client, fake: FakeRegistry) -> None:
    push(fake, "good", "bad")
    fake.break_with("truncated", "/v2/bad/tags")
    page = look(browser, f"{HOME}?sort=-name")
    bad = page.row("bad")
    assert "registry.test:5000 gave an answer that cannot be read" in words(bad)
    assert "truncated or invalid JSON" in words(bad)
    assert {words(a): a.attributes["href"] for a in bad.css(".row-problem a")} == {"Retry": f"{HOME}?sort=-name"}
    assert words(page.row("good").css_first(".f-tags")) == "1"


def test_htmx_gets_the_list_alone_with_its_title(browser: Client, fake: FakeRegistry) -> None:
    push(fake, "app")
    whole, part = look(browser, HOME), look(browser, HOME, HX_Request="true")
    assert part.html.lstrip().startswith('<div id="list"')
    assert part.title == whole.title == "Repositories · registry.test:5000 · Strata"
    assert names(part) == names(whole) == ["app"]
    assert part.node("#list").attributes["data-say"] == "1 repository"
    for page in (whole, part):
        assert "HX-Request" in page.headers["Vary"]
        assert "private" in page.headers["Cache-Control"]


@pytest.mark.parametrize("header", ["HX-Boosted", "HX-History-Restore-Request"])
def test_boosted_and_restored_requests_get_the_whole_page(browser: Client, fake: FakeRegistry, header: str) -> None:
    push(fake, "app")
    response = browser.get(HOME, headers={"HX-Request": "true", header: "true"})
    assert page_of(response, 200).has("header.masthead")


def test_empty_registry_shows_the_two_commands_that_push_a_first_image(browser: Client, registry: Registry) -> None:
    Registry.objects.update(public_host="images.example.com")
    page = look(browser, HOME)
    assert page.text("h2") == "No image has been pushed yet"
    assert page.texts(".command code") == [
        "docker tag alpine images.example.com/ team/alpine:3",
        "docker push images.example.com/ team/alpine:3",
    ]
    assert not page.has("table")


def test_cost_one_list_of_tags_per_row_and_no_query_more(browser: Client, fake: FakeRegistry) -> None:
    push(fake, "one")
    look(browser, HOME)  # what is remembered for a minute is remembered now
    costs = {}
    for count, more in ((1, ()), (3, ("two", "three"))):
        push(fake, *more)
        fake.forget_requests()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert len(names(look(browser, HOME))) == count
        costs[count] = (len(queries), len(fake.requests), fake.count("GET", TAG_LISTS))
    assert costs[1][1:] == (2, 1)
    assert costs[3][1:] == (4, 3)
    assert costs[1][0] == costs[3][0] == 5, "session, person, registry, and two for what the person may do"


def test_cost_when_nothing_is_remembered(browser: Client, fake: FakeRegistry) -> None:
    push(fake, "one", "two")
    access.forget()
    look(browser, HOME)
    assert sorted(str(r).split("?")[0] for r in fake.requests) == [
        "GET /v2/", "GET /v2/_catalog", "GET /v2/one/tags/list", "GET /v2/two/tags/list",
    ]  # fmt: skip


def test_list_that_breaks_off_says_there_may_be_more(browser: Client, fake: FakeRegistry) -> None:
    fake.fail_next(
        "_catalog", status=200, times=None, body=b'{"repositories": ["app"]}',
        headers={"Content-Type": "application/json", "Link": '</v2/_catalog?last=app&n=1>; rel="next"'},
    )  # fmt: skip
    push(fake, "app")
    assert "The registry broke off its own list: there may be more." in look(browser, HOME).text("caption")


@pytest.mark.parametrize(
    ("typed", "status", "goes_to"),
    [
        ("team/app", 302, "/registries/default/team/app/"),
        (" team/app ", 302, "/registries/default/team/app/"),
        ("Team/App", 404, None),
        ("", 404, None),
        ("//evil.test", 404, None),
    ],
)
def test_open_a_repository_by_its_name(
    browser: Client, fake: FakeRegistry, typed: str, status: int, goes_to: str | None
) -> None:
    response = browser.get("/registries/default/-/open/", {"repository": typed})
    assert (response.status_code, response.headers.get("Location")) == (status, goes_to)
    assert not fake.requests


def test_every_person_signed_in_may_look(registry: Registry, fake: FakeRegistry, as_maria: Client) -> None:
    """Looking needs no Django permission; deleting does."""
    assert Permission.objects.filter(codename="delete_image").exists()
    push(fake, "app")
    assert names(look(as_maria, HOME)) == ["app"]
