"""Removing an emptied repository's directories: nothing else goes, no link is followed, nothing that is in use."""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path

import pytest

from dashboard.registry.references import RepositoryName
from dashboard.storage import removal
from dashboard.storage.removal import RemovalRefused
from tests.unit.storage.trees import Tree

NAME = RepositoryName("team/app")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A storage with an emptied repository: its directories, no link."""
    tree = Tree(tmp_path / "storage")
    base = tree.repository(NAME)
    for name in ("_manifests/tags", "_manifests/revisions/sha256/abc", "_layers/sha256/def", "_uploads"):
        (base / name).mkdir(parents=True)
    (base / "_layers" / "sha256" / "def" / "link").write_text("sha256:def")
    return tree


def remove(tree: Tree, name: str = NAME, *, later: float = 0.0) -> removal.Removed:
    return removal.remove(
        tree.root, RepositoryName(name), now=time.time() + later, in_flight_seconds=3600, settle_seconds=0
    )


def everything(tree: Tree) -> set[str]:
    """All paths below the repositories."""
    base = tree.v2 / "repositories"
    return {str(path.relative_to(base)) for path in base.rglob("*")}


def test_its_own_directories_go_and_the_empty_ones_above(tree: Tree) -> None:
    assert remove(tree) == removal.Removed(("_manifests", "_layers", "_uploads"), whole=True)
    assert everything(tree) == set()
    assert (tree.v2 / "repositories").is_dir()


def test_what_is_nested_or_beside_it_stays(tree: Tree) -> None:
    tree.image("team/app/worker", [tree.blob("layer", 3)], note="worker")
    tree.image("team/web", [tree.blob("layer", 3)], note="web")
    (tree.repository(NAME) / "notes.txt").write_text("somebody's")
    before = {path for path in everything(tree) if path.startswith(("team/app/worker", "team/web"))}
    assert remove(tree).whole is False
    assert {path for path in everything(tree) if path.startswith(("team/app/worker", "team/web"))} == before
    assert sorted(os.listdir(tree.repository(NAME))) == ["notes.txt", "worker"]


@pytest.mark.parametrize(
    "where", ["_manifests/tags/1.0/current", "_manifests/tags/index/current", "_manifests/revisions/sha256/abc"]
)
def test_a_tag_or_revision_with_its_link_stops_it(tree: Tree, where: str) -> None:
    link = tree.repository(NAME) / where / "link"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.write_text("sha256:abc")
    before = everything(tree)
    with pytest.raises(RemovalRefused, match="in-use"):
        remove(tree)
    assert everything(tree) == before


def test_the_history_of_a_tag_stops_nothing(tree: Tree) -> None:
    old = tree.repository(NAME) / "_manifests" / "tags" / "1.0" / "index" / "sha256" / "abc" / "link"
    old.parent.mkdir(parents=True)
    old.write_text("sha256:abc")
    assert remove(tree).whole


def test_an_upload_that_may_be_going_on_stops_it_until_it_is_old(tree: Tree) -> None:
    upload = tree.repository(NAME) / "_uploads" / "some-id"
    upload.mkdir()
    (upload / "data").write_bytes(b"part")
    with pytest.raises(RemovalRefused, match="upload"):
        remove(tree)
    assert (upload / "data").is_file()
    assert remove(tree, later=3700).whole


@pytest.mark.parametrize("name", ["_manifests", "_layers", "_uploads"])
def test_a_link_in_the_place_of_a_directory_is_not_followed(tree: Tree, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "precious").mkdir(parents=True)
    own = tree.repository(NAME) / name
    os.rename(own, tmp_path / "away")
    own.symlink_to(elsewhere)
    with pytest.raises(RemovalRefused, match="symlink"):
        remove(tree)
    assert (elsewhere / "precious").is_dir()
    assert own.is_symlink()


@pytest.mark.parametrize("depth", ["team", "team/app"])
def test_a_link_on_the_way_is_not_followed(tree: Tree, tmp_path: Path, depth: str) -> None:
    real = tmp_path / "real"
    os.rename(tree.repository(depth), real)
    tree.repository(depth).symlink_to(real)
    with pytest.raises(RemovalRefused, match="symlink"):
        remove(tree)
    assert any(real.rglob("_layers"))


def test_a_link_inside_is_removed_and_not_what_it_leads_to(tree: Tree, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (tree.repository(NAME) / "_layers" / "sha256" / "odd").symlink_to(precious)
    assert remove(tree).whole
    assert precious.is_dir()


def test_a_file_in_the_place_of_a_directory_is_foreign(tree: Tree) -> None:
    uploads = tree.repository(NAME) / "_uploads"
    uploads.rmdir()
    uploads.write_text("a file")
    with pytest.raises(RemovalRefused, match="foreign"):
        remove(tree)


@pytest.mark.parametrize("name", ["team", "team/other", "nobody/here"])
def test_what_is_no_repository_is_missing(tree: Tree, name: str) -> None:
    before = everything(tree)
    with pytest.raises(RemovalRefused, match="missing"):
        remove(tree, name)
    assert everything(tree) == before


def test_what_is_pushed_in_between_is_put_back(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tree.repository(NAME) / "_manifests" / "tags" / "new" / "current" / "link"
    refuse, calls = removal._refuse_links, []

    def pushed(directory: int, present: list[str]) -> None:
        refuse(directory, present)
        calls.append(present)
        if len(calls) == 1:
            link.parent.mkdir(parents=True)
            link.write_text("sha256:abc")

    monkeypatch.setattr(removal, "_refuse_links", pushed)
    with pytest.raises(RemovalRefused, match="in-use"):
        remove(tree)
    assert link.is_file()
    assert sorted(os.listdir(tree.repository(NAME))) == ["_layers", "_manifests", "_uploads"]


@pytest.mark.parametrize("where", ["_manifests/tags", "_manifests/revisions/sha256/abc"])
def test_links_are_not_looked_for_behind_a_symlink_so_it_stops_it(tree: Tree, tmp_path: Path, where: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "1.0" / "current").mkdir(parents=True)
    (elsewhere / "1.0" / "current" / "link").write_text("sha256:abc")
    (tree.repository(NAME) / where).rmdir()
    (tree.repository(NAME) / where).symlink_to(elsewhere)
    before = everything(tree)
    with pytest.raises(RemovalRefused, match="symlink"):
        remove(tree)
    assert everything(tree) == before


def test_a_push_that_ends_while_it_goes_is_whole_afterwards(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its layers were found before they were renamed, its links are written after: both must be there in the end."""
    base = tree.repository(NAME)

    def pushed(_seconds: float) -> None:
        assert sorted(os.listdir(base)) != ["_layers", "_manifests", "_uploads"], "renamed by now"
        for link in ("_manifests/revisions/sha256/new", "_manifests/tags/2.0/current", "_layers/sha256/new"):
            (base / link).mkdir(parents=True)
            (base / link / "link").write_text("sha256:new")

    monkeypatch.setattr(time, "sleep", pushed)
    with pytest.raises(RemovalRefused, match="in-use"):
        remove(tree)
    assert sorted(os.listdir(base)) == ["_layers", "_manifests", "_uploads"]
    assert (base / "_manifests/tags/2.0/current/link").read_text() == "sha256:new"
    assert {path.name for path in (base / "_layers/sha256").iterdir()} == {"def", "new"}, "what it had found, too"
    assert (base / "_manifests/revisions/sha256/abc").is_dir()


