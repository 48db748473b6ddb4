"""What follows a deletion: the index knows at once, and a disk on which it does not appear is no source any more."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from django_q.models import OrmQ

from dashboard.models import Deletion, IndexedTag, IndexState, Registry, User
from dashboard.registry.references import RepositoryName, Tag
from dashboard.services.deletion import aftermath
from dashboard.services.index import mount, own_writes
from dashboard.tasks import follow_deletion
from tests.fake_registry import FakeRegistry
from tests.unit.storage.trees import Tree

from .page import look, words


@pytest.fixture
def version() -> str:
    """Either deletes; what follows is the same."""
    return "3.1"


@pytest.fixture
def disk(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """A mounted storage that was found to belong."""
    monkeypatch.setattr(own_writes, "SEEN_WITHIN_SECONDS", 0.05)
    monkeypatch.setattr(own_writes, "POLL_SECONDS", 0.01)
    tree = Tree(tmp_path / "storage")
    registry.storage_root = str(tree.root)
    registry.save()
    mount.note(registry, mount.Verdict(IndexState.Mount.BELONGS))
    return tree


def deleted(client: Client) -> Deletion:
    """Tag 1.0 of team/app, deleted by clicking, before anybody judged the mount."""
    judged = list(IndexState.objects.all())
    IndexState.objects.all().delete()
    page = look(client, "/registries/default/team/app/-/delete/?tag=1.0")
    fields = {
        str(field.attributes["name"]): str(field.attributes.get("value") or "")
        for field in page.tree.css("form.delete-form input, main form input[type=hidden]")
        if field.attributes.get("name")
    }
    fields["method"] = "remove"
    client.post("/registries/default/team/app/-/delete/", fields)
    IndexState.objects.all().delete()
    IndexState.objects.bulk_create(judged)
    return Deletion.objects.get()


def verdict() -> tuple[str, dict[str, str]]:
    state = IndexState.objects.get()
    return state.mount, state.mount_difference


def test_the_worker_reads_the_repository_again(as_maria: Client, fake: FakeRegistry, registry: Registry) -> None:
    fake.push_image("team/app", "1.0")
    fake.push_image("team/app", "2.0", layers=[b"other"])
    row = deleted(as_maria)
    assert row.state == "done"
    assert any(aftermath.FOLLOW in str(message.task) for message in OrmQ.objects.all()), "the worker is told"
    follow_deletion(str(row.pk))
    assert set(IndexedTag.objects.values_list("name", flat=True)) == {"2.0"}
    assert not fake.has_manifest("team/app", row.items.get().digest)


def test_a_disk_that_shows_it_stays_a_source(
    as_maria: Client, fake: FakeRegistry, registry: Registry, disk: Tree
) -> None:
    fake.push_image("team/app", "1.0")
    follow_deletion(str(deleted(as_maria).pk))
    assert verdict() == ("belongs", {})


def test_a_disk_that_shows_another_image_there_stays_a_source(
    as_maria: Client, fake: FakeRegistry, registry: Registry, disk: Tree
) -> None:
    fake.push_image("team/app", "1.0")
    row = deleted(as_maria)
    disk.tag("team/app", "1.0", disk.manifest("team/app", {"pushed": "meanwhile"}))
    follow_deletion(str(row.pk))
    assert verdict() == ("belongs", {})


def test_a_deletion_undone_before_anybody_looked_says_nothing_of_the_disk(
    as_maria: Client, fake: FakeRegistry, registry: Registry, disk: Tree
) -> None:
    image = fake.push_image("team/app", "1.0")
    row = deleted(as_maria)
    assert not fake.has_manifest("team/app", image.digest)
    assert fake.push_image("team/app", "1.0").digest == image.digest
    disk.write(disk.data_path(image.digest), image.raw)
    disk.hold("team/app", image.digest)
    disk.tag("team/app", "1.0", image.digest)
    follow_deletion(str(row.pk))
    assert verdict() == ("belongs", {})


def test_a_disk_that_does_not_show_it_is_no_source_until_both_agree(
    as_maria: Client, admin: User, fake: FakeRegistry, registry: Registry, disk: Tree
) -> None:
    """A copy of yesterday agrees on nearly everything."""
    image = fake.push_image("team/app", "1.0")
    fake.push_image("team/other", "1.0")
    row = deleted(as_maria)
    link = disk.tag("team/app", "1.0", image.digest)
    disk.write(disk.data_path(image.digest), image.raw)
    follow_deletion(str(row.pk))
    missed = {"repository": "team/app", "tag": "1.0", "reason": "unseen-write"}
    assert verdict() == ("differs", missed)

    found = look(as_maria, "/registries/default/-/status/")
    assert "Of another registry" in words(found.row("Storage"))
    assert "team/app" not in words(found.row("Storage")), "named to administrators alone"
    browser = Client()
    browser.force_login(admin)
    page = look(browser, "/registries/default/-/status/")
    assert "They do not agree on team/app:1.0." in words(page.row("Storage"))

    session = fake.client().session()
    assert mount.judge(registry, session).mount == IndexState.Mount.DIFFERS
    link.unlink()
    disk.tag("team/other", "1.0", fake.tags("team/other")["1.0"])
    assert mount.judge(registry, session).mount == IndexState.Mount.BELONGS


def test_a_repository_of_the_grammar_alone_is_doubted(registry: Registry) -> None:
    mount.miss(registry, RepositoryName("team/app"), Tag("1.0"))
    assert mount._doubted(registry) == [("team/app", "1.0")]
    mount.note(registry, mount.Verdict(IndexState.Mount.DIFFERS, {"repository": "../x", "tag": "1.0"}))
    assert mount._doubted(registry) == []
