"""Revisions that no tag reaches: which are listed, why they are there, what they hold alone, and what can be done."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.models import DeletionPlan, IndexedRevision, IndexedTag, IndexState, Registry, TagPeriod
from dashboard.services import untagged_weight
from dashboard.services.access import Visible
from dashboard.services.deletion import plan
from dashboard.services.deletion.effect import Effect
from dashboard.services.index import mount
from dashboard.services.index.update import state_of
from dashboard.services.untagged import Scope
from dashboard.storage.usage import measure
from tests.fake_registry import FakeRegistry
from tests.support.mirror import Mirror

from .page import Page, look, part, words

pytestmark = pytest.mark.django_db

APP = "/registries/default/team/app/-/untagged/"
ALL = "/registries/default/-/untagged/"


@pytest.fixture
def version() -> str:
    """The list is the index's; either version fills it."""
    return "3.1"


@pytest.fixture
def disk(registry: Registry, fake: FakeRegistry, tmp_path: Path, index: Callable[[], None]) -> Callable[[], None]:
    """The fake's state as a mount that belongs to it; reads the index anew when it is called."""
    registry.storage_root = str(Mirror(fake, tmp_path / "storage").root)
    registry.save()
    mount.note(registry, mount.Verdict(IndexState.Mount.BELONGS))
    return index


def rows(page: Page) -> list[str]:
    """The lines of the list."""
    return [words(row) for row in page.tree.css("table.untagged tbody tr")]


def digests(page: Page) -> set[str]:
    """The digests that are listed."""
    return {str(node.attributes["title"]) for node in page.tree.css("table.untagged th .digest")}


def test_an_overwritten_tag_leaves_its_image_here(
    as_maria: Client, fake: FakeRegistry, disk: Callable[[], None]
) -> None:
    old = fake.push_image("team/app", "latest", "1.0", layers=[b"o" * 2048, b"shared"])
    disk()
    new = fake.push_image("team/app", "latest", "1.0", layers=[b"new", b"shared"])
    disk()
    page = look(as_maria, APP)
    assert digests(page) == {old.digest}
    (line,) = rows(page)
    assert "Was " in line
    assert "latest until" in line
    assert "1.0 until" in line
    assert page.texts(".index-tabs a")[:2] == ["Tags 2", "Untagged 1"]
    for other in ("", "-/history/"):
        assert look(as_maria, f"/registries/default/team/app/{other}").texts(".index-tabs a")[1] == "Untagged 1"
    assert new.digest not in page.html
    again = page.links("table.untagged a")["Tag again"]
    assert f"digest={old.digest.replace(':', '%3A')}" in again


def test_what_an_index_lists_or_what_is_attached_is_not_untagged(
    as_maria: Client, fake: FakeRegistry, disk: Callable[[], None]
) -> None:
    child = fake.push_image("team/app", platform="linux/amd64", layers=[b"child"])
    fake.push_index("team/app", "multi", children=[child])
    image = fake.push_image("team/app", "1.0", layers=[b"image"])
    fake.push_image("team/app", layers=[b"signature"], subject=image)
    lone = fake.push_image("team/app", layers=[b"lone"])
    below = fake.push_image("team/app", platform="linux/arm64", layers=[b"below"])
    index = fake.push_index("team/app", children=[below])
    disk()
    page = look(as_maria, APP)
    assert digests(page) == {lone.digest, index.digest}, "an index that no tag names is live all the same"
    assert all("Pushed by its digest alone" in line for line in rows(page))


def test_exclusive_is_what_nothing_else_needs(as_maria: Client, fake: FakeRegistry, disk: Callable[[], None]) -> None:
    fake.push_image("team/app", layers=[b"l" * 3072, b"s" * 5120], config={"note": "a"})
    fake.push_image("team/web", "1.0", layers=[b"s" * 5120])
    disk()
    answer = as_maria.get(f"{APP}?format=json")
    (row,) = json.loads(b"".join(answer.streaming_content))  # type: ignore[attr-defined]
    assert 3072 < row["exclusive_bytes"] < 4096
    assert row["bytes"] == row["exclusive_bytes"] + 5120


