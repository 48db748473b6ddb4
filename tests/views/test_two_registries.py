"""Two registries with repositories of the same names: each is itself, in lists, search, refreshes and the masthead."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.models import IndexedRepository, IndexedTag, IndexState, Job, Registry, TagPeriod
from dashboard.services import connections
from dashboard.services.index import refresh
from dashboard.tasks import run_job
from tests.fake_registry import FakeRegistry

from .page import look, words

HOSTS = {"first": "http://first.test:5000", "second": "http://second.test:5000"}


@pytest.fixture
def fakes() -> Iterator[dict[str, FakeRegistry]]:
    """Two registries by slug; a client asks the one of its row."""
    with ExitStack() as stack:
        made = {slug: stack.enter_context(FakeRegistry("3.1", url=url)) for slug, url in HOSTS.items()}
        stack.enter_context(connections.clients_made_by(lambda row: made[row.slug].client(name=row.public_host)))
        yield made


@pytest.fixture
def rows(db: None, fakes: dict[str, FakeRegistry]) -> dict[str, Registry]:
    """Their rows. Both have team/app with a tag 1.0 of other content, and share one image under other names."""
    for slug, fake in fakes.items():
        fake.push_image("team/app", "1.0", layers=[b"of " + slug.encode()])
    fakes["first"].push_image("team/both", "1.0", layers=[b"shared"])
    fakes["second"].push_image("other/both", "9.9", layers=[b"shared"])
    made = {
        slug: Registry.objects.create(slug=slug, url=url, public_host=url.removeprefix("http://"))
        for slug, url in HOSTS.items()
    }
    for row in made.values():
        refreshed(row)
    return made


def refreshed(registry: Registry) -> Job:
    """A refresh of this registry, run."""
    job = Job.objects.create(registry=registry, kind="refresh", requested_at=timezone.now())
    run_job(str(job.pk))
    return Job.objects.get(pk=job.pk)


def held(registry: Registry) -> dict[str, str]:
    """What the index says of a registry: repository:tag → digest."""
    tags = IndexedTag.objects.filter(repository__registry=registry)
    return {f"{name}:{tag}": digest for name, tag, digest in tags.values_list("repository__name", "name", "digest")}


def state(registry: Registry) -> list[object]:
    """Every row of one registry that a refresh writes."""
    return [
        list(IndexedRepository.objects.filter(registry=registry).order_by("pk").values()),
        list(IndexedTag.objects.filter(repository__registry=registry).order_by("pk").values()),
        list(TagPeriod.objects.filter(registry=registry).order_by("pk").values()),
        list(IndexState.objects.filter(registry=registry).values()),
    ]


def test_a_refresh_touches_no_other_registry(rows: dict[str, Registry], fakes: dict[str, FakeRegistry]) -> None:
    before = state(rows["second"])
    fakes["first"].push_image("team/app", "1.0", "2.0", layers=[b"moved"])
    fakes["first"].push_image("team/new", "1.0")
    fakes["second"].forget_requests()
    assert refreshed(rows["first"]).state == "done"
    assert set(held(rows["first"])) == {"team/app:1.0", "team/app:2.0", "team/both:1.0", "team/new:1.0"}
    assert state(rows["second"]) == before
    assert not fakes["second"].requests


def test_a_registry_that_fails_or_is_emptied_takes_nothing_from_the_other(
    rows: dict[str, Registry], fakes: dict[str, FakeRegistry]
) -> None:
    before = state(rows["second"])
    fakes["first"].fail_next("", exception="refused", times=None)
    assert refreshed(rows["first"]).state == "failed"
    refresh.empty(rows["first"])
    assert held(rows["first"]) == {}
    assert state(rows["second"]) == before


def test_lists_and_search_keep_them_apart(
    rows: dict[str, Registry], fakes: dict[str, FakeRegistry], as_jonas: Client
) -> None:
    listed = look(as_jonas, "/registries/first/").attributes("table.repos a.name", "href")
    assert sorted(listed) == ["/registries/first/team/app/", "/registries/first/team/both/"]
    digests = {slug: held(row)["team/app:1.0"] for slug, row in rows.items()}
    assert digests["first"] != digests["second"]
    for slug, other in (("first", "second"), ("second", "first")):
        page = look(as_jonas, f"/registries/{slug}/team/app/")
        assert digests[slug].removeprefix("sha256:")[:12] in page.html
        assert digests[other].removeprefix("sha256:")[:12] not in page.html
    found = look(as_jonas, "/search/?q=team/app")
    addresses = {href for href in found.attributes("main a", "href") if href.endswith("/team/app/")}
    assert addresses == {"/registries/first/team/app/", "/registries/second/team/app/"}


def test_content_kept_once_is_shown_only_where_it_is_held(
    rows: dict[str, Registry], fakes: dict[str, FakeRegistry], as_jonas: Client
) -> None:
    shared = held(rows["first"])["team/both:1.0"]
    assert shared == held(rows["second"])["other/both:9.9"]
    only = held(rows["first"])["team/app:1.0"]
    look(as_jonas, f"/registries/first/team/app/-/manifests/{only}/")
    look(as_jonas, f"/registries/second/team/app/-/manifests/{only}/", 404)
    look(as_jonas, f"/registries/second/team/app/-/manifests/{shared}/", 404)
    look(as_jonas, f"/registries/second/other/both/-/manifests/{shared}/")
    found = look(as_jonas, f"/search/?q={shared.removeprefix('sha256:')[:16]}")
    assert {href for href in found.attributes("main a", "href") if "/both/" in href} == {
        "/registries/first/team/both/-/tags/1.0/", "/registries/second/other/both/-/tags/9.9/",
    }  # fmt: skip


# The masthead and the root


def test_switcher_shows_each_registry_with_its_lamp_and_asks_nobody(
    rows: dict[str, Registry], fakes: dict[str, FakeRegistry], as_jonas: Client
) -> None:
    fakes["second"].fail_next("", exception="refused", times=None)
    refreshed(rows["second"])
    for fake in fakes.values():
        fake.forget_requests()
    page = look(as_jonas, "/account/")
    assert page.text(".switcher summary") == "Choose a registry"
    links = page.links(".switcher a")
    assert links["read: first.test:5000"] == "/registries/first/"
    assert links["not readable: second.test:5000"] == "/registries/second/"
    assert links["All registries"] == "/"
    assert len(page.tree.css(".switcher .lamp-bad")) == 1
    notes = page.texts(".switcher .note")
    assert notes[0].startswith("read ")
    assert notes[1].startswith("second.test:5000 cannot be reached; last read ")
    assert not fakes["first"].requests
    assert not fakes["second"].requests
    here = look(as_jonas, "/registries/first/")
    assert here.text(".switcher summary") == "read: Registry: first.test:5000"
    assert here.attributes(".switcher a[aria-current]", "href") == ["/registries/first/"]


def test_one_registry_needs_no_switcher(rows: dict[str, Registry], as_jonas: Client) -> None:
    rows["second"].delete()
    page = look(as_jonas, "/registries/first/")
    assert not page.has(".switcher")
    assert page.text(".registry-host") == "first.test:5000"


def test_masthead_costs_one_query_however_many_registries(rows: dict[str, Registry], as_jonas: Client) -> None:
    def queries() -> list[str]:
        with CaptureQueriesContext(
            connection,
        ) as caught:
            look(as_jonas, "/registries/first/-/jobs/")
        return [query["sql"] for query in caught.captured_queries]

    look(as_jonas, "/registries/first/-/jobs/")
    few = queries()
    for number in range(20):
        Registry.objects.create(slug=f"more-{number}", url=f"http://more-{number}.test", public_host=f"more-{number}")
    many = queries()
    assert len(many) == len(few)
    assert len([sql for sql in many if "index_state" in sql or "dashboard_indexstate" in sql]) == 1
    fragment = as_jonas.get("/registries/first/-/jobs/", headers={"HX-Request": "true"})
    assert b"switcher" not in fragment.content


def test_root_lists_the_registries_and_asks_nobody(
    rows: dict[str, Registry], fakes: dict[str, FakeRegistry], as_jonas: Client
) -> None:
    Registry.objects.create(slug="third", url="http://third.test", public_host="third.test")
    rows["second"].act_with = Registry.ActWith.OWN
    rows["second"].save()
    IndexState.objects.filter(registry=rows["first"]).update(refreshed_at=timezone.now() - dt.timedelta(hours=3))
    for fake in fakes.values():
        fake.forget_requests()
    with CaptureQueriesContext(connection) as caught:
        page = look(as_jonas, "/")
    assert len([q for q in caught.captured_queries if "dashboard_registry" in q["sql"]]) == 2, "the list, the masthead"
    first = words(page.row("first.test:5000"))
    assert "first 2 3 hours ago out of date" in first
    assert "due every 5 minutes" in first
    second = words(page.row("second.test:5000"))
    assert "second —" in second, "how many depends on each person's own credential there"
    assert "not read yet" in words(page.row("third.test"))
    assert page.links("table .name") == {
        "first.test:5000": "/registries/first/", "second.test:5000": "/registries/second/",
        "third.test": "/registries/third/",
    }  # fmt: skip
    assert not any(fake.requests for fake in fakes.values())
