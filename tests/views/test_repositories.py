"""The list of repositories: what stands in it, in which order, what it costs, and what it says when it cannot."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.models import (
    AccessRule,
    IndexedRepository,
    IndexState,
    Job,
    NotificationState,
    Registry,
    UsageSnapshot,
)
from dashboard.services import access
from tests.fake_registry import FakeRegistry

from .page import Page, look, page_of, part, words

HOME = "/registries/default/"
Index = Callable[[], None]


@pytest.fixture
def version() -> str:
    """One version: what differs between them is the client's, and tested there."""
    return "3.1"


@pytest.fixture
def browser(registry: Registry, as_jonas: Client) -> Client:
    """Jonas, before a registry."""
    return as_jonas


def push(fake: FakeRegistry, *names: str) -> None:
    """A repository of each name, with a layer of its own that is the larger the later it stands."""
    for number, name in enumerate(names):
        fake.push_image(name, "latest", layers=[name.encode() * (number + 1)], config={"author": name})


def pushed(days: dict[str, int | None]) -> None:
    """Sets when repositories were pushed: so many days ago."""
    for name, age in days.items():
        when = None if age is None else timezone.now() - dt.timedelta(days=age, minutes=1)
        IndexedRepository.objects.filter(name=name).update(pushed_at=when)


def names(page: Page) -> list[str]:
    return page.texts("table.repos th[scope=row] .name")


def groups(page: Page) -> list[tuple[str, list[str]]]:
    """The headings and what stands below each."""
    return [
        (
            words(body.css_first("tr.group a")) if body.css_first("tr.group") else "",
            [words(name).split("/ ")[-1] for name in body.css(".name")],
        )
        for body in page.tree.css("table.repos tbody")
    ]


# By namespace, flat, sorted, filtered


def test_names_stand_below_their_namespace_and_link_to_their_tags(
    browser: Client, fake: FakeRegistry, index: Index
) -> None:
    push(fake, "team/app", "alpine", "team/app/worker", "team/api", "other/deep/one")
    index()
    page = look(browser, f"{HOME}?sort=name")
    assert groups(page) == [
        ("", ["alpine"]), ("other/deep/", ["one"]), ("team/", ["api", "app"]), ("team/app/", ["worker"]),
    ]  # fmt: skip
    assert page.links("table.repos th[scope=row] a")["team/app/ worker"] == "/registries/default/team/app/worker/"
    assert page.texts("tr.group small") == ["1 repository", "3 repositories", "1 repository"]
    assert page.title == "Repositories · registry.test:5000 · Strata"
    assert page.texts("dl.figures dd")[:2] == ["5", "5"]


def test_groups_stand_by_the_best_of_their_rows_and_rows_by_the_column(
    browser: Client, fake: FakeRegistry, index: Index
) -> None:
    push(fake, "old/a", "new/a", "new/b", "middle/a", "new/deep/c", "unknown/a")
    index()
    pushed({"old/a": 9, "new/a": 5, "new/b": 1, "middle/a": 3, "new/deep/c": 2, "unknown/a": None})
    newest = [("new/", ["b", "a"]), ("new/deep/", ["c"]), ("middle/", ["a"]), ("old/", ["a"]), ("unknown/", ["a"])]
    assert groups(look(browser, HOME)) == newest
    oldest = [("old/", ["a"]), ("new/", ["a", "b"]), ("new/deep/", ["c"]), ("middle/", ["a"]), ("unknown/", ["a"])]
    assert groups(look(browser, f"{HOME}?sort=-pushed")) == oldest
    assert groups(look(browser, f"{HOME}?sort=-name"))[0] == ("unknown/", ["a"])


