"""Details of an accounting: tags, partners, largest blobs, uploads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dashboard.storage import detail as details
from dashboard.storage.detail import Detail, Partner, TagUsage
from dashboard.storage.figures import Amount
from dashboard.storage.usage import take
from tests.unit.storage.trees import Tree

NOW = 1_900_000_000.0


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "storage")


def tags_of(tree: Tree, repository: str) -> dict[str, TagUsage]:
    found = dict(Detail(take(tree.root, now=NOW)).tags())
    return {tag.tag: tag for tag in found[repository]}


def test_a_tag_has_to_itself_what_no_other_tag_revision_or_repository_reaches(tree: Tree) -> None:
    base, own, elsewhere = tree.blob("base", 1000), tree.blob("own", 200), tree.blob("elsewhere", 30)
    config = tree.blob("config", 2)
    one = tree.image("app", [base, own, elsewhere], config=config, note="one")
    two = tree.image("app", [base], config=config, note="two")
    tree.tag("app", "one", one)
    tree.tag("app", "two", two)
    tree.tag("web", "x", tree.image("web", [elsewhere], note="web"))

    tags = tags_of(tree, "app")

    manifest = tree.size_of(one)
    assert tags["one"] == TagUsage("one", 1000 + 200 + 30 + 2 + manifest, 200 + manifest)
    assert tags["two"] == TagUsage("two", 1000 + 2 + tree.size_of(two), tree.size_of(two))


def test_aliases_have_nothing_to_themselves_and_neither_has_what_an_untagged_revision_reaches(tree: Tree) -> None:
    layer = tree.blob("layer", 500)
    image = tree.image("app", [layer], note="image")
    tree.tag("app", "a", image)
    tree.tag("app", "b", image)
    kept = tree.image("app", [tree.blob("kept", 40)], note="kept")
    tree.tag("app", "kept", kept)
    untagged = tree.image("app", [tree.blob("kept", 40)], note="untagged")

    tags = tags_of(tree, "app")

    assert tags["a"].exclusive_bytes == tags["b"].exclusive_bytes == 0
    assert tags["a"].bytes == 500 + 2 + tree.size_of(image)
    assert tags["kept"].exclusive_bytes == tree.size_of(kept) + 2
    assert untagged not in tags


def test_an_index_and_what_is_attached_to_it_belong_to_the_tag(tree: Tree) -> None:
    child = tree.image("app", [tree.blob("layer", 100)], note="child")
    index = tree.index("app", [child])
    signature = tree.image("app", [tree.blob("signed", 7)], subject=index, note="signature")
    tree.tag("app", "v", index)

    (tag,) = tags_of(tree, "app").values()

    whole = 100 + 2 + 7 + 2 + sum(map(tree.size_of, (child, index, signature)))
    assert (tag.bytes, tag.exclusive_bytes) == (whole, whole)


def test_partners_are_those_that_reach_the_same_blobs_and_a_base_of_everybody_tells_nothing(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, triple = tree.blob("pair", 1000), tree.blob("triple", 10)
    config = tree.blob("config", 1)
    for name, layers in {"a": [pair, triple], "b": [pair, triple], "c": [triple]}.items():
        tree.tag(name, "v", tree.image(name, layers, config=config, note=name))

    assert Detail(take(tree.root, now=NOW)).partners() == {
        "a": ([Partner("b", 1011), Partner("c", 11)], 0),
        "b": ([Partner("a", 1011), Partner("c", 11)], 0),
        "c": ([Partner("a", 11), Partner("b", 11)], 0),
    }
    monkeypatch.setattr(details, "MAX_PARTNERS", 1)
    assert Detail(take(tree.root, now=NOW)).partners()["a"] == ([Partner("b", 1011)], 1)
    monkeypatch.setattr(details, "_WIDELY_SHARED", 2)
    assert set(Detail(take(tree.root, now=NOW)).partners()) == {"a", "b"}


def test_the_largest_blobs_say_who_holds_them(tree: Tree) -> None:
    big, lost, orphan = tree.blob("big", 9000), tree.blob("lost", 8000), tree.blob("orphan", 7000)
    image = tree.image("app", [big], note="image")
    tree.tag("app", "a", image)
    tree.tag("app", "b", image)
    tree.tag("web", "c", tree.image("web", [big], note="web"))
    tree.image("app", [lost], note="lost")

    first, second, third = Detail(take(tree.root, now=NOW)).largest()[:3]

    assert (first.digest, first.bytes, first.kind) == (big, 9000, "tagged")
    assert (first.repositories, first.repository_count, first.tag_count) == (("app", "web"), 2, 3)
    assert (second.digest, second.kind, second.repositories, second.tag_count) == (lost, "untagged", ("app",), 0)
    assert (third.digest, third.kind, third.repositories) == (orphan, "orphan", ())


def test_uploads_are_old_after_a_week_by_when_they_began(tree: Tree) -> None:
    for name, days, size in (("new", 1, 5), ("old", 8, 70), ("oldest", 30, 900)):
        upload = tree.upload("app", name, size)
        os.utime(upload / "startedat", (NOW - days * 86400,) * 2)

    uploads = Detail(take(tree.root, now=NOW)).uploads(now=NOW)

    assert uploads.old == Amount(2, 970)
    assert uploads.oldest == pytest.approx(NOW - 30 * 86400)
