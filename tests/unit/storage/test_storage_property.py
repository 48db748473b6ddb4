"""For any storage: the parts sum to the disk, and the accounting agrees with a slow, literal reading of the words."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.storage.detail import Detail
from dashboard.storage.usage import Amount, account, take
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

    def reaches_alone(self, repository: str, revision: str) -> set[str]:
        """Without what its children reach by themselves: they are asked one by one."""
        return {revision} | self.content[revision] | self.children[revision]

    def held_by(self, repository: str, tag: str) -> set[str]:
        """The revisions that one tag holds."""
        return self.holding(repository, {self.tags[repository, tag]})

    def held_by_others(self, repository: str, tag: str) -> set[str]:
        """The revisions that the other tags of the repository hold."""
        roots = {digest for (where, name), digest in self.tags.items() if where == repository and name != tag}
        return self.holding(repository, roots)

    def held(self, repository: str) -> set[str]:
        """The revisions that are not untagged."""
        return self.holding(repository, {d for (where, _), d in self.tags.items() if where == repository})

    def holding(self, repository: str, roots: set[str]) -> set[str]:
        """What these hold, by repeating the definition until nothing is added."""
        ours = self.revisions[repository]
        held = roots & ours
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
            assert repository.untagged_revisions == len(world.revisions[name] - world.held(name))
        assert usage.untagged_revisions == sum(row.untagged_revisions for row in usage.by_repository)

        homes = {d: common([name for name in REPOSITORIES if d in reach[name]]) for d in referenced}
        shared = {d for d in referenced if sum(d in reach[name] for name in REPOSITORIES) > 1}
        namespaces = {row.name: row for row in usage.by_namespace}
        for name, row in namespaces.items():
            members = [each for each in REPOSITORIES if each == name or each.startswith(f"{name}/")]
            others = set().union(*(reach[each] for each in REPOSITORIES if each not in members))
            inside = set().union(*(reach[each] for each in members))
            tagged_inside = set().union(*(held[each] for each in members))
            assert row.bytes == amount(inside).bytes
            assert row.exclusive_bytes == amount(inside - others).bytes
            assert row.tagged_bytes == amount(tagged_inside).bytes
            assert row.tagged_exclusive_bytes == amount(tagged_inside - others).bytes
            assert row.shared_inside_bytes == amount({d for d in tagged & shared if homes[d] == name}).bytes
        assert usage.shared_across_bytes == amount({d for d in tagged & shared if homes[d] == ""}).bytes
        alone = sum(row.tagged_exclusive_bytes for row in usage.by_repository)
        between = sum(row.shared_inside_bytes for row in usage.by_namespace)
        assert alone + between + usage.shared_across_bytes == usage.tagged.bytes, "each byte lies in one place"

        for name, tags in detail.tags():
            for tag in tags:
                mine = world.held_by(name, tag.tag)
                theirs = world.revisions[name] - mine | world.held_by_others(name, tag.tag)
                needed = set().union(*(world.reaches_alone(name, revision) for revision in theirs))
                elsewhere = set().union(*(reach[other] for other in REPOSITORIES if other != name))
                holds = set().union(*(world.reaches(name, revision) for revision in mine))
                assert tag.bytes == amount(holds).bytes
                assert tag.exclusive_bytes == amount(holds - needed - elsewhere).bytes


def common(names: list[str]) -> str:
    """The components that all of these names begin with."""
    columns = zip(*(name.split("/") for name in names), strict=False)
    return "/".join(column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns))


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
