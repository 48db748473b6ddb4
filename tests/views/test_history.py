"""The history of a repository's tags: what each pointed to, from when to when, and how that is known."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.models import IndexState, Registry, TagPeriod
from dashboard.services import connections
from tests.fake_registry import FakeRegistry
from tests.support.token_server import TokenUser
from tests.unit.services.activity import making as events

from .page import Page, look, part, words

APP = "/registries/default/team/app/"
HISTORY = f"{APP}-/history/"
ACTIVITY = f"{APP}-/activity/"
UNTAGGED = f"{APP}-/untagged/"
NOON = dt.datetime(2026, 5, 3, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def version() -> str:
    """One version: the history is ours."""
    return "3.1"


def noted(registry: Registry, tag: str, number: int, *, ended: int | None = None, learnt: str = "storage") -> TagPeriod:
    """A period that began `number` hours after noon, with a digest of its own."""
    return TagPeriod.objects.create(
        registry=registry,
        repository="team/app",
        tag=tag,
        digest=f"sha256:{number:064x}",
        began_at=NOON + dt.timedelta(hours=number),
        ended_at=None if ended is None else NOON + dt.timedelta(hours=ended),
        learnt=learnt,
    )


def rows(page: Page) -> list[str]:
    return page.texts("table.history th[scope=row]")


def test_a_tag_that_moved_stands_there_twice_the_newest_first(
    as_jonas: Client, registry: Registry, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    old = fake.push_image("team/app", "latest", layers=[b"one"])
    index()
    new = fake.push_image("team/app", "latest", layers=[b"two"])
    index()
    page = look(as_jonas, HISTORY)
    assert page.title == "History · team/app · registry.test:5000 · Strata"
    assert page.attributes("table.history .digest", "title") == [new.digest, old.digest]
    assert page.attributes("table.history td a", "href")[0] == f"{APP}-/manifests/{new.digest}/"
    assert page.links("table.history tbody th a") == {"latest": f"{APP}-/tags/latest/"}, "where it still points to it"
    newest, oldest = (words(row) for row in page.tree.css("table.history tbody tr"))
    assert "still" in newest
    assert "just now or before" in newest, "a reading is no push"
    assert "read by us" in newest
    assert "still" not in oldest


def test_each_entry_says_how_it_is_known(as_jonas: Client, registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    for number, learnt in enumerate(("storage", "event", "refresh"), 1):
        noted(registry, learnt, number, learnt=learnt)
    page = look(as_jonas, HISTORY)
    told = {name: words(page.row(name).css_first("td:last-child")) for name in rows(page)}
    assert told == {
        "refresh": "read by us", "event": "the push, by notification",
        "storage": "the push, from the storage",
    }  # fmt: skip
    times = {name: part(page.row(name), "time").attributes["title"] for name in rows(page)}
    assert times["storage"] == "3 May 2026, 13:00:00 UTC"
    assert times["refresh"] == "Known since 3 May 2026, 15:00:00 UTC; it was pushed then or before."


def test_who_pushed_it_stands_there_where_that_is_known(
    as_jonas: Client, registry: Registry, fake: FakeRegistry
) -> None:
    fake.push_image("team/app", "1.0")
    for number, tag in enumerate(("notified", "nameless", "here", "unknown", "evil", "read")):
        noted(registry, tag, number, learnt="refresh" if tag == "read" else "event")
    for number, actor in ((0, "ci-runner"), (1, ""), (4, "<b>x</b>" + "x" * 200)):
        period = TagPeriod.objects.get(digest=f"sha256:{number:064x}")
        events.notified(registry, at=period.began_at, tag=period.tag, digest=period.digest, actor=actor)
    events.done(
        "default", "move", at=NOON + dt.timedelta(hours=2), tags=["here"], digest_after=f"sha256:{2:064x}", user="maria"
    )
    registry.refresh_minutes = 120
    registry.save()
    events.notified(registry, at=NOON + dt.timedelta(hours=2), tag="read", digest=f"sha256:{5:064x}", actor="before")
    page = look(as_jonas, HISTORY)
    told = {name: words(part(page.row(name), "td.f-by")) for name in rows(page)}
    evil = told.pop("evil")
    assert told == {
        "notified": "ci-runner", "nameless": "—", "here": "maria", "unknown": "—", "read": "before",
    }  # fmt: skip
    assert evil.startswith("<b>x</b>xx")
    assert len(evil) == 60
    titles = {name: part(page.row(name), "td.f-by").attributes["title"] for name in rows(page)}
    assert titles["notified"] == "Pushed 3 May 2026, 12:00:00 UTC"
    assert titles["nameless"] == "Pushed 3 May 2026, 13:00:00 UTC; the registry named nobody."
    assert titles["here"] == "With this dashboard, 3 May 2026, 14:00:00 UTC"
    assert titles["unknown"] == "Who pushed it is not known."


def test_a_digest_leads_somewhere_only_where_the_repository_holds_it(
    as_jonas: Client, registry: Registry, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    """Over the API nobody can list what has no tag: only where the storage was read is it said to be gone."""
    fake.push_image("team/app", "1.0")
    elsewhere = fake.push_image("team/web", "1.0", layers=[b"another"])
    index()
    TagPeriod.objects.create(
        registry=registry, repository="team/app", tag="old", digest=elsewhere.digest,
        began_at=NOON, ended_at=NOON, learnt="storage",
    )  # fmt: skip
    cell = part(look(as_jonas, HISTORY).row("old"), ".f-digest")
    assert cell.css_first("a") is None, "another repository's content is not reached through this one"
    assert "not held" not in words(cell)
    Registry.objects.update(storage_root="/mounted")
    IndexState.objects.update(source=IndexState.Source.STORAGE, mount=IndexState.Mount.BELONGS)
    assert "not held any more" in words(part(look(as_jonas, HISTORY).row("old"), ".f-digest"))


def test_filter_order_and_pages_stand_in_the_address(as_jonas: Client, registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    for number in range(1, 61):
        noted(registry, f"pr-{number}", number, ended=number)
    noted(registry, "latest", 100)
    page = look(as_jonas, HISTORY)
    assert rows(page)[:2] == ["latest", "pr-60"]
    assert page.text("caption") == "Entries 1–50 of 61, the newest first."
    filtered = look(as_jonas, f"{HISTORY}?name=PR-&sort=-pushed&page=2")
    assert rows(filtered) == [f"pr-{number}" for number in range(51, 61)]
    assert filtered.links(".pagination a")["Back"] == f"{HISTORY}?name=PR-&sort=-pushed"
    assert filtered.attributes("thead [aria-sort=ascending] a", "href") == [f"{HISTORY}?name=PR-"]
    nothing = look(as_jonas, f"{HISTORY}?name=zzz")
    assert "No tag contains “zzz”" in nothing.text("#list")
    assert nothing.links("#list a") == {"Clear the filter": HISTORY}
    alone = look(as_jonas, f"{HISTORY}?name=latest", HX_Request="true")
    assert alone.html.lstrip().startswith('<div id="list"')
    assert rows(alone) == ["latest"]


def test_the_file_holds_every_row_with_times_as_numbers_and_no_formula(
    as_jonas: Client, registry: Registry, fake: FakeRegistry
) -> None:
    fake.push_image("team/app", "1.0")
    for number in range(1, 61):
        noted(registry, f"pr-{number}", number, ended=number + 1)
    noted(registry, "=1+1", 100, learnt="refresh")
    links = look(as_jonas, f"{HISTORY}?page=2").links(".exports a")
    response = as_jonas.get(links["CSV"])
    assert response.headers["Content-Disposition"] == 'attachment; filename="team-app-history.csv"'
    records = list(csv.DictReader(response.getvalue().decode().splitlines()))
    assert len(records) == 61
    assert (records[0]["tag"], records[0]["until"], records[0]["from_is_push"]) == ("'=1+1", "", "False")
    assert json.loads(as_jonas.get(links["JSON"]).getvalue())[1] == {
        "repository": "team/app", "tag": "pr-60", "digest": f"sha256:{60:064x}", "from": "2026-05-06T00:00:00+00:00",
        "from_is_push": True, "until": "2026-05-06T01:00:00+00:00", "learnt": "storage",
    }  # fmt: skip


def test_tags_and_history_lead_to_each_other(as_jonas: Client, registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    tags = look(as_jonas, APP).links(".index-tabs a")
    assert tags == {"Tags 1": APP, "Untagged": UNTAGGED, "History": HISTORY, "Activity": ACTIVITY}
    page = look(as_jonas, HISTORY)
    tabs = {"Untagged": UNTAGGED, "History 1": HISTORY, "Activity": ACTIVITY}
    assert page.links(".index-tabs a") == {"Tags 1": APP, **tabs}
    assert page.texts(".index-tabs [aria-current]") == ["History 1"]


def test_a_repository_that_is_gone_keeps_its_history_and_a_name_that_never_was_is_not_found(
    as_jonas: Client, registry: Registry, fake: FakeRegistry
) -> None:
    noted(registry, "1.0", 1, ended=2)
    page = look(as_jonas, HISTORY)
    assert rows(page) == ["1.0"]
    tabs = {"Untagged": UNTAGGED, "History 1": HISTORY, "Activity": ACTIVITY}
    assert page.links(".index-tabs a") == {"Tags": APP, **tabs}
    look(as_jonas, "/registries/default/no/such/-/history/", 404)
    fake.empty_repository("team/empty")
    assert "Nothing is known yet" in look(as_jonas, "/registries/default/team/empty/-/history/").text("main")


def test_who_may_not_read_the_repository_learns_nothing_of_its_past(as_jonas: Client, registry: Registry) -> None:
    noted(registry, "secret-tag", 1)
    robot = TokenUser("p", {"repository:other/*": frozenset({"pull"})})
    registry.from_environment, registry.default_username = False, "robot"
    registry.set_default_password("p")
    registry.save()
    with (
        FakeRegistry("3.1", token_users={"robot": robot}) as closed,
        connections.clients_made_by(lambda row: closed.client(name=row.public_host)),
    ):
        closed.push_image("team/app", "1.0")
        for address in (HISTORY, f"{HISTORY}?format=json"):
            assert "secret-tag" not in look(as_jonas, address, 403).html


def test_queries_and_requests_do_not_grow_with_the_rows(
    as_jonas: Client, registry: Registry, fake: FakeRegistry
) -> None:
    fake.push_image("team/app", "1.0")
    costs = []
    for count in (1, 3, 50):
        TagPeriod.objects.all().delete()
        for number in range(count):
            noted(registry, f"t{number}", number)
        look(as_jonas, HISTORY)
        fake.forget_requests()
        with CaptureQueriesContext(connection) as queries:
            assert len(rows(look(as_jonas, HISTORY))) == count
        costs.append((len(queries), len(fake.requests)))
    assert costs[0] == costs[1] == costs[2]
    assert costs[0][1] == 0, "the gate's answer is remembered; the list is ours"
