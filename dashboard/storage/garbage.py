"""What a garbage collection keeps, and what a tag holds: reachability over the facts of a scan.

A revision *reaches* its own manifest blob, its config and layers, and for an index the manifest blobs of its children.
It reaches a child's contents only if the child is itself a revision of the same repository: so does the registry's own
collector count (2.8 marks one level of every revision, 3.x goes on only through children that the repository holds).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .facts import ManifestFacts, RepositoryFacts

_NOTHING = ManifestFacts()


def reached(revisions: Iterable[str], manifests: Mapping[str, ManifestFacts]) -> set[str]:
    """The digests that these revisions reach; children that are revisions must be among `revisions` themselves."""
    marked: set[str] = set()
    for revision in revisions:
        marked.add(revision)
        facts = manifests.get(revision)
        if facts is not None:
            marked.update(facts.content)
            marked.update(facts.children)
    return marked


def tagged(repository: RepositoryFacts, manifests: Mapping[str, ManifestFacts]) -> set[str]:
    """The revisions that a tag holds: directly, through an index, or attached (their `subject` chain ends at one)."""
    attached: dict[str, list[str]] = {}
    for revision in repository.revisions:
        subject = manifests.get(revision, _NOTHING).subject
        if subject:
            attached.setdefault(subject, []).append(revision)
    held: set[str] = set()
    pending = [digest for digest in repository.tags.values() if digest in repository.revisions]
    while pending:
        revision = pending.pop()
        if revision in held:
            continue
        held.add(revision)
        pending.extend(child for child in manifests.get(revision, _NOTHING).children if child in repository.revisions)
        pending.extend(attached.get(revision, ()))
    return held