@pytest.mark.parametrize("key", ["name", "tags", "size", "exclusive", "pushed", "pulled"])
def test_every_column_sorts_over_all_rows_both_ways(
    browser: Client, fake: FakeRegistry, index: Index, key: str
) -> None:
    push(fake, *(f"r{n:02}" for n in range(53)))
    index()
    for row in IndexedRepository.objects.all():
        number = int(row.name[1:])
        mixed = (number * 7) % 53
        when = timezone.now() - dt.timedelta(hours=mixed)
        IndexedRepository.objects.filter(pk=row.pk).update(
            tags=mixed + 1, bytes=mixed + 100, exclusive_bytes=mixed, pushed_at=when, pulled_at=when
        )
    field = {"name": "name", "tags": "tags", "size": "bytes", "exclusive": "exclusive_bytes"}.get(key, f"{key}_at")
    ordered = list(IndexedRepository.objects.order_by(field).values_list("name", flat=True))
    first = ordered if key == "name" else ordered[::-1]
    found = [name for page in (1, 2) for name in names(look(browser, f"{HOME}?view=flat&sort={key}&page={page}"))]
    assert found == first
    turned = look(browser, f"{HOME}?view=flat&sort=-{key}")
    assert names(turned) == first[::-1][:50]
    head = next(th for th in turned.tree.css("thead th") if th.attributes.get("aria-sort") not in (None, "none"))
    assert head.attributes["aria-sort"] == ("descending" if key == "name" else "ascending")
    assert part(head, "a").attributes["href"] == f"{HOME}?view=flat{'' if key == 'pushed' else f'&sort={key}'}"


def test_flat_shows_whole_names_and_keeps_the_view_in_every_link(
    browser: Client, fake: FakeRegistry, index: Index
) -> None:
    push(fake, "team/app10", "team/app9", "alpine")
    index()
    page = look(browser, f"{HOME}?view=flat&sort=name")
    assert names(page) == ["alpine", "team/app9", "team/app10"]
    assert not page.has("tr.group")
    assert all("view=flat" in href for href in page.attributes("thead th a", "href"))
    assert page.attributes(".segmented a[aria-current]", "href") == [f"{HOME}?view=flat&sort=name"]


def test_choice_of_the_view_is_kept(browser: Client, fake: FakeRegistry, index: Index) -> None:
    push(fake, "team/app")
    index()
    assert look(browser, HOME).has("tr.group")
    look(browser, f"{HOME}?view=flat")
    assert browser.cookies["strata_view"].value == "flat"
    assert not look(browser, HOME).has("tr.group")
    by_namespace = look(browser, HOME).links(".segmented a")["By namespace"]
    assert look(browser, by_namespace).has("tr.group")
    assert look(browser, HOME).has("tr.group")


def test_filter_acts_on_every_name_not_on_the_page_shown(browser: Client, fake: FakeRegistry, index: Index) -> None:
    push(fake, *(f"many/r{number:03}" for number in range(60)), "zoo/needle", "zoo/per_cent")
    index()
    page = look(browser, f"{HOME}?name=NEEDLE")
    assert names(page) == ["zoo/ needle"]
    assert page.node("#f-name").attributes["value"] == "NEEDLE"
    assert "1 repository of 62, " in page.text("caption")
    assert page.texts("dl.figures dd")[0] == "62", "the figures are the registry's"
    assert names(look(browser, f"{HOME}?name=r_cent")) == ["zoo/ per_cent"], "an underscore stands for itself"
    assert not names(look(browser, f"{HOME}?name=%25"))


def test_filter_by_namespace_takes_what_is_below_it(browser: Client, fake: FakeRegistry, index: Index) -> None:
    push(fake, "team/app", "team/app/worker", "teams/other", "alpine")
    index()
    page = look(browser, f"{HOME}?namespace=team")
    assert names(page) == ["team/ app", "team/app/ worker"]
    assert page.texts("#f-ns option") == ["Every namespace", "team/", "team/app/", "teams/"]
    assert page.attributes("#f-ns option[selected]", "value") == ["team"]
    assert page.links("tr.group a")["team/app/"] == f"{HOME}?namespace=team%2Fapp"


def test_filter_by_platform_takes_whole_words(browser: Client, fake: FakeRegistry, index: Index) -> None:
    fake.push_image("one", "1", platform="linux/arm64/v8")
    fake.push_image("two", "1", platform="linux/amd64")
    fake.push_image("two", "2", platform="linux/arm")
    index()
    assert names(look(browser, f"{HOME}?platform=linux/arm")) == ["two"]
    assert names(look(browser, f"{HOME}?platform=linux/amd64")) == ["two"]
    assert look(browser, HOME).texts("#f-pl option") == [
        "Every platform", "linux/amd64", "linux/arm", "linux/arm64",
    ]  # fmt: skip