def test_a_newer_link_is_not_overwritten_when_things_are_put_back(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tree.repository(NAME)
    (base / "_manifests/revisions/sha256/abc/note").write_text("old")

    def pushed(_seconds: float) -> None:
        (base / "_manifests/revisions/sha256/abc").mkdir(parents=True)
        for name in ("link", "note"):
            (base / "_manifests/revisions/sha256/abc" / name).write_text("new")

    monkeypatch.setattr(time, "sleep", pushed)
    with pytest.raises(RemovalRefused, match="in-use"):
        remove(tree)
    assert (base / "_manifests/revisions/sha256/abc/note").read_text() == "new"
    assert sorted(os.listdir(base)) == ["_layers", "_manifests", "_uploads"], "nothing is left of the renaming"


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_storage_that_cannot_be_written_is_as_it_was(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    before, rename, calls = everything(tree), os.rename, []

    def read_only(source: str, target: str, **descriptors: int) -> None:
        calls.append(source)
        if len(calls) == failing:
            raise OSError(errno.EROFS, "Read-only file system")
        rename(source, target, **descriptors)

    monkeypatch.setattr(os, "rename", read_only)
    with pytest.raises(RemovalRefused, match="read-only"):
        remove(tree)
    assert everything(tree) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_of_somebody_else_is_as_it_was(tree: Tree) -> None:
    base, before = tree.repository(NAME), everything(tree)
    base.chmod(0o500)
    try:
        assert not removal.is_writable(tree.root, NAME)
        with pytest.raises(RemovalRefused, match="read-only"):
            remove(tree)
    finally:
        base.chmod(0o700)
    assert everything(tree) == before


def test_what_cannot_be_cleared_is_named_and_no_registry_sees_it(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(name: str, *, dir_fd: int) -> None:
        raise OSError(errno.EACCES, name)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", stuck)
        removed = remove(tree)
    assert removed.whole is False
    assert sorted(os.listdir(tree.repository(NAME))) == sorted(removed.left)
    assert all(name.startswith("_removed-") for name in removed.left)
    (tree.repository(NAME) / "_layers").mkdir()
    assert remove(tree).whole, "the next removal takes along what one before had left"


def test_a_file_on_the_way_is_foreign(tree: Tree) -> None:
    (tree.v2 / "repositories" / "file").write_text("a file")
    with pytest.raises(RemovalRefused, match="foreign"):
        remove(tree, "file/app")
