"""An accounting that is slow and obvious: the words of docs/storage.md, one after the other, over plain sets.

Held against the quick one by property tests: on trees that are written, and on those that real registries wrote.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from dashboard.storage.detail import Detail
from dashboard.storage.usage import Amount, Usage


@dataclass
class World:
    """What a storage holds: revisions by repository, tags, and what each manifest names."""

    revisions: dict[str, set[str]] = field(default_factory=dict)
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


def read_world(v2: Path) -> World:
    """What lies on the disk, file by file; every link and manifest must be sound."""
    world = World()
    for path in v2.glob("repositories/**/_manifests"):
        name = str(path.parent.relative_to(v2 / "repositories"))
        world.revisions[name] = {link.read_text() for link in path.glob("revisions/sha256/*/link")}
        for link in path.glob("tags/*/current/link"):
            world.tags[name, link.parents[1].name] = link.read_text()
    for path in v2.glob("repositories/**/_layers"):
        world.revisions.setdefault(str(path.parent.relative_to(v2 / "repositories")), set())
    for digest in set().union(*world.revisions.values()):
        encoded = digest.partition(":")[2]
        document: dict[str, Any] = json.loads((v2 / f"blobs/sha256/{encoded[:2]}/{encoded}/data").read_bytes())
        content = [document.get("config"), *document.get("layers", [])]
        world.content[digest] = {each["digest"] for each in content if each}
        world.children[digest] = {each["digest"] for each in document.get("manifests", [])}
        if "subject" in document:
            world.subject[digest] = document["subject"]["digest"]
    return world


def assert_agrees(world: World, v2: Path, usage: Usage, detail: Detail) -> None:
    """Every figure of the quick accounting is what the words say of `world`."""
    names = sorted(world.revisions)
    reach = {
        name: set().union(*(world.reaches(name, revision) for revision in world.revisions[name])) for name in names
    }
    held = {name: set().union(*(world.reaches(name, revision) for revision in world.held(name))) for name in names}
    blobs = [path for path in v2.glob("blobs/*/??/*/data") if len(path.parent.name) == 64]
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
        others = set().union(*(reach[other] for other in names if other != name))
        assert repository.bytes == amount(reach[name]).bytes
        assert repository.exclusive_bytes == amount(reach[name] - others).bytes
        assert repository.tagged_bytes == amount(held[name]).bytes
        assert repository.tagged_exclusive_bytes == amount(held[name] - others).bytes
        assert repository.untagged_bytes == amount(reach[name] - held[name]).bytes
        assert repository.untagged_revisions == len(world.revisions[name] - world.held(name))
    assert usage.untagged_revisions == sum(row.untagged_revisions for row in usage.by_repository)

    homes = {d: common([name for name in names if d in reach[name]]) for d in referenced}
    shared = {d for d in referenced if sum(d in reach[name] for name in names) > 1}
    namespaces = {row.name: row for row in usage.by_namespace}
    for name, row in namespaces.items():
        members = [each for each in names if each == name or each.startswith(f"{name}/")]
        others = set().union(*(reach[each] for each in names if each not in members))
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
            elsewhere = set().union(*(reach[other] for other in names if other != name))
            holds = set().union(*(world.reaches(name, revision) for revision in mine))
            assert tag.bytes == amount(holds).bytes
            assert tag.exclusive_bytes == amount(holds - needed - elsewhere).bytes


def common(names: list[str]) -> str:
    """The components that all of these names begin with."""
    columns = zip(*(name.split("/") for name in names), strict=False)
    return "/".join(column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns))
