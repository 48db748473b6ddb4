"""Refreshes from storages that are half copied, broken, foreign, or disagree with our clock."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from django.utils import timezone

from dashboard.models import (
    Content,
    IndexedManifest,
    IndexedRepository,
    IndexedRevision,
    IndexedTag,
    Registry,
    TagPeriod,
)
from dashboard.registry.references import RepositoryName, Tag
from dashboard.storage.reader import Reader
from tests.fake_registry import FakeRegistry
from tests.unit.index.support import (
    done,
    history_of,
    index_of,
    names,
    notices,
    read_from,
    refreshed,
    tags_of,
    write_out,
)
from tests.unit.storage.trees import Tree


@pytest.fixture
def version() -> str:
    """One version: the storage alone is read."""
    return "3.1"


@pytest.fixture
def tree(registry: Registry, fake: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """The storage of a registry with two repositories, read in place of its API."""
    fake.push_image("team/app", "1", layers=(b"app", b"1"))
    fake.push_image("team/app", "2", layers=(b"app", b"2"))
    fake.push_image("other", "1", layers=(b"other",))
    tree = write_out(fake, tmp_path / "storage")
    read_from(tree, registry, monkeypatch)
    return tree


def test_storage_that_may_not_be_written_is_read(registry: Registry, tree: Tree) -> None:
    """Nothing of ours is written there: every file and directory is as it was."""
    for path in [tree.root, *tree.root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in tree.root.rglob("*")}
    done(registry)
    assert names(registry) == {"team/app", "other"}
    assert {path: path.stat().st_mtime_ns for path in tree.root.rglob("*")} == before
    for path in [tree.root, *tree.root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_half_copied_storage_says_what_is_missing_and_is_completed_later(
    registry: Registry, fake: FakeRegistry, tree: Tree
) -> None:
    """Links come before blobs, tags before revisions: each tag says what it lacks until that is there."""
    one, two = (fake.tags("team/app")[tag] for tag in ("1", "2"))
    moved = {path: path.read_bytes() for path in (tree.data_path(one), tree.revision_path("team/app", two))}
    for path in moved:
        path.unlink()
    done(registry)
    rows = {row.name: row for row in IndexedTag.objects.filter(repository__name="team/app")}
    assert {name: (row.digest, row.error_code) for name, row in rows.items()} == {
        "1": (one, "storage-blob-missing"),
        "2": (two, "manifest-unknown"),
    }
    for path, content in moved.items():
        tree.write(path, content)
    done(registry)
    assert set(IndexedTag.objects.values_list("error_code", flat=True)) == {""}
    assert IndexedTag.objects.get(repository__name="other").platforms == "linux/amd64"


def test_what_a_repository_does_not_hold_is_not_shown_as_its_own(
    registry: Registry, fake: FakeRegistry, tree: Tree
) -> None:
    """A link is a text file: one that names a manifest of another repository gives nobody access to it."""
    elsewhere = fake.tags("other")["1"]
    tree.tag("team/app", "stolen", elsewhere)
    done(registry)
    tag = IndexedTag.objects.get(name="stolen")
    assert (tag.manifest, tag.platforms, tag.error_code) == (None, "", "manifest-unknown")
    assert not IndexedRevision.objects.filter(repository__name="team/app", manifest__digest=elsewhere).exists()


def test_broken_links_and_foreign_files_hide_nothing_else(registry: Registry, tree: Tree) -> None:
    tags = tree.repository("team/app") / "_manifests" / "tags"
    tree.write(tags / "corrupt" / "current" / "link", b"no digest")
    (tags / "no link").mkdir()
    (tags / "empty").mkdir()
    (tags / ".DS_Store").write_bytes(b"x")
    (tags / "file").write_bytes(b"x")
    (tags / "loop" / "current").mkdir(parents=True)
    (tags / "loop" / "current" / "link").symlink_to("link")
    (tree.v2 / "repositories" / "loop").symlink_to("loop")
    (tree.v2 / "repositories" / "team" / "loop").symlink_to("loop")
    (tree.v2 / "repositories" / "team" / "up").symlink_to("..")
    (tree.v2 / "repositories" / "gone").symlink_to("/nowhere")
    (tree.v2 / "repositories" / "lost+found").mkdir()
    (tree.v2 / "repositories" / "README").write_bytes(b"x")
    os.makedirs(os.fsencode(tree.v2 / "repositories") + b"/\xff/_manifests")
    done(registry)
    assert names(registry) == {"team/app", "other"}
    errors = dict(IndexedTag.objects.exclude(error_code="").values_list("name", "error_code"))
    assert errors == {"corrupt": "storage-link-corrupt", "loop": "storage-not-readable"}
    assert tags_of(registry, "team/app").keys() == {"1", "2", "corrupt", "loop"}
    assert done(registry).outcome["changed"] == 0


def test_wrong_bytes_under_a_digest_are_never_kept(registry: Registry, fake: FakeRegistry, tree: Tree) -> None:
    digest = fake.tags("other")["1"]
    tree.write(tree.data_path(digest), fake.state.blobs[fake.tags("team/app")["1"]])
    done(registry)
    tag = IndexedTag.objects.get(repository__name="other")
    assert (tag.digest, tag.manifest, tag.error_code) == (digest, None, "digest-mismatch")
    assert not IndexedManifest.objects.filter(digest=digest).exists()
    assert not Content.objects.filter(digest=digest).exists()
    for row in Content.objects.all():
        assert row.digest == f"sha256:{hashlib.sha256(bytes(row.raw)).hexdigest()}"


def test_wrong_bytes_of_a_config_are_not_believed(registry: Registry, fake: FakeRegistry, tree: Tree) -> None:
    image = fake.push_image("other", "1", layers=(b"other",))
    assert image.config is not None
    tree.write(tree.data_path(image.config), b'{"os": "windows", "architecture": "amd64"}')
    done(registry)
    tag = IndexedTag.objects.get(repository__name="other")
    assert (tag.error_code, tag.platforms) == ("", "")
    assert not Content.objects.filter(digest=image.config).exists()


def test_storage_that_is_gone_takes_nothing_with_it(registry: Registry, tree: Tree) -> None:
    done(registry)
    before = index_of(registry)
    shutil.rmtree(tree.root)
    job = refreshed(registry)
    assert (job.state, job.outcome_code, index_of(registry)) == ("failed", "storage-root-missing", before)


def test_repository_that_cannot_be_looked_at_is_not_gone(registry: Registry, tree: Tree) -> None:
    """An input/output error is no absence: the repository stays, and the notice names it."""
    done(registry)
    manifests = tree.repository("other") / "_manifests"
    manifests.rename(tree.root / "kept")
    manifests.symlink_to("_manifests")
    done(registry)
    assert names(registry) == {"team/app", "other"}
    assert notices(registry) == [
        {"code": "repository-not-read", "repository": "other", "error": "storage-not-readable"}
    ]
    assert TagPeriod.objects.get(repository="other").ended_at is None


@pytest.mark.parametrize("hours", [48, -48])
def test_clocks_that_disagree(registry: Registry, fake: FakeRegistry, tree: Tree, hours: int) -> None:
    """Links of the storage say tomorrow, or the day before yesterday: tags follow, and periods never overlap."""

    def push(tag: str, minutes: float) -> str:
        digest = fake.push_image("other", layers=(f"{minutes}".encode(),)).digest
        for path in (tree.data_path(digest), tree.revision_path("other", digest)):
            tree.write(path, fake.state.blobs[digest] if path.name == "data" else digest.encode())
        config = fake.push_image("other", layers=(f"{minutes}".encode(),)).config
        assert config is not None
        tree.write(tree.data_path(config), fake.state.blobs[config])
        link = tree.tag("other", tag, digest)
        when = (timezone.now() + dt.timedelta(hours=hours, minutes=minutes)).timestamp()
        os.utime(link, (when, when))
        return digest

    digests = [push("moving", 0)]
    done(registry)
    for minutes in (-30, 30):
        digests.append(push("moving", minutes))
        done(registry)
    tag = IndexedTag.objects.get(name="moving")
    assert tag.digest == digests[-1]
    link = tree.repository("other") / "_manifests" / "tags" / "moving" / "current" / "link"
    assert abs(tag.since.timestamp() - link.stat().st_mtime) < 0.001, "as the storage says, whatever our clock does"
    periods = list(TagPeriod.objects.filter(tag="moving").order_by("pk"))
    assert [period.digest for period in periods] == digests
    for earlier, later in pairwise(periods):
        assert earlier.began_at <= (earlier.ended_at or later.began_at) <= later.began_at
    assert history_of("other", "moving")[-1] == (digests[-1], True)


def test_the_same_image_pushed_again_has_a_new_time_and_the_old_period(registry: Registry, tree: Tree) -> None:
    done(registry)
    link = tree.repository("other") / "_manifests" / "tags" / "1" / "current" / "link"
    os.utime(link, (2_000_000_000, 2_000_000_000))
    done(registry)
    assert IndexedTag.objects.get(repository__name="other").since.timestamp() == 2_000_000_000
    assert (
        IndexedRepository.objects.get(name="other").pushed_at == IndexedTag.objects.get(repository__name="other").since
    )
    assert len(history_of("other", "1")) == 1


def test_written_tells_what_is_there_from_what_cannot_be_looked_at(tree: Tree) -> None:
    tags = tree.repository("other") / "_manifests" / "tags"
    (tags / "loop" / "current").mkdir(parents=True)
    (tags / "loop" / "current" / "link").symlink_to("link")
    reader = Reader(tree.root)
    found = reader.written(RepositoryName("other"), [Tag("1"), Tag("loop"), Tag("absent")])
    assert found.keys() == {"1", "loop"}
    assert found["loop"] == 0
    assert found["1"] == reader.tag(RepositoryName("other"), Tag("1")).written
    assert reader.written(RepositoryName("nowhere"), [Tag("1")]) == {}
