"""Untagged revisions by age: which are old enough, deleting all of them by a rule, and what is left by repository."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from dashboard import tasks
from dashboard.models import Deletion, DeletionPlan, IndexedRevision, IndexState, Job, Registry, TagPeriod
from dashboard.services import untagged
from dashboard.services.deletion import plan, unreached
from dashboard.services.index import mount
from dashboard.services.usage import scans
from tests.fake_registry import FakeRegistry
from tests.support.mirror import Mirror

from .page import Page, look, words
from .test_untagged import ALL, APP, digests, rows

pytestmark = pytest.mark.django_db

DELETE = APP.replace("untagged/", "delete/")
RULE = f"{DELETE}?untagged=1&older=7"
COLLECTION = "/registries/default/-/collection/"


@pytest.fixture
def version() -> str:
    """The list is the index's; either version fills it."""
    return "3.1"


class Ages:
    """The fake as a mounted storage whose links are as old as a test says."""

    def __init__(self, mirror: Mirror, registry: Registry, index: Callable[[], None]) -> None:
        self._mirror = mirror
        self._registry = registry
        self.index = index

    def pushed(self, repository: str, digest: str, days: float) -> None:
        """A revision's link was written so many days ago."""
        self._mirror.follow()
        base = self._mirror.root / "docker/registry/v2/repositories" / repository / "_manifests/revisions"
        then = time.time() - days * 86_400
        os.utime(base / digest.replace(":", "/") / "link", (then, then))

    def lost(self, digest: str, days: float) -> None:
        """A revision lost its last tag so many days ago, and was pushed a day before."""
        periods = TagPeriod.objects.filter(registry=self._registry, digest=digest, ended_at__isnull=False)
        assert periods
        for period in periods:
            period.ended_at = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
            period.began_at = period.ended_at - dt.timedelta(days=1)
            period.save()
            self.pushed(period.repository, digest, days + 1)
        self.index()


@pytest.fixture
def ages(registry: Registry, fake: FakeRegistry, tmp_path: Path, index: Callable[[], None]) -> Ages:
    """With a repository that has a tag, so that the registry is never empty."""
    fake.push_image("team/web", "1.0", layers=[b"web"])
    mirror = Mirror(fake, tmp_path / "storage")
    registry.storage_root = str(mirror.root)
    registry.save()
    mount.note(registry, mount.Verdict(IndexState.Mount.BELONGS))
    return Ages(mirror, registry, index)


def planned(client: Client, address: str) -> Any:
    """The effect of the plan that an address makes."""
    look(client, address)
    return plan.effect_in(DeletionPlan.objects.latest("created_at"))


def confirm(client: Client, address: str, typed: str = "team/app") -> Deletion:
    """The plan of an address, confirmed, and carried out by the worker."""
    page = look(client, address)
    fields = {
        str(f.attributes["name"]): str(f.attributes["value"]) for f in page.tree.css("form.confirm input[type=hidden]")
    }
    answer = client.post(address.partition("?")[0], {**fields, "typed": typed})
    assert answer.status_code == 302, answer.content.decode()[:2000]
    for job in Job.objects.filter(kind=Job.Kind.DELETION, state=Job.State.WAITING):
        tasks.run_job(str(job.pk))
    return Deletion.objects.latest("created_at")


def shares(page: Page) -> dict[str, tuple[int, int]]:
    """The table by repository: images and bytes."""
    found = {}
    for row in page.tree.css("table.shares tbody tr, table.shares tfoot tr"):
        cells = row.css("td.num")
        if cells:
            size = cells[1].css_first("data")
            found[words(row.css_first("th"))] = (
                int(words(cells[0])),
                int(size.attributes["value"] or 0) if size else 0,
            )
    return found