def test_filter_that_finds_nothing_says_how_many_were_searched(
    browser: Client, fake: FakeRegistry, index: Index
) -> None:
    push(fake, "a", "b")
    index()
    page = look(browser, f"{HOME}?name=zzz&view=flat")
    assert "No repository contains “zzz”" in page.text("#list")
    assert "2 repositories were searched." in page.text("#list")
    assert page.links("#list a") == {"Clear the filter": f"{HOME}?view=flat"}
    assert not page.has("table")


# Pages


def test_pages_hold_whole_namespaces(browser: Client, fake: FakeRegistry, index: Index) -> None:
    push(
        fake, *(f"a/r{n:02}" for n in range(30)), *(f"b/r{n:02}" for n in range(30)), *(f"c/{n:03}" for n in range(70))
    )
    index()
    shown = [groups(look(browser, f"{HOME}?sort=name&page={number}")) for number in (1, 2, 3, 4)]
    assert [[(name, len(rows)) for name, rows in page] for page in shown] == [
        [("a/", 30)], [("b/", 30)], [("c/", 50)], [("c/", 20)],
    ]  # fmt: skip
    second = look(browser, f"{HOME}?sort=name&page=2")
    assert second.text(".pagination").startswith("31–60 of 130")
    assert second.links(".pagination a")["Back"] == f"{HOME}?sort=name"
    assert second.links(".pagination a")["Next"] == f"{HOME}?sort=name&page=3"


@pytest.mark.parametrize("number", ["99", "2"])
def test_page_beyond_the_end_is_the_last(browser: Client, fake: FakeRegistry, index: Index, number: str) -> None:
    push(fake, *(f"r{n:03}" for n in range(51)))
    index()
    for view in ("flat", "tree"):
        page = look(browser, f"{HOME}?view={view}&sort=name&page={number}")
        assert names(page) == ["r050"]
        assert page.texts(".pagination a[aria-current]") == ["2"]


@pytest.mark.parametrize(
    "query",
    ["page=x", "page=-1", "page=0", "page=²", "page=1e3", "sort=colour", "view=%00", "page=99999999999", "name=%00"],
)
def test_nonsense_in_the_address_counts_as_not_given(
    browser: Client, fake: FakeRegistry, index: Index, query: str
) -> None:
    push(fake, "b", "a")
    index()
    pushed({"a": 1, "b": 2})
    assert names(look(browser, f"{HOME}?{query}")) == ["a", "b"]


# What a row tells


def test_sizes_each_blob_once_and_what_is_exclusive(browser: Client, fake: FakeRegistry, index: Index) -> None:
    base, config = b"b" * 10_000, {"author": "one"}
    fake.push_image("team/one", "1", layers=[base, b"1" * 2000], config=config)
    fake.push_image("team/two", "1", layers=[base, b"2" * 3000], config=config)
    fake.push_image("solo", "1", layers=[b"3" * 500], config={"author": "solo"})
    index()
    page = look(browser, HOME)
    rows = {row.name: row for row in IndexedRepository.objects.all()}
    shared = rows["team/one"].bytes - rows["team/one"].exclusive_bytes
    assert shared == 10_000
    own = {name: row.exclusive_bytes for name, row in rows.items()}

    def cell(row: str, kind: str) -> int:
        found = next(
            tr for tr in page.tree.css("tr") if tr.css_first("th") and words(tr.css_first("th")).startswith(row)
        )
        return int(str(part(found, f".{kind} data").attributes["value"]))

    assert cell("team/ one", "f-size") == rows["team/one"].bytes
    assert cell("team/ two", "f-own") == own["team/two"] > 3000
    together = own["team/one"] + own["team/two"] + shared
    assert cell("team/ 2 repositories", "f-size") == together, "what both hold counts once"
    assert cell("team/ 2 repositories", "f-own") == together, "and goes with the namespace"
    total = together + rows["solo"].bytes
    assert cell("Registry", "f-size") == total
    assert cell("Registry", "f-own") == sum(own.values())
    assert page.attributes("dl.figures span", "title") == [f"{total:,} bytes"]
    bar = [(r.attributes["class"], float(str(r.attributes["width"])[:-1])) for r in page.row("team/ two").css("rect")]
    assert [kind for kind, _ in bar] == ["seg own", "seg shared"]
    assert abs(sum(width for _, width in bar) - 100) < 0.01, "the largest of the page fills its bar"