def test_ticked_ones_are_deleted_and_what_was_tagged_since_is_refused(
    as_maria: Client, fake: FakeRegistry, disk: Callable[[], None]
) -> None:
    one = fake.push_image("team/app", layers=[b"one"])
    two = fake.push_image("team/app", layers=[b"two"])
    disk()
    fake.put_manifest(two.repository, "again", two.media_type, two.raw)
    chosen = as_maria.post(f"{APP.replace('untagged/', 'delete/choose/')}", {"digest": [one.digest, two.digest]})
    page = look(as_maria, chosen.headers["Location"])
    assert page.text("#confirm-button") == "Delete 1 untagged image"
    lines = [words(row) for row in page.tree.css("table.plan tbody tr")]
    assert any("The untagged image goes." in line for line in lines)
    assert any("It has a tag by now. again points at it." in line for line in lines)
    fields = {
        str(f.attributes["name"]): str(f.attributes["value"]) for f in page.tree.css("form.confirm input[type=hidden]")
    }
    as_maria.post("/registries/default/team/app/-/delete/", fields)
    assert not fake.has_manifest("team/app", one.digest)
    assert fake.tags("team/app") == {"again": two.digest}


def test_over_the_api_the_history_tells_and_the_registry_is_asked(
    as_maria: Client, registry: Registry, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    held = fake.push_image("team/app", "latest", layers=[b"held"])
    index()
    gone = fake.push_image("team/app", "latest", layers=[b"gone"])
    index()
    fake.push_image("team/app", "latest", layers=[b"now"])
    index()
    fake.remove_manifest("team/app", gone.digest)
    page = look(as_maria, APP)
    assert "Only what once had a tag is known." in page.text("main")
    assert digests(page) == {held.digest, gone.digest}
    told = {line[:12]: "not held any more" in line for line in rows(page)}
    assert told == {held.digest[7:19]: False, gone.digest[7:19]: True}
    assert page.attributes("table.untagged td.sel input:not([disabled])", "value") == [held.digest]


def test_of_a_registry_with_filter_order_and_files(
    as_maria: Client, fake: FakeRegistry, disk: Callable[[], None]
) -> None:
    small = fake.push_image("team/app", "pr-1", layers=[b"small"])
    large = fake.push_image("team/web", "main", layers=[b"l" * 9000])
    disk()
    fake.push_image("team/app", "pr-1", layers=[b"newer"])
    fake.push_image("team/web", "main", layers=[b"newest"])
    disk()
    page = look(as_maria, f"{ALL}?sort=size")
    shown = [str(node.attributes["title"]) for node in page.tree.css("table.untagged th .digest")]
    assert shown == [large.digest, small.digest]
    assert not page.has(".sel"), "a deletion is one repository's"
    assert digests(look(as_maria, f"{ALL}?name=pr-")) == {small.digest}
    assert digests(look(as_maria, f"{ALL}?name={large.digest[7:19]}")) == {large.digest}
    assert "Nothing untagged is like" in look(as_maria, f"{ALL}?name=nothing").text("main")
    body = b"".join(as_maria.get(f"{ALL}?format=csv").streaming_content)  # type: ignore[attr-defined]
    found = list(csv.DictReader(io.StringIO(body.decode())))
    assert {(row["repository"], row["last_tag"]) for row in found} == {("team/app", "pr-1"), ("team/web", "main")}


def test_who_only_looks_sees_no_action(as_jonas: Client, fake: FakeRegistry, disk: Callable[[], None]) -> None:
    fake.push_image("team/web", "1.0")
    fake.push_image("team/app", layers=[b"one"])
    disk()
    page = look(as_jonas, APP)
    assert len(rows(page)) == 1
    assert not page.has(".bulk")
    assert not page.has("table.untagged .button")


def test_the_list_costs_the_same_however_long_it_is(
    as_maria: Client, registry: Registry, fake: FakeRegistry, disk: Callable[[], None]
) -> None:
    counts = []
    fake.push_image("team/web", "1.0")
    for number in (1, 3, 55):
        for each in range(number):
            fake.push_image("team/app", layers=[b"%d" % each])
        disk()
        TagPeriod.objects.get_or_create(
            registry=registry, repository="team/app", tag="was", digest="sha256:" + "0" * 64,
            began_at=timezone.now(), ended_at=timezone.now(), learnt="event",
        )  # fmt: skip
        look(as_maria, APP)
        fake.forget_requests()
        with CaptureQueriesContext(connection) as queries:
            page = look(as_maria, APP)
        assert len(rows(page)) == min(50, number)
        counts.append((len(queries), len(fake.requests)))
    assert len(set(counts)) == 1, counts


def test_what_an_index_shares_with_a_tag_is_not_exclusive_to_it(
    as_maria: Client, registry: Registry, fake: FakeRegistry, disk: Callable[[], None]
) -> None:
    """As the delete page counts: with an index go only children that nothing else needs."""
    tagged = fake.push_image("team/app", "arm", platform="linux/arm64", layers=[b"t" * 5120])
    lone = fake.push_image("team/app", platform="linux/amd64", layers=[b"l" * 3072])
    shared = fake.push_image("team/app", platform="linux/s390x", layers=[b"s" * 7168])
    index = fake.push_index("team/app", children=[tagged, lone, shared])
    fake.push_index("team/app", "other", children=[shared])
    fake.push_image("team/web", "1.0")
    disk()
    (row,) = rows_of_file(as_maria)
    assert row["digest"] == index.digest
    assert row["bytes"] > 5120 + 3072 + 7168
    assert 3072 < row["exclusive_bytes"] < 4096
    effect = planned(as_maria, registry, index.digest)
    documents = sum(len(each.raw) for each in (index, lone))
    assert effect.frees == row["exclusive_bytes"] + documents
    assert figures(look(as_maria, APP)) == {"untagged image": "1", "compressed, needed by nothing else": "3.2 KiB"}


def test_over_the_api_what_a_tag_needs_is_not_exclusive(
    as_maria: Client, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    fake.push_image("team/app", "latest", layers=[b"o" * 3072, b"s" * 5120], config={"note": "old"})
    index()
    fake.push_image("team/app", "latest", layers=[b"n" * 1024, b"s" * 5120], config={"note": "new"})
    index()
    (row,) = rows_of_file(as_maria)
    assert 3072 < row["exclusive_bytes"] < 4096
    assert "at most" in look(as_maria, APP).text("table.untagged thead")


def test_over_the_api_what_was_deleted_here_is_not_remembered_as_untagged(
    as_maria: Client, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    fake.push_image("team/app", "keep", layers=[b"kept"])
    old = fake.push_image("team/app", "old", layers=[b"old"])
    index()
    delete(as_maria, f"/registries/default/team/app/-/delete/?tag=old@{old.digest[7:19]}")
    index()
    assert TagPeriod.objects.filter(digest=old.digest, ended_at__isnull=False).exists()
    assert not rows(look(as_maria, APP))
    fake.push_image("team/app", "old", layers=[b"old"])
    index()
    fake.push_image("team/app", "old", layers=[b"newer"])
    index()
    assert digests(look(as_maria, APP)) == {old.digest}, "pushed again, and overwritten since"


def test_over_the_api_a_tag_that_cannot_be_read_leaves_nothing_untagged(
    as_maria: Client, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    image = fake.push_image("team/app", "latest", layers=[b"one"])
    fake.push_image("team/app", "1.0", layers=[b"two"])
    index()
    TagPeriod.objects.create(
        registry=Registry.objects.get(), repository="team/app", tag="was", digest=image.digest,
        began_at=timezone.now(), ended_at=timezone.now(), learnt="event",
    )  # fmt: skip
    IndexedTag.objects.filter(name="latest").update(digest="", manifest=None, error_code="timed-out")
    IndexedRevision.objects.filter(manifest__digest=image.digest).delete()
    assert not rows(look(as_maria, APP)), "its period is open: as far as is known the tag still points there"


def test_a_filter_changes_no_figure(as_maria: Client, fake: FakeRegistry, disk: Callable[[], None]) -> None:
    fake.push_image("team/web", "1.0")
    for number in range(3):
        fake.push_image("team/app", layers=[b"%d" % number])
    disk()
    page = look(as_maria, f"{APP}?name=nothing")
    assert figures(page)["untagged images"] == "3"
    assert page.texts(".index-tabs a")[1] == "Untagged 3"


def test_the_figures_are_those_of_the_disk(
    as_maria: Client, registry: Registry, fake: FakeRegistry, disk: Callable[[], None]
) -> None:
    fake.push_image("team/web", "1.0", layers=[b"t" * 9000])
    for name in ("team/app", "team/web", "team/app"):
        fake.push_image(name, layers=[b"t" * 9000, b"both" * 900], config={"note": name})
    disk()
    documents = sum(IndexedRevision.objects.filter(tagged=False).values_list("manifest__document_bytes", flat=True))
    report = measure(Path(registry.storage_root), now=time.time(), in_flight_seconds=0)
    scope = Scope(registry, state_of(registry), Visible(Q()))
    assert untagged_weight.together(registry, scope.repositories, all_of_it=True) == report.untagged.bytes - documents


def test_what_went_since_the_index_was_read_says_so(
    as_maria: Client, fake: FakeRegistry, disk: Callable[[], None]
) -> None:
    fake.push_image("team/web", "1.0")
    one = fake.push_image("team/app", layers=[b"one"])
    fake.push_image("team/app", layers=[b"two"])
    disk()
    fake.remove_manifest("team/app", one.digest)
    fake.client().session(None).ping()  # an answer, by which the disk follows
    page = look(as_maria, APP)
    told = {
        str(part(row, ".digest").attributes["title"]): words(row) for row in page.tree.css("table.untagged tbody tr")
    }
    assert "not held any more" in told[one.digest]
    assert sum("not held any more" in text for text in told.values()) == 1


def test_of_many_tags_the_last_three_are_named(as_maria: Client, fake: FakeRegistry, disk: Callable[[], None]) -> None:
    for number in range(6):
        fake.push_image("team/app", f"v{number}", layers=[b"old"])
    disk()
    for number in range(6):
        fake.push_image("team/app", f"v{number}", layers=[b"new"])
        disk()
    (line,) = rows(look(as_maria, APP))
    assert line.count("until") == 3
    assert "others before" in line
    assert line.index("v5") < line.index("v4") < line.index("v3")


def test_a_name_that_never_was_is_not_found(as_maria: Client, fake: FakeRegistry) -> None:
    look(as_maria, "/registries/default/no/such/-/untagged/", 404)


def rows_of_file(client: Client) -> list[dict[str, Any]]:
    """The rows of the file, as they are."""
    body = b"".join(client.get(f"{APP}?format=json").streaming_content)  # type: ignore[attr-defined]
    found: list[dict[str, Any]] = json.loads(body)
    return found


def figures(page: Page) -> dict[str, str]:
    """The figures of the masthead."""
    return {words(node.css_first("dt")): words(node.css_first("dd")) for node in page.tree.css(".figures > div")}


def planned(client: Client, registry: Registry, digest: str) -> Effect:
    """What the delete page says of one digest."""
    look(client, f"{APP.replace('untagged/', 'delete/')}?digest={digest}")
    return plan.effect_in(DeletionPlan.objects.latest("created_at"))


def delete(client: Client, address: str) -> None:
    """The plan of an address, confirmed."""
    page = look(client, address)
    fields = {
        str(f.attributes["name"]): str(f.attributes["value"]) for f in page.tree.css("form.confirm input[type=hidden]")
    }
    client.post(address.partition("?")[0], {**fields, "method": "remove"})
