"""Reading one tag, revision, manifest or blob from the disk, and what is raised where there is none."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dashboard.registry.references import Digest, RepositoryName, Tag
from dashboard.storage.errors import BlobMissing, LinkCorrupt, LinkMissing, NotAStorage, NotReadable
from dashboard.storage.reader import Reader
from tests.unit.storage.trees import Tree

APP = RepositoryName("team/app")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_tag_is_read_with_the_time_it_was_written(tree: Tree) -> None:
    digest = tree.image(APP, [])
    os.utime(tree.tag(APP, "v1", digest), (5, 1_700_000_000.5))
    tree.tag(APP, "v0", digest)
    (tree.repository(APP) / "_manifests/tags/.stray").write_text("x")

    read = Reader(tree.root)

    assert read.tags(APP) == ["v0", "v1"]
    link = read.tag(APP, Tag("v1"))
    assert (link.digest, link.written) == (digest, 1_700_000_000_500_000_000)


def test_a_tag_that_is_missing_corrupt_or_no_file(tree: Tree) -> None:
    link = tree.tag(APP, "v1", tree.image(APP, []))
    read = Reader(tree.root)

    with pytest.raises(LinkMissing):
        read.tag(APP, Tag("other"))
    for content in (b"", b"sha256:zz", b"x" * 2000):
        link.write_bytes(content)
        with pytest.raises(LinkCorrupt) as caught:
            read.tag(APP, Tag("v1"))
        assert caught.value.path == "repositories/team/app/_manifests/tags/v1/current/link"
    link.unlink()
    os.mkfifo(link)
    with pytest.raises(NotReadable):
        read.tag(APP, Tag("v1"))


def test_an_empty_link_is_read_once_more(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = tree.image(APP, [])
    link = tree.tag(APP, "v1", digest)
    link.write_text("")
    monkeypatch.setattr(time, "sleep", lambda _: link.write_text(digest))

    assert Reader(tree.root).tag(APP, Tag("v1")).digest == digest


def test_revisions_are_those_with_a_link_of_their_own_name(tree: Tree) -> None:
    held, deleted, wrong = (tree.image(APP, [], note=note) for note in ("held", "deleted", "wrong"))
    tree.delete(APP, deleted)
    tree.revision_path(APP, wrong).write_text(held)
    read = Reader(tree.root)

    assert read.revisions(APP) == [held]
    assert read.holds(APP, Digest(held))
    assert not read.holds(APP, Digest(deleted))
    assert not read.holds(RepositoryName("other"), Digest(held))
    assert read.revisions(RepositoryName("other")) == []


def test_manifest_bytes_and_blob_sizes(tree: Tree) -> None:
    digest, layer = Digest(tree.image(APP, [])), Digest(tree.blob("layer", 123))
    read = Reader(tree.root)

    assert read.manifest(digest) == tree.data_path(digest).read_bytes()
    assert read.blob_size(layer) == 123
    gone = Digest(f"sha256:{'0' * 64}")
    with pytest.raises(BlobMissing):
        read.manifest(gone)
    with pytest.raises(BlobMissing):
        read.blob_size(gone)
    with pytest.raises(NotReadable):
        read.manifest(Digest(tree.blob("too large", 4 * 1024 * 1024 + 1)))


def test_a_reader_of_no_storage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAStorage):
        Reader(tmp_path)
