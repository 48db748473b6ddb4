"""A tree with everything at once that no registry writes: reported, bounded, and left as it was."""

from __future__ import annotations

import os
import resource
import socket
import stat
import time
from pathlib import Path

import pytest

from dashboard.storage import memory
from dashboard.storage.detail import Detail
from dashboard.storage.figures import Usage
from dashboard.storage.usage import account, take
from tests.unit.storage.trees import Tree

NOW = 1_900_000_000.0
GIBIBYTE = 2**30
APP = "repositories/team/app"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "storage")
    tree.tag("team/app", "v1", tree.image("team/app", [tree.blob("layer", 4096)], note="one"))
    return tree


def spoil(tree: Tree) -> list[tuple[str, str]]:
    """Adds every anomaly; returns the problems that must be named, each a code and a part of its path."""
    v2 = tree.v2
    tags, revisions = v2 / APP / "_manifests/tags", v2 / APP / "_manifests/revisions/sha256"
    expected: list[tuple[str, str]] = []

    (v2 / "repositories/circle").symlink_to(v2 / "repositories")
    (v2 / APP / "itself").symlink_to("itself")
    expected += [("symlink-loop", "repositories/circle"), ("symlink-broken", "team/app/itself")]

    os.mkfifo(v2 / "repositories/fifo")
    (tags / "fifo/current").mkdir(parents=True)
    os.mkfifo(tags / "fifo/current/link")
    expected += [("stray-file", "repositories/fifo"), ("not-a-file", "tags/fifo/current/link")]
    with socket.socket(socket.AF_UNIX) as server:
        before = os.getcwd()
        os.chdir(revisions)  # the name of a socket is short
        try:
            (revisions / ("5" * 64)).mkdir()
            server.bind(f"{'5' * 64}/link")
        finally:
            os.chdir(before)
    expected += [("not-a-file", f"{'5' * 64}/link")]

    (v2 / "repositories" / ("n" * 255)).mkdir()
    tree.tag("n" * 255, "v", tree.image("n" * 255, [tree.blob("of a long name", 10)], note="long"))
    (tags / ("t" * 255)).mkdir()
    expected += [("tag-name", "t" * 255)]

    odd = os.fsencode(v2 / "repositories") + b"/\xff\xfe"
    os.makedirs(odd + b"/_manifests/tags/\xfd")
    os.makedirs(os.fsencode(tags) + b"/\xfc")
    expected += [("repository-name", "\\xff\\xfe"), ("tag-name", "\\xfc")]

    (v2 / "blobs/sha256/ab" / f"ab{'0' * 62}").mkdir(parents=True)
    expected += [("blob-without-data", f"ab{'0' * 62}")]

    digest = (tags / "v1/current/link").read_text()
    tree.write(tags / "newline/current/link", f"\n{digest}\n\n".encode())  # white space is tolerated
    tree.write(tags / "lines/current/link", f"{digest}\n{digest}".encode())
    expected += [("link-corrupt", "tags/lines/current/link")]

    for path in (tags / "huge/current/link", revisions / ("6" * 64) / "link", v2 / APP / "_uploads/huge/startedat"):
        tree.write(path, b"")
        os.truncate(path, GIBIBYTE)
    manifest = tree.hold_bytes("team/app", GIBIBYTE)
    expected += [("link-corrupt", "tags/huge/current/link"), ("link-corrupt", f"{'6' * 64}/link")]
    expected += [("manifest-too-large", manifest.partition(":")[2])]

    (tags / "device/current").mkdir(parents=True)
    (tags / "device/current/link").symlink_to("/dev/zero")
    expected += [("not-a-file", "tags/device/current/link")]
    return expected


def look(tree: Tree) -> Usage:
    reading = take(tree.root, now=NOW, full=True)
    detail = Detail(reading)
    assert [tags for _, tags in detail.tags()]
    detail.largest()
    detail.partners()
    detail.uploads(now=NOW)
    return account(reading)


def snapshot(root: Path) -> dict[bytes, tuple[int, int, int]]:
    found = {}
    for directory, names, files in os.walk(os.fsencode(root)):
        for name in (*names, *files):
            info = os.lstat(os.path.join(directory, name))
            found[os.path.join(directory, name)] = (stat.S_IFMT(info.st_mode), info.st_size, info.st_mtime_ns)
    return found


def test_everything_at_once_is_reported_bounded_and_unharmed(tree: Tree, tmp_path: Path) -> None:
    whole = look(tree)
    expected = spoil(tree)
    before, started = snapshot(tree.root), time.monotonic()
    memory_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    usage = look(tree)

    assert time.monotonic() - started < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_before < 100 * 1024, "KiB"
    assert snapshot(tree.root) == before
    problems = [(problem.code, problem.path) for problem in usage.problems]
    for code, part in expected:
        assert any(code == found and part in path for found, path in problems), (code, part, problems)
    parts = usage.tagged.bytes + usage.untagged.bytes + usage.orphans.bytes + usage.uploads.bytes
    assert parts == tree.data_bytes()
    assert {row.name for row in usage.by_repository} == {"team/app", "n" * 255}
    assert usage.tags == 3, "v1, the one with white space, and that of the long name"
    (app,) = [row for row in usage.by_repository if row.name == "team/app"]
    (app_before,) = whole.by_repository
    assert app.tagged_bytes == app_before.tagged_bytes
    reading = take(tree.root, now=NOW)
    memory.save(tmp_path / "memory", reading.facts)
    assert take(tree.root, now=NOW, remembered=memory.load(tmp_path / "memory")).facts == reading.facts
