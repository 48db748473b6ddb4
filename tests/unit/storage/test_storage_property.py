"""For any storage: the parts sum to the disk, and the accounting agrees with a slow, literal reading of the words."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.storage.usage import Amount, measure
from tests.unit.storage.trees import Tree

NOW = 1_900_000_000.0
REPOSITORIES = ("a", "a/b", "c")


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


@dataclass
class World:
    """What the tree should hold, kept as plain sets."""

    names: set[str] = field(default_factory=set)
    revisions: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in REPOSITORIES})
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    content: dict[str, set[str]] = field(default_factory=dict)
    children: dict[str, set[str]] = field(default_factory=dict)
    subject: dict[str, str] = field(default_factory=dict)

    def reaches(self, repository: str, revision: str) -> set[str]:
        """By the definition, word for word."""
        found = {revision} | self.content[revision] | self.children[revision]
        for child in self.children[revision] & self.revisions[repository]:
            found |= self.reaches(repository, child)
        return found

    def held(self, repository: str) -> set[str]:
        """The revisions that are not untagged, by repeating the definition until nothing is added."""
        ours = self.revisions[repository]
        held = {digest for (where, _), digest in self.tags.items() if where == repository} & ours
        while True:
            more = held | {child for revision in held for child in self.children[revision] & ours}
            more |= {revision for revision in ours if self.subject.get(revision) in held}
            if more == held:
                return held
            held = more


small = st.integers(0, 6)
pushes = st.lists(
    st.builds(
        Pushed,
        repository=st.integers(0, 2),
        layers=st.lists(small, max_size=3).map(tuple),
        children=st.lists(small, max_size=3).map(tuple),
        subject=st.none() | small,
        also_in=st.none() | st.integers(0, 2),
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

        usage = measure(tree.root, now=NOW)

        assert usage.tagged.bytes + usage.untagged.bytes + usage.orphans.bytes + usage.uploads.bytes == stored
        assert usage.uploads == Amount(len(uploads), sum(uploads))
        assert len(litter) == sum(problem.code in ("stray-file", "blob-name") for problem in usage.problems)

        reach = {
            name: set().union(*(world.reaches(name, revision) for revision in world.revisions[name]))
            for name in REPOSITORIES
        }
        held = {
            name: set().union(*(world.reaches(name, revision) for revision in world.held(name)))
            for name in REPOSITORIES
        }
        blobs = [path for path in tree.v2.glob("blobs/*/??/*/data") if len(path.parent.name) == 64]
        on_disk = {path.parent.name: path.stat().st_size for path in blobs}

        def amount(digests: set[str]) -> Amount:
            found = [on_disk[encoded] for d in digests if (encoded := d.partition(":")[2]) in on_disk]
            return Amount(len(found), sum(found))

        everything = {f"sha256:{encoded}" for encoded in on_disk}
        referenced, tagged = set().union(*reach.values()), set().union(*held.values())
        assert usage.orphans == amount(everything - referenced)
        assert usage.untagged == amount(referenced - tagged)
        assert usage.tagged == amount(tagged)
        for repository in usage.by_repository:
            name = repository.name
            others = set().union(*(reach[other] for other in REPOSITORIES if other != name))
            assert repository.bytes == amount(reach[name]).bytes
            assert repository.exclusive_bytes == amount(reach[name] - others).bytes
            assert repository.tagged_bytes == amount(held[name]).bytes
            assert repository.tagged_exclusive_bytes == amount(held[name] - others).bytes
            assert repository.untagged_bytes == amount(reach[name] - held[name]).bytes


def build(tree: Tree, pushes: list[Pushed], sizes: list[int]) -> World:
    world = World()
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
