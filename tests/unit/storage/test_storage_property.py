"""For any storage: the parts sum to the disk, and the accounting agrees with a slow, literal reading of the words."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.storage.detail import Detail
from dashboard.storage.usage import Amount, account, take
from tests.unit.storage.accounting import World, assert_agrees
from tests.unit.storage.trees import Tree

NOW = 1_900_000_000.0
REPOSITORIES = ("a", "a/b", "a/b/c", "d")


@dataclass(frozen=True)
class Pushed:
    """One manifest to push: layers by number, children and subject by the number of an earlier one."""

    repository: int
    layers: tuple[int, ...] = ()
    children: tuple[int, ...] = ()
    subject: int | None = None
    also_in: int | None = None
    deleted: bool = False
    tags: tuple[str, ...] = ()


small = st.integers(0, 6)
pushes = st.lists(
    st.builds(
        Pushed,
        repository=st.integers(0, 3),
        layers=st.lists(small, max_size=3).map(tuple),
        children=st.lists(small, max_size=3).map(tuple),
        subject=st.none() | small,
        also_in=st.none() | st.integers(0, 3),
        deleted=st.booleans(),
        tags=st.lists(st.sampled_from(["v1", "v2", "latest"]), max_size=2).map(tuple),
    ),
    max_size=10,
)


@settings(max_examples=80, deadline=None)
@given(
    pushes=pushes,
    sizes=st.lists(st.integers(0, 5000), min_size=7, max_size=7),
    uploads=st.lists(st.integers(0, 300), max_size=3),
    litter=st.lists(
        st.sampled_from(["blobs/sha256/xx", "blobs/sha256/ab/cd/data", "repositories/a/file"]), unique=True
    ),
)
def test_parts_sum_to_the_disk_and_agree_with_the_words(
    pushes: list[Pushed], sizes: list[int], uploads: list[int], litter: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        tree = Tree(Path(directory))
        world = build(tree, pushes, sizes)
        for number, size in enumerate(uploads):
            tree.upload(REPOSITORIES[number], f"{number:02x}", size)
        stored = tree.data_bytes()
        for path in litter:
            tree.write(tree.v2 / path, b"litter")

        reading = take(tree.root, now=NOW)
        usage, detail = account(reading), Detail(reading)

        assert usage.tagged.bytes + usage.untagged.bytes + usage.orphans.bytes + usage.uploads.bytes == stored
        assert usage.uploads == Amount(len(uploads), sum(uploads))
        assert len(litter) == sum(problem.code in ("stray-file", "blob-name") for problem in usage.problems)

        assert_agrees(world, tree.v2, usage, detail)


def build(tree: Tree, pushes: list[Pushed], sizes: list[int]) -> World:
    world = World(revisions={name: set() for name in REPOSITORIES})
    layers = [tree.blob(f"layer {number}", size) for number, size in enumerate(sizes)]
    digests: list[str] = []
    deleted: list[tuple[str, str]] = []
    for number, push in enumerate(pushes):
        name = REPOSITORIES[push.repository]
        content = {layers[i] for i in push.layers}
        children = {digests[i] for i in push.children if i < len(digests)}
        subject = digests[push.subject] if push.subject is not None and push.subject < len(digests) else ""
        if children:
            content = set()
            digest = tree.index(name, sorted(children), subject=subject, note=str(number))
        else:
            digest = tree.image(name, sorted(content), config=layers[0], subject=subject, note=str(number))
            content |= {layers[0]}
        digests.append(digest)
        world.content[digest], world.children[digest] = content, children
        if subject:
            world.subject[digest] = subject
        world.revisions[name].add(digest)
        if push.also_in is not None:
            tree.hold(REPOSITORIES[push.also_in], digest)
            world.revisions[REPOSITORIES[push.also_in]].add(digest)
        for tag in push.tags:
            tree.tag(name, tag, digest)
            world.tags[name, tag] = digest
        if push.deleted:
            deleted.append((name, digest))
    for name, digest in deleted:
        tree.revision_path(name, digest).unlink()  # the tags stay, and point nowhere
        world.revisions[name].discard(digest)
    return world