def test_what_never_had_a_tag_is_as_old_as_its_link(as_maria: Client, fake: FakeRegistry, ages: Ages) -> None:
    old = fake.push_image("team/app", layers=[b"old"])
    young = fake.push_image("team/app", layers=[b"young"])
    ages.pushed("team/app", old.digest, 8)
    ages.pushed("team/app", young.digest, 6)
    ages.index()
    page = look(as_maria, f"{APP}?older=7")
    assert digests(page) == {old.digest}
    assert "pushed 8 days ago" in rows(page)[0]
    assert "not known" not in rows(page)[0]
    assert digests(look(as_maria, f"{APP}?older=30")) == set()
    assert digests(look(as_maria, f"{APP}?older=1")) == digests(look(as_maria, APP)) == {old.digest, young.digest}


def test_what_lost_its_tag_is_as_old_as_the_loss(as_maria: Client, fake: FakeRegistry, ages: Ages) -> None:
    first = fake.push_image("team/app", "latest", layers=[b"first"])
    ages.index()
    second = fake.push_image("team/app", "latest", layers=[b"second"])
    ages.index()
    fake.push_image("team/app", "latest", layers=[b"third"])
    ages.index()
    ages.lost(first.digest, 10)
    ages.pushed("team/app", second.digest, 40)
    ages.index()
    assert digests(look(as_maria, f"{APP}?older=7")) == {first.digest}, "the second was pushed long ago, lost just now"
    assert [line[:12] for line in rows(look(as_maria, f"{APP}?sort=age"))] == [
        second.digest[7:19],
        first.digest[7:19],
    ]


def test_what_was_pushed_again_lately_begins_anew(as_maria: Client, fake: FakeRegistry, ages: Ages) -> None:
    """As what an index is about to list: pushed by its digest, which the registry held already."""
    image = fake.push_image("team/app", "latest", layers=[b"first"])
    ages.index()
    fake.push_image("team/app", "latest", layers=[b"second"])
    ages.index()
    ages.lost(image.digest, 10)
    assert digests(look(as_maria, f"{APP}?older=7")) == {image.digest}
    ages.pushed("team/app", image.digest, 0.01)
    assert planned_nothing(as_maria), "the plan looks at the link itself"
    ages.index()
    assert digests(look(as_maria, f"{APP}?older=7")) == set()
    assert "pushed again" in rows(look(as_maria, APP))[0]


def planned_nothing(client: Client) -> bool:
    """Whether the rule's page says that nothing is meant."""
    return "no untagged image was chosen" in look(client, RULE).text("main")


def test_the_signature_of_a_younger_image_is_not_old(as_maria: Client, fake: FakeRegistry, ages: Ages) -> None:
    young = fake.push_image("team/app", layers=[b"young"])
    signature = fake.push_image("team/app", layers=[b"signature"], subject=young)
    lone = fake.push_image("team/app", layers=[b"another"])
    for digest in (signature.digest, lone.digest):
        ages.pushed("team/app", digest, 20)
    ages.index()
    assert digests(look(as_maria, f"{APP}?older=7")) == {lone.digest}
    assert [item.digest for item in planned(as_maria, RULE).items] == [lone.digest]
    ages.pushed("team/app", young.digest, 20)
    ages.index()
    assert {item.digest for item in planned(as_maria, RULE).items} == {lone.digest, young.digest, signature.digest}


def test_the_age_keeps_its_place(as_maria: Client, fake: FakeRegistry, ages: Ages) -> None:
    for number in range(52):
        image = fake.push_image("team/app", layers=[b"%d" % number])
        if number != 3:
            ages.pushed("team/app", image.digest, 8)
    ages.index()
    page = look(as_maria, f"{APP}?older=7&sort=size")
    assert page.attributes("#f-age option[selected]", "value") == ["7"]
    assert "1–50 of 51" in page.text("caption")
    shown = [*page.attributes("thead a", "href"), *page.attributes("nav.pages a, .pagination a", "href")]
    shown += page.attributes(".exports a", "href")
    assert len(shown) >= 5
    assert all("older=7" in address for address in shown)
    body = b"".join(as_maria.get(f"{APP}?older=7&format=json").streaming_content)  # type: ignore[attr-defined]
    found = json.loads(body)
    assert len(found) == 51
    assert all(row["pushed_at"] and row["untagged_since"] is None for row in found)


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "7.5", "٧", "99999999", "1e3"])
def test_a_senseless_age_is_none(as_maria: Client, fake: FakeRegistry, ages: Ages, text: str) -> None:
    image = fake.push_image("team/app", layers=[b"one"])
    ages.index()
    assert digests(look(as_maria, f"{APP}?older={text}")) == {image.digest}


