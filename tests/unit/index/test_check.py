"""Each view asks the source whether the index still tells the truth, at a bounded cost, and never waits for a lock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.models import Content, IndexedRepository, IndexedTag, Registry, TagPeriod, User
from dashboard.registry.errors import ConnectionFailed, RepositoryUnknown, TimedOut
from dashboard.registry.references import RepositoryName
from dashboard.services import access
from dashboard.services.access import Access
from dashboard.services.index import check as checks
from dashboard.services.index.check import Checked, check
from dashboard.storage.errors import StorageError
from tests.fake_registry import FakeRegistry
from tests.unit.index.support import done, history_of, index_of, names, read_from, tags_of, write_out
from tests.unit.storage.trees import Tree

APP = RepositoryName("team/app")
MOST_QUERIES = 6
"""However many rows are shown."""


@pytest.fixture
def version() -> str:
    """One version: those that differ are compared in the contract tests."""
    return "3.1"


@pytest.fixture
def asking(registry: Registry, jonas: User) -> Access:
    """A person who looks, whose standing on the registry is known: what is counted is the check alone."""
    found = access.access_to(user=jonas, registry=registry)
    access.has_rights_per_repository(found)
    return found


Make = Callable[[], Tree]


@pytest.fixture
def on_disk(registry: Registry, fake: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """What the fake holds by now, as a storage that is read in its place."""

    def make() -> Tree:
        tree = write_out(fake, tmp_path / "storage")
        read_from(tree, registry, monkeypatch)
        return tree

    return make


def checked(asking: Access, *shown: str, repository: RepositoryName = APP) -> Checked:
    return check(access.access_to(user=asking.user, registry=asking.registry), repository, shown)


def pages(count: int) -> list[str]:
    return [f"1.{n}" for n in range(count)]


# What it costs


@pytest.mark.parametrize("shown", [1, 3, 50])
def test_unchanged_over_the_api_costs_a_list_and_a_304_for_each_row(
    registry: Registry, fake: FakeRegistry, asking: Access, shown: int
) -> None:
    fake.push_image(APP, *pages(60))
    done(registry)
    fake.forget_requests()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = checked(asking, *pages(shown))
    assert (fake.count("GET", "/tags/list"), fake.count("HEAD"), len(fake.requests)) == (1, shown, 1 + shown)
    assert all("if-none-match" in request.headers for request in fake.requests if request.method == "HEAD")
    assert len(queries) <= MOST_QUERIES
    assert not [q for q in queries if not q["sql"].startswith("SELECT")], "a page that learns nothing writes nothing"
    assert (found.at is not None, found.whole, found.as_of, found.unwritten) == (True, False, found.at, False)


@pytest.mark.parametrize("shown", [1, 3, 50])
def test_unchanged_from_the_storage_costs_no_request(
    registry: Registry, fake: FakeRegistry, asking: Access, on_disk: Make, shown: int
) -> None:
    fake.push_image(APP, *pages(60))
    on_disk()
    done(registry)
    fake.forget_requests()
    with CaptureQueriesContext(connection) as queries:
        found = checked(asking, *pages(shown))
    assert fake.requests == []
    assert len(queries) <= MOST_QUERIES
    assert not [q for q in queries if not q["sql"].startswith("SELECT")]
    assert (found.whole, found.as_of) == (True, found.at)


def test_what_cannot_be_read_is_not_written_again_at_each_view(
    registry: Registry, fake: FakeRegistry, asking: Access, on_disk: Make
) -> None:
    fake.push_image(APP, "1", "2")
    tree = on_disk()
    tree.write(tree.repository(APP) / "_manifests" / "tags" / "2" / "current" / "link", b"rubbish")
    missing = fake.push_image(APP, layers=(b"x",))
    tree.hold(APP, missing.digest)
    tree.tag(APP, "3", missing.digest)
    done(registry)
    assert {t.name: t.error_code for t in IndexedTag.objects.all()} == {
        "1": "",
        "2": "storage-link-corrupt",
        "3": "storage-blob-missing",
    }
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert checked(asking, "1", "2").whole
        assert not [q for q in queries if not q["sql"].startswith("SELECT")]


# What it finds


@pytest.mark.parametrize("source", ["api", "storage"])
def test_new_moved_and_gone_tags_are_there_at_once(
    registry: Registry, fake: FakeRegistry, asking: Access, on_disk: Make, source: str
) -> None:
    old = fake.push_image(APP, "moves", "goes", "stays", layers=(b"old",))
    tree = on_disk() if source == "storage" else None
    done(registry)
    new = fake.push_image(APP, "moves", "new", layers=(b"new",))
    del fake.state.repositories[APP].tags["goes"]
    if tree is not None:
        for digest in (*new.layers, new.config or "", new.digest):
            tree.write(tree.data_path(digest), fake.state.blobs[digest])
        tree.hold(APP, new.digest)
        tree.tag(APP, "moves", new.digest)
        tree.tag(APP, "new", new.digest)
        for path in sorted((tree.repository(APP) / "_manifests/tags/goes").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    found = checked(asking, "moves", "goes", "stays")
    assert tags_of(registry, APP) == {"moves": new.digest, "new": new.digest, "stays": old.digest}
    assert (found.as_of, found.unwritten) == (found.at, False)
    assert history_of(APP, "moves") == [(old.digest, False), (new.digest, True)]
    assert history_of(APP, "goes") == [(old.digest, False)]
    after_check = index_of(registry)
    assert done(registry).outcome["changed"] == 0
    assert index_of(registry) == after_check, "the check leaves what a refresh would"


def test_tag_that_is_not_on_the_page_is_left_to_the_refresh(
    registry: Registry, fake: FakeRegistry, asking: Access
) -> None:
    old = fake.push_image(APP, "1", "2", layers=(b"old",))
    done(registry)
    new = fake.push_image(APP, "1", "2", layers=(b"new",))
    checked(asking, "1")
    assert tags_of(registry, APP) == {"1": new.digest, "2": old.digest}
    done(registry)
    assert tags_of(registry, APP) == {"1": new.digest, "2": new.digest}


def test_more_new_tags_than_a_page_reads_are_named_and_read_by_and_by(
    registry: Registry, fake: FakeRegistry, asking: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "MAX_NEW", 3)
    image = fake.push_image(APP, *pages(8))
    seen = []
    for _ in range(4):
        checked(asking)
        seen.append(sum(target == image.digest for target in tags_of(registry, APP).values()))
        assert len(tags_of(registry, APP)) == 8
    assert seen == [3, 6, 8, 8]


def test_repository_too_large_to_look_at_every_link(
    registry: Registry, fake: FakeRegistry, asking: Access, on_disk: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "MAX_LINKS", 3)
    fake.push_image(APP, *pages(6))
    tree = on_disk()
    done(registry)
    with CaptureQueriesContext(connection) as queries:
        assert checked(asking, "1.0", "1.1").whole is False
    assert not [q for q in queries if not q["sql"].startswith("SELECT")]
    new = fake.tags(APP)["1.0"]
    for tag in ("1.6", "1.7"):
        tree.tag(APP, tag, new)
    checked(asking, "1.0")
    assert len(tags_of(registry, APP)) == 8


def test_repository_that_the_index_does_not_know_opens_by_its_address(
    registry: Registry, fake: FakeRegistry, asking: Access
) -> None:
    done(registry)
    image = fake.push_image("brand/new", "1")
    found = checked(asking, repository=RepositoryName("brand/new"))
    assert (found.whole, tags_of(registry, "brand/new")) == (True, {"1": image.digest})
    assert names(registry) == {"brand/new"}


@pytest.mark.parametrize("source", ["api", "storage"])
def test_repository_that_is_gone_is_said_to_be_and_left_to_the_refresh(
    registry: Registry, fake: FakeRegistry, asking: Access, on_disk: Make, source: str
) -> None:
    """One answer does not tell a repository that is gone from a volume that is not mounted."""
    fake.push_image(APP, "1")
    fake.push_image("other", "1")
    tree = on_disk() if source == "storage" else None
    done(registry)
    del fake.state.repositories[APP]
    if tree is not None:
        (tree.repository(APP) / "_manifests").rename(tree.root / "away")
    with pytest.raises(RepositoryUnknown):
        checked(asking, "1")
    assert TagPeriod.objects.get(repository=APP).ended_at is None
    done(registry)
    assert names(registry) == {"other"}


def test_a_large_repository_that_seems_empty_is_shown_as_it_was(
    registry: Registry, fake: FakeRegistry, asking: Access
) -> None:
    image = fake.push_image(APP, *pages(21))
    done(registry)
    fake.remove_manifest(APP, image.digest)
    found = checked(asking, *pages(21))
    assert len(tags_of(registry, APP)) == 21
    assert (found.unwritten, found.as_of) == (True, IndexedRepository.objects.get().read_at)


# When the source does not answer


def test_registry_that_is_down_leaves_the_page_as_it_was_read(
    registry: Registry, fake: FakeRegistry, asking: Access
) -> None:
    fake.push_image(APP, "1")
    done(registry)
    before = index_of(registry)
    fake.fail_next("", exception="refused", times=None)
    found = checked(asking, "1")
    assert isinstance(found.error, ConnectionFailed)
    assert (found.at, found.as_of) == (None, IndexedRepository.objects.get().read_at)
    assert index_of(registry) == before
    with pytest.raises(ConnectionFailed):
        checked(asking, repository=RepositoryName("never/read"))


def test_registry_that_goes_down_while_it_is_asked_changes_nothing(
    registry: Registry, fake: FakeRegistry, asking: Access
) -> None:
    fake.push_image(APP, "1", "2")
    done(registry)
    fake.push_image(APP, "1", layers=(b"new",))
    before = index_of(registry)
    fake.fail_next("^GET .*/manifests/", exception="refused", times=None)
    found = checked(asking, "1", "2")
    assert isinstance(found.error, ConnectionFailed)
    assert (found.at, index_of(registry)) == (None, before)


def test_slow_registry_is_waited_for_no_longer_than_the_budget(
    registry: Registry, fake: FakeRegistry, asking: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.push_image(APP, *pages(50))
    done(registry)
    monkeypatch.setattr(checks, "BUDGET_SECONDS", 0.3)
    fake.delay = 0.1
    began = time.monotonic()
    found = checked(asking, *pages(50))
    assert time.monotonic() - began < 1
    assert isinstance(found.error, TimedOut)
    assert (found.at, found.as_of) == (None, IndexedRepository.objects.get().read_at)
    assert set(IndexedTag.objects.values_list("error_code", flat=True)) == {""}


def test_storage_that_is_gone_leaves_the_page_as_it_was_read(
    registry: Registry, fake: FakeRegistry, asking: Access, on_disk: Make
) -> None:
    fake.push_image(APP, "1")
    tree = on_disk()
    done(registry)
    tree.root.rename(tree.root.parent / "unmounted")
    found = checked(asking, "1")
    assert isinstance(found.error, StorageError)
    assert (found.at, names(registry)) == (None, {APP})


def test_link_pushed_again_with_the_same_image_is_written_once(
    registry: Registry, fake: FakeRegistry, asking: Access, on_disk: Make
) -> None:
    fake.push_image(APP, "1")
    tree = on_disk()
    done(registry)
    link = tree.repository(APP) / "_manifests" / "tags" / "1" / "current" / "link"
    os.utime(link, (2_000_000_000, 2_000_000_000))
    checked(asking, "1")
    assert IndexedTag.objects.get().since.timestamp() == 2_000_000_000
    with CaptureQueriesContext(connection) as queries:
        checked(asking, "1")
    assert not [q for q in queries if not q["sql"].startswith("SELECT")]


@pytest.mark.django_db(transaction=True)
def test_page_does_not_wait_for_somebody_who_writes(registry: Registry, fake: FakeRegistry, asking: Access) -> None:
    """What is new is said to be unwritten, and is written at the next view."""
    old = fake.push_image(APP, "1", layers=(b"old",))
    done(registry)
    read_at = IndexedRepository.objects.get().read_at
    new = fake.push_image(APP, "1", layers=(b"new",))
    writing, tried = Event(), Event()

    def somebody() -> None:
        try:
            with transaction.atomic():
                list(IndexedRepository.objects.select_for_update())
                Content.objects.create(digest="d", raw=b"theirs")
                writing.set()
                tried.wait(20)
        finally:
            connection.close()

    other = Thread(target=somebody)
    other.start()
    assert writing.wait(10)
    began = time.monotonic()
    found = checked(asking, "1")
    waited = time.monotonic() - began
    tried.set()
    other.join()
    assert waited < 2
    assert (found.unwritten, found.as_of) == (True, read_at)
    assert tags_of(registry, APP) == {"1": old.digest}
    found = checked(asking, "1")
    assert (found.unwritten, tags_of(registry, APP)) == (False, {"1": new.digest})
    assert found.as_of is not None
    assert found.as_of <= timezone.now()