def test_exclusive_is_at_most_where_the_storage_is_not_read(
    browser: Client, fake: FakeRegistry, index: Index, registry: Registry
) -> None:
    push(fake, "app")
    index()
    assert "at most" in look(browser, HOME).text("thead")
    Registry.objects.update(storage_root="/mounted")
    IndexState.objects.update(source=IndexState.Source.STORAGE, mount=IndexState.Mount.BELONGS)
    assert "at most" not in look(browser, HOME).text("thead")


def test_kind_where_no_platform_tells_it(browser: Client, fake: FakeRegistry, index: Index) -> None:
    fake.push_artifact("charts/app", "1", config_type="application/vnd.cncf.helm.config.v1+json")
    fake.push_image("app", "1", platform="linux/arm64")
    index()
    page = look(browser, HOME)
    assert words(page.row("charts/ app").css_first(".f-plat")) == "Helm chart"
    assert words(page.row("app").css_first(".f-plat")) == "linux arm64"


def test_push_is_told_only_where_it_is_known(browser: Client, fake: FakeRegistry, index: Index) -> None:
    push(fake, "app")
    index()
    cell = part(look(browser, HOME).row("app"), ".f-push time")
    assert words(cell).startswith("known for ")
    assert "it was pushed then or before" in str(cell.attributes["title"])


def test_pull_that_was_not_seen_never_says_never(
    browser: Client, fake: FakeRegistry, index: Index, registry: Registry
) -> None:
    push(fake, "app")
    index()
    cell = part(look(browser, HOME).row("app"), ".f-pull .dim")
    assert (words(cell), "none is known" in str(cell.attributes["title"])) == ("not seen", True)
    began = dt.datetime(2026, 5, 3, 12, tzinfo=dt.UTC)
    NotificationState.objects.create(registry=registry, began_at=began, pulls_began_at=began, last_at=began)
    title = str(part(look(browser, HOME).row("app"), ".f-pull .dim").attributes["title"])
    assert title.startswith("Not pulled since 3 May")
    IndexedRepository.objects.update(pulled_at=timezone.now() - dt.timedelta(hours=3))
    assert words(look(browser, HOME).row("app").css_first(".f-pull")) == "3 hours ago"


def test_what_can_be_freed_leads_to_the_storage(
    browser: Client, fake: FakeRegistry, index: Index, registry: Registry
) -> None:
    push(fake, "app")
    index()
    assert "can be freed" not in look(browser, HOME).text(".figures")
    UsageSnapshot.objects.create(
        registry=registry, began_at=timezone.now(), seconds=1, root="/x", disk_bytes=1, free_bytes=1,
        report={name: {"count": 1, "bytes": 1024} for name in ("untagged", "orphans", "uploads")},
    )  # fmt: skip
    page = look(browser, HOME)
    assert page.links(".figures a") == {"can be freed": f"{HOME}-/storage/"}
    assert page.texts(".figures dd")[-1] == "3.0 KiB"


@pytest.mark.parametrize("version", ["2.8", "3.1"])
def test_empty_repositories_are_never_mixed_in(browser: Client, fake: FakeRegistry, index: Index) -> None:
    push(fake, "app")
    index()
    fake.empty_repository("old/app")
    fake.empty_repository("old/api")
    index()
    page = look(browser, HOME)
    assert names(page) == ["app"]
    folded = [node for node in page.tree.css("details.fold") if "empty" in words(node)]
    if folded:  # a registry may forget the name with its last tag
        assert words(folded[0]) == "2 empty repositories : names without a tag old/api old/app"
        assert page.links(".empty-names a")["old/app"] == "/registries/default/old/app/"
    assert page.texts("dl.figures dd")[0] == "1"


