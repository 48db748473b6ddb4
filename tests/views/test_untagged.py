"""Revisions that no tag reaches: which are listed, why they are there, what they hold alone, and what can be done."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.models import IndexState, Registry, TagPeriod
from dashboard.services.index import mount
from tests.fake_registry import FakeRegistry
from tests.support.mirror import Mirror

from .page import Page, look, words

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
    assert page.texts(".index-tabs a")[1] == "Untagged 1"
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
