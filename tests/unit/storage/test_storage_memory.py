"""Manifests are read once and remembered: a second scan says the same and opens none of them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.storage import memory, units
from dashboard.storage.usage import account, take
from tests.unit.storage.trees import Tree

NOW = 1_900_000_000.0


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "storage")
    one = tree.image("team/app", [tree.blob("layer", 4096)], note="one")
    two = tree.image("team/app", [tree.blob("layer", 4096), tree.blob("other", 512)], note="two")
    tree.tag("team/app", "v1", one)
    tree.tag("team/app", "all", tree.index("team/app", [one, two]))
    tree.tag("team/app", "sig", tree.image("team/app", [], subject=two, note="signature"))
    return tree


def test_a_remembered_scan_says_the_same_and_reads_no_manifest(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = take(tree.root, now=NOW)
    memory.save(tmp_path / "memory", first.facts)
    remembered = memory.load(tmp_path / "memory")
    assert set(remembered) == set(first.facts.manifests)
    opened: list[str] = []

    def counting(v2: str, digest: str, problems: list[units.FoundProblem]) -> None:
        opened.append(digest)

    monkeypatch.setattr(units, "_read_manifest", counting)
    second = take(tree.root, now=NOW, remembered=remembered)

    assert opened == []
    assert second.facts == first.facts
    assert replace(account(second), seconds=0) == replace(account(first), seconds=0)


def test_new_manifests_are_read_and_those_whose_blob_is_gone_are_missed(tree: Tree, tmp_path: Path) -> None:
    first = take(tree.root, now=NOW)
    memory.save(tmp_path / "memory", first.facts)
    new = tree.image("team/app", [tree.blob("third", 77)], note="new")
    gone = first.facts.repositories[0].tags["v1"]
    tree.data_path(gone).unlink()
    tree.data_path(gone).parent.rmdir()

    usage = take(tree.root, now=NOW, remembered=memory.load(tmp_path / "memory"))

    assert usage.facts == take(tree.root, now=NOW).facts
    assert new in usage.facts.manifests
    assert "manifest-missing" in {problem.code for problem in usage.facts.problems}


def test_a_memory_that_is_not_whole_or_not_ours_is_no_memory(tree: Tree, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "memory"
    memory.save(path, take(tree.root, now=NOW).facts)
    whole = path.read_bytes()
    assert os.stat(path).st_mode & 0o777 == 0o600
    for broken in (b"", whole[:-1], whole[:20], b"x" + whole[1:], whole[:-1] + b"!"):
        path.write_bytes(broken)
        assert memory.load(path) == {}
    assert memory.load(tmp_path / "none") == {}
    assert memory.load(tmp_path) == {}