def test_names_that_the_grammar_forbids_are_shown_and_never_asked(
    browser: Client, fake: FakeRegistry, index: Index
) -> None:
    fake.push_image("fine", "1")
    fake.hostile = True
    index()
    page = look(browser, f"{HOME}?view=flat")
    forbidden = [row for row in page.tree.css("table.repos tbody tr") if "unsupported name" in words(row)]
    shown = [words(row.css_first(".name")) for row in forbidden]
    assert "<script>alert(1)</script>" in shown
    assert "../../etc/passwd" in shown
    assert len(forbidden) == 4
    assert not [row for row in forbidden if row.css_first("a")]
    assert "\u202e" not in page.html, "a mark that turns the text round would show another name"


def test_row_that_could_not_be_read_is_a_row_with_retry(browser: Client, fake: FakeRegistry, index: Index) -> None:
    push(fake, "good", "bad")
    index()
    fake.break_with("truncated", "/v2/bad/tags")
    index()
    page = look(browser, HOME)
    bad = page.row("bad")
    assert "registry.test:5000 gave an answer that cannot be read" in words(bad)
    assert {words(a): a.attributes["href"] for a in bad.css(".row-problem a")} == {"Retry": f"{HOME}bad/"}
    assert words(page.row("good").css_first(".f-tags")) == "1"
    assert "1 repository could not be read" in page.text(".notices")
    fake.heal()
    index()
    assert not look(browser, HOME).has(".row-error")


# How the index stands


def test_nothing_indexed_yet_is_told_with_progress_and_opens_by_name(
    browser: Client, fake: FakeRegistry, registry: Registry, index: Index
) -> None:
    Job.objects.create(
        registry=registry, kind=Job.Kind.REFRESH, state=Job.State.RUNNING, progress=400, total=1200,
        requested_at=timezone.now(), started_at=timezone.now() - dt.timedelta(seconds=60),
    )  # fmt: skip
    page = look(browser, HOME)
    assert page.text("#building h2") == "The index is being built"
    assert "400 of 1,200, about 2 minutes left" in page.text("#building")
    bar = page.node("#building progress").attributes
    assert (bar["value"], bar["max"]) == ("400", "1200")
    assert page.has("details[open] #open-name")
    assert page.node("#building").attributes["hx-get"] == HOME
    alone = look(browser, HOME, HX_Request="true", HX_Target="building")
    assert alone.html.lstrip().startswith('<div id="building"')
    push(fake, "app")
    index()
    assert browser.get(HOME, headers={"HX-Request": "true", "HX-Target": "building"}).headers["HX-Refresh"] == "true"


def test_first_refresh_that_failed_says_why(browser: Client, fake: FakeRegistry, registry: Registry) -> None:
    Job.objects.create(
        registry=registry, kind=Job.Kind.REFRESH, state=Job.State.FAILED, requested_at=timezone.now(),
        outcome_code="timed-out", outcome={"operation": "repositories", "registry": "registry.test:5000", "user": ""},
    )  # fmt: skip
    page = look(browser, HOME)
    assert page.text("#building h2") == "There is no index yet"
    assert "registry.test:5000 did not answer in time" in page.text(".notices .danger, #building .danger")


