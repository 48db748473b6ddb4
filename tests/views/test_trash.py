"""The trash: what is in it, who may see it, what comes back from it, and what is said where it cannot."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.models import (
    AuditEntry,
    Deletion,
    DeletionItem,
    IndexState,
    Registry,
    Role,
    TrashedManifest,
    User,
)
from dashboard.registry.references import parse_repository
from dashboard.services import protection
from dashboard.services.audit import Actor
from dashboard.services.index import mount
from dashboard.services.trash import kept, outlook
from tests.fake_registry import FakeRegistry
from tests.support.deleting import Desk
from tests.support.mirror import Mirror
from tests.support.people import let

from .page import Page, look, page_of, words

pytestmark = pytest.mark.django_db

TRASH = "/registries/default/-/trash/"
RESTORE = f"{TRASH}restore/"
APP = parse_repository("team/app")


@pytest.fixture
def version() -> str:
    """Either deletes; what is kept is the same."""
    return "3.1"


@pytest.fixture
def desk(registry: Registry, fake: FakeRegistry) -> Desk:
    """Somebody who deletes at the same registry, without pages."""
    user = User.objects.create_user("deleter")
    let(user, Role.MAINTAINER)
    return Desk(registry, user, fake.client().session())


def rows(page: Page) -> list[str]:
    """The lines of the trash."""
    return [words(row) for row in page.tree.css("table.trash tbody tr")]


def put_back(client: Client, item: DeletionItem, **more: str) -> Page:
    """The button of a line, and the page that it leads to."""
    response = client.post(RESTORE, {"item": str(item.pk), **more}, follow=True)
    return page_of(response, response.status_code)


def test_an_empty_trash_says_what_will_be_in_it(as_maria: Client, registry: Registry) -> None:
    assert look(as_maria, TRASH).text(".state h2") == "The trash is empty"


def test_what_was_deleted_is_listed_and_comes_back(as_maria: Client, desk: Desk, fake: FakeRegistry) -> None:
    image = fake.push_image("team/app", "1.0", "1", layers=[b"image"])
    row = desk.begin(desk.plan(APP, "1.0", "1"))
    (line,) = rows(look(as_maria, TRASH))
    assert line.startswith("1.0 also 1 team/app image")
    assert "by deleter" in line
    item = row.items.get()
    page = put_back(as_maria, item)
    assert "Brought back: 1.0, 1" in page.text("main")
    assert fake.tags("team/app") == {"1.0": image.digest, "1": image.digest}
    assert rows(look(as_maria, TRASH)) == []
    entry = AuditEntry.objects.get(action="restore")
    assert (entry.user, entry.outcome, entry.tags, entry.digest_after) == ("maria", "done", ["1.0", "1"], image.digest)
    assert as_maria.post(RESTORE, {"item": str(item.pk)}).status_code == 404, "it comes back once"


def test_a_tag_that_exists_by_now_is_left_alone_unless_told(as_maria: Client, desk: Desk, fake: FakeRegistry) -> None:
    old = fake.push_image("team/app", "1.0", layers=[b"old"])
    item = desk.confirm(desk.plan(APP, "1.0"))
    new = fake.push_image("team/app", "1.0", layers=[b"new"])
    page = put_back(as_maria, item)
    assert "1.0 exists by now and points elsewhere. Nothing was changed." in page.text("main")
    assert fake.tags("team/app") == {"1.0": new.digest}
    assert page.attributes("form input[name=overwrite]", "value") == ["yes"]
    put_back(as_maria, item, overwrite="yes")
    assert fake.tags("team/app") == {"1.0": old.digest}


def test_a_protected_tag_is_never_overwritten(as_maria: Client, desk: Desk, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "v1", layers=[b"old"])
    item = desk.confirm(desk.plan(APP, "v1"))
    new = fake.push_image("team/app", "v1", layers=[b"new"])
    protection.add(registry=desk.registry, tag_pattern="v*", repository_pattern="*", note="", actor=Actor("admin"))
    assert "v1 is protected and points elsewhere by now" in put_back(as_maria, item, overwrite="yes").text("main")
    assert fake.tags("team/app") == {"v1": new.digest}


@pytest.mark.parametrize("remembered", [True, False])
def test_what_a_collection_removed_is_named(as_maria: Client, desk: Desk, fake: FakeRegistry, remembered: bool) -> None:
    image = fake.push_image("team/app", "1.0", layers=[b"collected"])
    item = desk.confirm(desk.plan(APP, "1.0"))
    fake.collect_blob(image.layers[0], is_remembered=remembered)
    page = put_back(as_maria, item)
    assert f"A garbage collection removed what it needs: {image.layers[0]}." in page.text("main")
    assert fake.tags("team/app") == {}
    (line,) = rows(look(as_maria, TRASH))
    assert f"no {image.layers[0][7:19]} is gone" in line
    assert look(as_maria, TRASH).has("table.trash button[disabled]")


def test_a_scan_looks_at_the_whole_trash(as_maria: Client, desk: Desk, fake: FakeRegistry, tmp_path: Path) -> None:
    mirror = Mirror(fake, tmp_path / "storage")
    desk.registry.storage_root = str(mirror.root)
    desk.registry.save()
    mount.note(desk.registry, mount.Verdict(IndexState.Mount.BELONGS))
    for tag in ("gone", "kept"):
        fake.push_image("team/app", tag, layers=[tag.encode()])
        desk.confirm(desk.plan(APP, tag))
    lost = DeletionItem.objects.get(tags=["gone"])
    blobs = outlook.blobs_of(manifest for manifest, _ in outlook.manifests_of(lost).values())
    layer = next(digest for digest in blobs if fake.state.blobs[digest] == b"gone")
    encoded = layer.removeprefix("sha256:")
    (mirror.root / "docker/registry/v2/blobs/sha256" / encoded[:2] / encoded / "data").unlink()
    assert outlook.look_again(desk.registry) == 1
    assert {tuple(i.tags): i.restorable for i in DeletionItem.objects.all()} == {("gone",): False, ("kept",): True}
    assert sum("yes looked at" in line for line in rows(look(as_maria, TRASH))) == 1


def test_what_is_kept_long_enough_is_forgotten(as_maria: Client, desk: Desk, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    item = desk.confirm(desk.plan(APP, "1.0"))
    Deletion.objects.update(kept_until=timezone.now() - dt.timedelta(seconds=1))
    assert rows(look(as_maria, TRASH)) == []
    assert as_maria.post(RESTORE, {"item": str(item.pk)}).status_code == 404
    assert kept.prune() == 1
    assert not TrashedManifest.objects.exists()
    assert DeletionItem.objects.exists(), "that it was deleted is known on"


def test_what_had_no_tag_comes_back_to_a_repository_without_tags(
    as_maria: Client, desk: Desk, fake: FakeRegistry
) -> None:
    image = fake.push_image("team/app", layers=[b"by its digest alone"])
    item = desk.confirm(desk.plan(APP, digests=(image.digest,)))
    assert not fake.has_manifest("team/app", image.digest)
    page = put_back(as_maria, item)
    assert "Brought back: an untagged image" in page.text("main")
    assert fake.has_manifest("team/app", image.digest)


def test_who_only_looks_sees_it_and_restores_nothing(as_jonas: Client, desk: Desk, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    item = desk.confirm(desk.plan(APP, "1.0"))
    page = look(as_jonas, TRASH)
    assert len(rows(page)) == 1
    assert not page.has("table.trash form")
    assert as_jonas.post(RESTORE, {"item": str(item.pk)}).status_code == 403
    assert fake.tags("team/app") == {}


def test_a_registry_that_refuses_is_said_and_the_item_stays(as_maria: Client, desk: Desk, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    item = desk.confirm(desk.plan(APP, "1.0"))
    fake.readonly = True
    page = put_back(as_maria, item)
    assert page.status == 409
    assert "read-only" in page.text("main")
    assert len(rows(look(as_maria, TRASH))) == 1
    assert AuditEntry.objects.get(action="restore").outcome == "failed"


@pytest.mark.parametrize("contains", ["1.0", "team/app", "deleter"])
def test_the_filter_looks_at_tag_repository_and_person(
    as_maria: Client, desk: Desk, fake: FakeRegistry, contains: str
) -> None:
    fake.push_image("team/app", "1.0")
    desk.confirm(desk.plan(APP, "1.0"))
    assert len(rows(look(as_maria, f"{TRASH}?name={contains}"))) == 1
    assert rows(look(as_maria, f"{TRASH}?name=other")) == []


def test_the_list_costs_the_same_however_long_it_is(as_maria: Client, desk: Desk, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    item = desk.confirm(desk.plan(APP, "1.0"))
    counts = []
    for number in (0, 2, 60):
        DeletionItem.objects.filter(position__gt=0).delete()
        copies = [
            DeletionItem(
                deletion=item.deletion,
                position=n + 1,
                digest=item.digest,
                tags=[f"t{n}"],
                method="remove",
                state="done",
            )
            for n in range(number)
        ]
        DeletionItem.objects.bulk_create(copies)
        look(as_maria, TRASH)
        fake.forget_requests()
        with CaptureQueriesContext(connection) as queries:
            page = look(as_maria, TRASH)
        counts.append((len(queries), len(fake.requests)))
        assert len(rows(page)) == min(50, number + 1)
    assert len(set(counts)) == 1, counts
    assert page.links("nav a")["Older"].startswith(f"{TRASH}?before=")
    assert len(rows(look(as_maria, page.links("nav a")["Older"]))) == 11