def test_an_age_of_ones_own_is_offered(as_maria: Client, ages: Ages, settings: Settings) -> None:
    settings.GRACE_DAYS = 14
    ages.index()
    options = look(as_maria, f"{ALL}?older=3").attributes("#f-age option", "value")
    assert options == ["", "1", "3", "7", "14", "30", "90"]


def test_over_the_api_the_history_alone_tells(
    as_maria: Client, registry: Registry, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    image = fake.push_image("team/app", "latest", "other", layers=[b"first"])
    index()
    fake.push_image("team/app", "latest", "other", layers=[b"second"])
    index()
    then = dt.datetime.now(dt.UTC) - dt.timedelta(days=20)
    TagPeriod.objects.filter(digest=image.digest, tag="latest").update(began_at=then, ended_at=then)
    assert digests(look(as_maria, f"{APP}?older=7&name=latest")) == set(), "it had another tag until just now"
    TagPeriod.objects.filter(digest=image.digest, ended_at__isnull=False).update(began_at=then, ended_at=then)
    assert digests(look(as_maria, f"{APP}?older=7&name=latest")) == {image.digest}
    page = look(as_maria, f"{ALL}?older=7")
    assert "not known" in page.text("table.shares")
    fake.remove_manifest("team/app", image.digest)
    assert planned_nothing(as_maria), "what is gone by now nobody chose"


def test_all_of_the_filter_are_deleted_not_only_the_page(as_maria: Client, fake: FakeRegistry, ages: Ages) -> None:
    child = fake.push_image("team/app", platform="linux/amd64", layers=[b"child"])
    fake.push_index("team/app", "multi", children=[child])
    tagged = fake.push_image("team/app", "1.0", layers=[b"tagged"])
    signature = fake.push_image("team/app", layers=[b"signature"], subject=tagged)
    lone = [fake.push_image("team/app", layers=[b"%d" % number]) for number in range(53)]
    young = fake.push_image("team/app", layers=[b"young"])
    for image in (child, tagged, signature, *lone):
        ages.pushed("team/app", image.digest, 8)
    ages.index()
    page = look(as_maria, f"{APP}?older=7")
    assert len(rows(page)) == 50
    address = page.links("caption a")["Delete all 53 of the filter"]
    assert address == RULE
    plan_page = look(as_maria, address)
    assert plan_page.text("h1") == "Delete 53 untagged images"
    assert "Chosen: what no tag needs for at least 7 days." in plan_page.text(".masthead-head")
    row = confirm(as_maria, address)
    assert row.state == Deletion.State.DONE
    assert not any(fake.has_manifest("team/app", image.digest) for image in lone)
    assert all(fake.has_manifest("team/app", image.digest) for image in (young, child, signature, tagged))
    result = look(as_maria, f"/registries/default/team/app/-/deletions/{row.pk}/")
    assert result.text("h1") == "53 untagged images deleted"
    assert result.links("main a")["Other untagged images"] == f"{ALL}?older=7"


def test_the_plan_leaves_out_what_is_needed_by_now(as_maria: Client, fake: FakeRegistry, ages: Ages) -> None:
    one, two, three = (
        fake.push_image("team/app", layers=[name], platform="linux/amd64") for name in (b"one", b"two", b"three")
    )
    for image in (one, two, three):
        ages.pushed("team/app", image.digest, 8)
    ages.index()
    fake.put_manifest(one.repository, "again", one.media_type, one.raw)
    fake.push_index("team/app", "index", children=[two])
    for image in (one, two):
        ages.pushed("team/app", image.digest, 8)
    effect = planned(as_maria, RULE)
    assert [(item.digest, item.refused) for item in effect.items] == [(three.digest, "")]


def test_a_name_narrows_the_rule(as_maria: Client, fake: FakeRegistry, ages: Ages) -> None:
    for tag in ("pr-1", "main"):
        fake.push_image("team/app", tag, layers=[tag.encode()])
    ages.index()
    old = dict(fake.tags("team/app"))
    for tag in ("pr-1", "main"):
        fake.push_image("team/app", tag, layers=[b"new" + tag.encode()])
    ages.index()
    page = look(as_maria, f"{APP}?name=pr-")
    effect = planned(as_maria, page.links("caption a")["Delete the 1 of the filter"])
    assert [item.digest for item in effect.items] == [old["pr-1"]]
    assert "like “pr-”" in look(as_maria, f"{DELETE}?untagged=1&name=pr-").text(".masthead-head")


def test_of_too_many_the_oldest_go_first(
    as_maria: Client, fake: FakeRegistry, ages: Ages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unreached, "MAX_CHOSEN", 2)
    monkeypatch.setattr("dashboard.contexts.untagged.MAX_CHOSEN", 2)
    images = [fake.push_image("team/app", layers=[b"%d" % number]) for number in range(4)]
    for days, image in zip((8, 20, 9, 30), images, strict=True):
        ages.pushed("team/app", image.digest, days)
    ages.index()
    address = look(as_maria, f"{APP}?older=7").links("caption a")["Delete the oldest 2"]
    assert {item.digest for item in planned(as_maria, address).items} == {images[1].digest, images[3].digest}


def test_by_repository_it_says_what_a_plan_would_free(as_maria: Client, fake: FakeRegistry, ages: Ages) -> None:
    base = b"base" * 500
    for name, size in (("team/app", 3000), ("team/tools", 9000)):
        old = fake.push_image(name, layers=[base, os.urandom(size)])
        pair = [
            fake.push_image(name, layers=[os.urandom(700)], platform=f"linux/{arch}") for arch in ("amd64", "arm64")
        ]
        index = fake.push_index(name, children=pair)
        young = fake.push_image(name, layers=[b"young", b"s" * 4000, name.encode()])
        shared = fake.push_image(name, layers=[b"s" * 4000, b"mine" + name.encode()])
        for image in (old, *pair, index, shared):
            ages.pushed(name, image.digest, 8)
        assert young
    ages.index()
    page = look(as_maria, f"{ALL}?older=7")
    found = shares(page)
    assert list(found) == ["team/tools", "team/app", "Together"]
    for name in ("team/app", "team/tools"):
        address = page.links(f"table.shares a[href*='{name}/-/delete']")
        (plan_url,) = address.values()
        effect = planned(as_maria, plan_url)
        digests_going = [i.digest for i in effect.items] + [c.digest for i in effect.items for c in i.children]
        documents = sum(
            IndexedRevision.objects.filter(manifest__digest__in=digests_going, repository__name=name).values_list(
                "manifest__document_bytes", flat=True
            )
        )
        assert (len(effect.items), effect.frees - documents) == found[name]
    images = sum(found[name][0] for name in ("team/app", "team/tools"))
    alone = sum(found[name][1] for name in ("team/app", "team/tools"))
    assert found["Together"][0] == images == 6
    assert found["Together"][1] == alone + len(base), "the base is freed once the last of both is gone"


def test_who_may_not_delete_sees_no_way_to(as_jonas: Client, fake: FakeRegistry, ages: Ages) -> None:
    image = fake.push_image("team/app", layers=[b"one"])
    ages.pushed("team/app", image.digest, 8)
    ages.index()
    page = look(as_jonas, f"{ALL}?older=7")
    assert digests(page) == {image.digest}
    assert not page.has("table.shares")
    assert not look(as_jonas, f"{APP}?older=7").has("caption a")
    assert as_jonas.get(RULE).status_code == 403


def test_the_summary_is_bounded_and_costs_the_same(
    as_maria: Client, fake: FakeRegistry, ages: Ages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.services.untagged_summary.SHOWN", 3)
    counts = []
    for number in (1, 3, 9):
        for each in range(number):
            image = fake.push_image(f"many/r{each}", layers=[b"x" * (each + 1) * 100])
            ages.pushed(f"many/r{each}", image.digest, 8)
        ages.index()
        look(as_maria, f"{ALL}?older=7")
        with CaptureQueriesContext(connection) as queries:
            page = look(as_maria, f"{ALL}?older=7")
        counts.append(len(queries))
        assert len(page.tree.css("table.shares tbody tr")) == min(3, number)
    assert len(set(counts)) == 1, counts
    assert list(shares(page)) == ["many/r8", "many/r7", "many/r6", "Together"]
    assert "and 6 more repositories" in page.text("table.shares tfoot")
    assert shares(page)["Together"][0] == 9


def test_a_plan_asks_the_registry_no_more_for_many(as_maria: Client, fake: FakeRegistry, ages: Ages) -> None:
    counts = []
    for number in (2, 40):
        for each in range(number):
            image = fake.push_image("team/app", layers=[b"%d" % each])
            ages.pushed("team/app", image.digest, 8)
        ages.index()
        fake.forget_requests()
        with CaptureQueriesContext(connection) as queries:
            effect = planned(as_maria, RULE)
        assert len(effect.possible) == number
        counts.append((len(queries), len(fake.requests)))
    assert counts[0] == counts[1], counts


def test_where_nothing_is_left_the_next_step_is_named(as_maria: Client, fake: FakeRegistry, ages: Ages) -> None:
    fake.push_image("team/app", layers=[b"young"])
    ages.index()
    page = look(as_maria, f"{ALL}?older=7")
    assert "Nothing is untagged for at least 7 days" in page.text("main")
    assert page.links("main a")["Next: collect"] == COLLECTION
    assert page.links("main a")["Show the 1 image that is untagged for any time"].startswith(ALL)


def test_the_recipe_says_how_many_are_old_enough(
    as_maria: Client, fake: FakeRegistry, ages: Ages, settings: Settings
) -> None:
    image = fake.push_image("team/app", layers=[b"o" * 4000])
    fake.push_image("team/app", layers=[b"young"])
    ages.pushed("team/app", image.digest, 8)
    ages.index()
    page = look(as_maria, COLLECTION)
    assert page.text("#old-enough") == "1 image has been untagged for at least 7 days: 4.2 KiB that nothing else needs."
    assert page.links("main a")["Delete untagged images"] == f"{ALL}?older=7"
    settings.GRACE_DAYS = 9
    page = look(as_maria, COLLECTION)
    assert page.text("#old-enough") == "None has been untagged for at least 9 days."


def test_the_reason_on_the_storage_page_leads_to_what_is_old_enough(
    as_maria: Client, registry: Registry, fake: FakeRegistry, ages: Ages
) -> None:
    image = fake.push_image("team/app", layers=[b"o" * 4000])
    fake.push_image("team/app", layers=[b"y" * 4000])
    ages.index()
    tasks.run_job(str(scans.ask_for_scan(registry=registry, user=None).pk))
    assert look(as_maria, "/registries/default/-/storage/").links("main a")["Review 2 images"] == ALL
    ages.pushed("team/app", image.digest, 8)
    ages.index()
    links = look(as_maria, "/registries/default/-/storage/").links("main a")
    assert links["Review 1 image, untagged for at least 7 days"] == f"{ALL}?older=7"


def test_a_refresh_notices_that_a_link_was_written_again(fake: FakeRegistry, ages: Ages) -> None:
    image = fake.push_image("team/app", layers=[b"one"])
    ages.pushed("team/app", image.digest, 8)
    ages.index()
    row = IndexedRevision.objects.get(manifest__digest=image.digest)
    assert row.pushed_at is not None
    ages.pushed("team/app", image.digest, 2)
    ages.index()
    again = IndexedRevision.objects.get(manifest__digest=image.digest)
    assert again.pk == row.pk
    assert again.pushed_at is not None
    assert again.pushed_at - row.pushed_at > dt.timedelta(days=5)


def test_the_query_of_a_rule_is_the_oldest_first() -> None:
    query = untagged.by_age(7, contains="x")
    assert (query.order.text, query.older, query.contains) == ("-age", 7, "x")