def test_registry_that_seems_to_shrink_is_shown_as_it_was_until_an_administrator_accepts(
    browser: Client, fake: FakeRegistry, index: Index, admin: object, registry: Registry
) -> None:
    push(fake, *(f"r{n}" for n in range(6)))
    index()
    fake.fail_next("_catalog", status=200, times=None, body=b'{"repositories": []}')
    fake.fail_next("/tags/list", status=404, times=None, body=b'{"errors": [{"code": "NAME_UNKNOWN"}]}')
    index()
    page = look(browser, HOME)
    assert "6 of 6 repositories are gone from the registry's list" in page.text(".notices .danger, #building .danger")
    assert len(names(page)) == 6
    assert not page.has(".notices form")
    assert browser.post(f"{HOME}-/refresh/", {"accept": "1"}).status_code == 403
    as_admin = Client()
    as_admin.force_login(admin)  # type: ignore[arg-type]
    assert look(as_admin, HOME).texts(".notices form button") == ["Accept and refresh"]
    assert as_admin.post(f"{HOME}-/refresh/", {"accept": "1"}).headers["Location"] == HOME
    assert IndexState.objects.get().shrink_accepted
    index()
    assert look(browser, HOME).text("h2") == "No image has been pushed yet"


def test_storage_of_another_registry_is_told(browser: Client, fake: FakeRegistry, index: Index) -> None:
    push(fake, "app")
    index()
    IndexState.objects.update(mount=IndexState.Mount.DIFFERS, mount_difference={"repository": "app", "tag": "latest"})
    told = look(browser, HOME).text(".notices .warning")
    assert "The mounted storage is of another registry" in told
    assert "The first difference: app:latest." in told


def test_list_that_breaks_off_says_there_may_be_more(browser: Client, fake: FakeRegistry, index: Index) -> None:
    fake.fail_next(
        "_catalog", status=200, times=None, body=b'{"repositories": ["app"]}',
        headers={"Content-Type": "application/json", "Link": '</v2/_catalog?last=app&n=1>; rel="next"'},
    )  # fmt: skip
    push(fake, "app")
    index()
    assert "The registry broke off its own list" in look(browser, HOME).text(".notices")


def test_registry_that_does_not_answer_is_shown_from_the_index(
    browser: Client, fake: FakeRegistry, index: Index
) -> None:
    push(fake, "app")
    index()
    fake.fail_next("/v2/", status=503, times=None)
    access.forget()
    page = look(browser, HOME)
    assert names(page) == ["app"]
    assert "What is shown is what the index knows." in page.text(".notices")


def test_index_has_its_time_in_the_footer(browser: Client, fake: FakeRegistry, index: Index) -> None:
    push(fake, "app")
    assert "Index as of" not in look(browser, HOME).text("footer")
    index()
    assert "Index as of just now" in look(browser, HOME).text("footer")


# Fragments, files, cost


def test_htmx_gets_the_list_alone_with_its_title(browser: Client, fake: FakeRegistry, index: Index) -> None:
    push(fake, "app")
    index()
    whole, alone = look(browser, HOME), look(browser, HOME, HX_Request="true")
    assert alone.html.lstrip().startswith('<div id="list"')
    assert alone.title == whole.title == "Repositories · registry.test:5000 · Strata"
    assert names(alone) == names(whole) == ["app"]
    assert alone.node("#list").attributes["data-say"] == "1 repository"
    for page in (whole, alone):
        assert "HX-Request" in page.headers["Vary"]
        assert "private" in page.headers["Cache-Control"]


@pytest.mark.parametrize("header", ["HX-Boosted", "HX-History-Restore-Request"])
def test_boosted_and_restored_requests_get_the_whole_page(
    browser: Client, fake: FakeRegistry, index: Index, header: str
) -> None:
    push(fake, "app")
    index()
    response = browser.get(HOME, headers={"HX-Request": "true", header: "true"})
    assert page_of(response, 200).has("header.masthead")


@pytest.mark.parametrize("view", ["flat", "tree"])
def test_whole_list_as_csv_and_json_in_the_order_of_the_page(
    browser: Client, fake: FakeRegistry, index: Index, view: str
) -> None:
    push(fake, *(f"many/r{n:02}" for n in range(55)), "zoo/needle")
    index()
    page = look(browser, f"{HOME}?view={view}&name=r&sort=name")
    addresses = page.links(".exports a")
    assert set(addresses) == {"CSV", "JSON"}
    response = browser.get(addresses["CSV"])
    assert response.headers["Content-Disposition"] == 'attachment; filename="default-repositories.csv"'
    rows = list(csv.DictReader(response.getvalue().decode().splitlines()))
    assert [row["repository"] for row in rows] == [f"many/r{n:02}" for n in range(55)]
    stored = IndexedRepository.objects.get(name="many/r07")
    assert (rows[7]["bytes"], rows[7]["tags"]) == (str(stored.bytes), "1")
    assert stored.pushed_at is not None
    assert dt.datetime.fromisoformat(rows[7]["last_push"]) == stored.pushed_at
    records = json.loads(browser.get(addresses["JSON"]).getvalue())
    assert [record["repository"] for record in records] == [row["repository"] for row in rows]
    assert records[7]["bytes"] == stored.bytes
    assert records[7]["last_pull"] is None


