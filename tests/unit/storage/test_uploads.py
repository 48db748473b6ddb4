"""Unfinished uploads on the disk: found as they are, judged, and only abandoned ones removed; nothing is followed."""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.registry.references import RepositoryName
from dashboard.storage import uploads
from dashboard.storage.errors import RootMissing
from dashboard.storage.uploads import Bounds, RemovalRefused, Upload
from tests.unit.storage.trees import Tree

APP = RepositoryName("team/app")
DAY = 86400.0
BOUNDS = Bounds(age=7 * DAY, leftover=3600)
ID = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A storage with one repository."""
    tree = Tree(tmp_path / "storage")
    tree.tag(APP, "1.0", tree.image(APP, [tree.blob("layer", 10)]))
    return tree


def make(tree: Tree, upload_id: str = ID, *, size: int = 5, days: float = 10, repository: str = APP) -> Path:
    """An upload that began, and was last written, so many days ago."""
    path = tree.upload(repository, upload_id, size)
    then = time.time() - days * DAY
    (path / "startedat").write_text(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(then)))
    (path / "hashstates" / "sha256").mkdir(parents=True)
    (path / "hashstates" / "sha256" / "0").write_bytes(b"state")
    age(path, days)
    return path


def age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    for each in [*path.rglob("*"), path]:
        os.utime(each, (then, then), follow_symlinks=False)


def find(tree: Tree, seconds: float = 60) -> uploads.Found:
    return uploads.find(tree.root, seconds=seconds)


def remove(tree: Tree, upload_id: str = ID, repository: str = APP) -> Upload:
    return uploads.remove(tree.root, RepositoryName(repository), upload_id, now=time.time(), bounds=BOUNDS)


def everything(tree: Tree) -> set[str]:
    return {str(path.relative_to(tree.v2)) for path in tree.v2.rglob("*")}


# Found


def test_each_is_found_with_its_times_and_bytes(tree: Tree) -> None:
    make(tree, size=5, days=10)
    make(tree, OTHER, size=7, days=1, repository="team/app/worker")
    found = find(tree)
    assert found.complete
    assert [(u.repository, u.id, u.bytes) for u in found.uploads] == [
        ("team/app", ID, 5), ("team/app/worker", OTHER, 7),
    ]  # fmt: skip
    assert found.uploads[0].started == pytest.approx(time.time() - 10 * DAY, abs=5)
    assert found.uploads[0].written == pytest.approx(time.time() - 10 * DAY, abs=5)


@pytest.mark.parametrize("part", ["data", "startedat", "hashstates", "hashstates/sha256", "hashstates/sha256/0", "."])
def test_what_was_written_last_counts_wherever_it_is(tree: Tree, part: str) -> None:
    os.utime(make(tree) / part)
    (found,) = find(tree).uploads
    assert found.written == pytest.approx(time.time(), abs=5)
    assert not uploads.is_abandoned(found, time.time(), BOUNDS)
    with pytest.raises(RemovalRefused, match="running"):
        remove(tree)


def test_one_that_was_cancelled_leaves_its_hash_states(tree: Tree) -> None:
    path = make(tree, days=0.5)
    (path / "startedat").unlink()
    (path / "data").unlink()
    age(path, 0.5)
    (found,) = find(tree).uploads
    assert (found.started, found.bytes) == (None, 0)
    assert uploads.is_abandoned(found, time.time(), BOUNDS)


def test_a_startedat_that_says_nothing_began_when_it_was_written(tree: Tree) -> None:
    path = make(tree)
    for text in (b"", b"soon", b"\xff" * 200, b"9999-99-99T00:00:00Z"):
        (path / "startedat").write_bytes(text)
        os.utime(path / "startedat", (5, 5))
        assert find(tree).uploads[0].started == 5


@given(
    started=st.none() | st.floats(-1e12, 1e12), written=st.floats(-1e12, 1e12), now=st.floats(0, 1e12),
)  # fmt: skip
def test_nothing_that_was_written_within_the_hour_is_abandoned(
    started: float | None, written: float, now: float
) -> None:
    upload = Upload("a", "b", started, written, 0)
    if uploads.is_abandoned(upload, now, BOUNDS):
        assert now - written > BOUNDS.leftover
        assert started is None or (now - started > BOUNDS.age and now - written > BOUNDS.age)


def test_hostile_trees_are_listed_and_bounded(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tree.repository(APP) / "_uploads"
    make(tree)
    outside = tmp_path / "outside"
    shutil.copytree(base / ID, outside)
    (base / OTHER).symlink_to(outside)
    (base / "file").write_text("x")
    os.mkfifo(base / "fifo")
    (base / "a\nb").mkdir()
    os.mkdir(os.fsencode(base) + b"/\xff\xfe")
    (base / ("x" * 255)).mkdir()
    (base / "..hidden").mkdir()
    odd = base / "33333333-3333-4333-8333-333333333333"
    odd.mkdir()
    os.mkfifo(odd / "startedat")
    (tree.v2 / "repositories" / "loop").symlink_to(tree.v2 / "repositories")
    (tree.v2 / "repositories" / "UPPER" / "_uploads" / ID).mkdir(parents=True)
    found = find(tree)
    assert [u.id for u in found.uploads] == ["..hidden", ID, "x" * 255]
    assert {name for _, name in found.foreign} == {odd.name, OTHER, "a\nb", "fifo", "file", "\\xff\\xfe"}
    assert {repository for repository, _ in found.foreign} == {APP}
    assert found.complete
    monkeypatch.setattr(uploads, "MAX_ENTRIES", 3)
    few = find(tree)
    assert len(few.uploads) + len(few.foreign) == 3
    assert not few.complete
    monkeypatch.setattr(uploads, "MAX_DIRECTORIES", 1)
    assert not find(tree).complete
    monkeypatch.undo()
    assert not find(tree, seconds=-1).complete


def test_what_cannot_be_read_is_said(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tree)

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(uploads, "open_below", refuse)
    found = find(tree)
    assert (found.uploads, found.complete) == ([], False)


def test_no_storage_is_no_empty_list(tmp_path: Path) -> None:
    with pytest.raises(RootMissing):
        uploads.find(tmp_path / "nowhere", seconds=1)


# Removed


def test_an_abandoned_one_goes_and_nothing_else(tree: Tree) -> None:
    make(tree, size=5)
    make(tree, OTHER, days=1)
    before = everything(tree)
    gone = remove(tree)
    assert (gone.id, gone.bytes) == (ID, 5)
    assert everything(tree) == {path for path in before if ID not in path}


@pytest.mark.parametrize("days", [0.0, 1.0, 6.9])
def test_a_young_one_stays(tree: Tree, days: float) -> None:
    make(tree, days=days)
    before = everything(tree)
    with pytest.raises(RemovalRefused, match="running"):
        remove(tree)
    assert everything(tree) == before


def test_one_that_began_long_ago_and_is_still_written_to_stays(tree: Tree) -> None:
    path = make(tree, days=30)
    with (path / "data").open("ab") as data:
        data.write(b"more")
    with pytest.raises(RemovalRefused, match="running"):
        remove(tree)
    assert (path / "data").read_bytes() == b"uuuuumore"


def test_what_is_written_to_in_between_is_put_back(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tree)
    before = everything(tree)
    rename = os.rename

    def written_to_meanwhile(source: str, target: str, **where: int) -> None:
        if source == ID:
            with (path / "data").open("ab") as data:
                data.write(b"late")
        rename(source, target, **where)

    monkeypatch.setattr(os, "rename", written_to_meanwhile)
    with pytest.raises(RemovalRefused, match="running"):
        remove(tree)
    assert everything(tree) == before
    assert (path / "data").read_bytes() == b"uuuuulate"


@pytest.mark.parametrize(
    "upload_id", ["", ".", "..", "../_layers", "a/b", "/etc", "a b", "\0", "x" * 256, "a\n", "44444444"]
)
def test_no_other_path_is_reached(tree: Tree, upload_id: str) -> None:
    make(tree)
    before = everything(tree)
    with pytest.raises(RemovalRefused, match="missing"):
        remove(tree, upload_id)
    with pytest.raises(RemovalRefused, match="missing"):
        remove(tree, repository="../../blobs")
    assert everything(tree) == before


@pytest.mark.parametrize("where", ["team", "team/app", "team/app/_uploads", f"team/app/_uploads/{ID}"])
def test_no_symlink_is_followed(tree: Tree, tmp_path: Path, where: str) -> None:
    make(tree)
    real = tmp_path / "real"
    path = tree.v2 / "repositories" / where
    path.rename(real)
    path.symlink_to(real)
    before = sorted(real.rglob("*"))
    with pytest.raises(RemovalRefused, match="symlink"):
        remove(tree)
    assert sorted(real.rglob("*")) == before


def test_symlinks_inside_go_without_what_they_lead_to(tree: Tree, tmp_path: Path) -> None:
    path = make(tree)
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("kept")
    (path / "hashstates" / "elsewhere").symlink_to(kept)
    age(path, 10)
    remove(tree)
    assert not path.exists()
    assert (kept / "file").read_text() == "kept"


def test_what_no_registry_made_is_left_alone(tree: Tree, tmp_path: Path) -> None:
    path = make(tree)
    (path / "data").unlink()
    (path / "data").symlink_to(tmp_path)
    age(path, 10)
    with pytest.raises(RemovalRefused, match="foreign"):
        remove(tree)
    assert (path / "data").is_symlink()


def test_a_read_only_mount_refuses(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tree)

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "rename", read_only)
    with pytest.raises(RemovalRefused, match="read-only"):
        remove(tree)
    assert path.is_dir()