def test_cells_of_a_file_never_run_as_a_formula(browser: Client, fake: FakeRegistry, index: Index) -> None:
    fake.push_image("fine", "1")
    index()
    row = IndexedRepository.objects.get()
    for name in ("=1+1", "+1", "-1", "@x", "\tx", "\rx"):
        row.pk, row.name, row.error_code = None, name, "unsupported-name"
        row.save(force_insert=True)
    text = browser.get(f"{HOME}?format=csv").getvalue().decode()
    cells = {row["repository"] for row in csv.DictReader(text.splitlines(keepends=True))}
    assert cells == {"fine", "'=1+1", "'+1", "'-1", "'@x", "'\tx", "'\rx"}
    records = json.loads(browser.get(f"{HOME}?format=json").getvalue())
    assert "=1+1" in {record["repository"] for record in records}, "JSON is data"


def test_empty_registry_shows_the_two_commands_that_push_a_first_image(
    browser: Client, registry: Registry, index: Index
) -> None:
    Registry.objects.update(public_host="images.example.com")
    index()
    page = look(browser, HOME)
    assert page.text("h2") == "No image has been pushed yet"
    assert page.texts(".command code") == [
        "docker tag alpine images.example.com/ team/alpine:3",
        "docker push images.example.com/ team/alpine:3",
    ]
    assert not page.has("table")


@pytest.mark.parametrize("view", ["flat", "tree"])
def test_cost_does_not_grow_with_the_rows(browser: Client, fake: FakeRegistry, index: Index, view: str) -> None:
    costs = {}
    for count in (1, 3, 50):
        for n in range(count):
            fake.push_image(f"ns{n % 7}/r{n}", "latest", layers=[b"base", b"%d" % n], config={"author": "all"})
        index()
        look(browser, f"{HOME}?view={view}")  # what is remembered for a minute is remembered now
        fake.forget_requests()
        with CaptureQueriesContext(connection) as queries:
            assert len(names(look(browser, f"{HOME}?view={view}"))) == count
        costs[count] = (len(queries), len(fake.requests))
    assert costs[1] == costs[3] == costs[50]
    assert costs[1][1] == 0, "the registry is not asked for a list"
    assert costs[1][0] <= 16


def test_sums_are_counted_anew_in_one_query_when_something_changed(
    browser: Client, fake: FakeRegistry, index: Index
) -> None:
    for n in range(30):
        fake.push_image(f"ns{n % 10}/r{n}", "latest", layers=[b"base", b"%d" % n], config={"author": "all"})
    index()
    with CaptureQueriesContext(connection) as first:
        look(browser, HOME)
    with CaptureQueriesContext(connection) as second:
        look(browser, HOME)
    assert len(first) - len(second) <= 4, "sums and platforms, and the registry's standing with its person"


def test_cost_when_nothing_is_remembered(browser: Client, fake: FakeRegistry, index: Index) -> None:
    push(fake, "one", "two")
    index()
    access.forget()
    fake.forget_requests()
    look(browser, HOME)
    assert [str(r) for r in fake.requests] == ["GET /v2/"]


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


def test_every_person_signed_in_may_look_until_the_rule_is_taken_away(
    registry: Registry, fake: FakeRegistry, as_jonas: Client, index: Index, everybody_reads: AccessRule
) -> None:
    push(fake, "app")
    index()
    assert names(look(as_jonas, HOME)) == ["app"]
    everybody_reads.delete()
    look(as_jonas, HOME, 404)
