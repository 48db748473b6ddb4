"""What `registry garbage-collect` would do to this storage, and what of it nobody would want.

The collectors of 2.8 and 3.x are followed step by step (`collection_ground` names where they were read), each without
and with `-m` (`--delete-untagged`). Equal to their own dry runs, which a property test asserts against both programs.

In short: 2.8 knows repositories by `_layers`, marks each revision and what it names, one level deep. 3.x knows them by
`_manifests`, goes on through children that the repository holds, but not through what is marked already. With `-m` a
revision is kept only if a tag points at it *directly*: on 2.8 an index loses its children so, on both a signature goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .collection_ground import Family, Fault, Ground, Place, Stop, survey, unread
from .facts import Facts, ManifestFacts, RepositoryFacts
from .figures import Amount
from .garbage import Graph
from .last_held import read_layer_links, sha512_targets

__all__ = ["Family", "Hurt", "Named", "Outcome", "Preview", "Stop", "live_blobs", "preview", "whole_images"]

MAX_STOPS = 50
MAX_NAMED = 100
HURTS = ("tagged", "child", "attached", "unseen", "digest-only", "sha512")
"""Kinds of what a collection ought not to touch, the worst first; docs/garbage-collection.md says what each is."""

_NOTHING = ManifestFacts()


class Named(NamedTuple):
    """A revision that a collection would damage, with some of the tags that need it."""

    repository: str
    digest: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hurt:
    """Revisions of one kind that a collection ought not to touch, and what it would remove of them."""

    kind: str
    revisions: int
    repositories: int
    lost: Amount
    named: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way to collect. `blobs` are numbers of the graph; `manifests` the revisions that are removed with `-m`.

    With `stops` it ends with an error, at the first of them; the rest is what it would do once they are mended.
    `is_uncertain`: some of the disk could not be read.
    """

    family: Family
    untagged: bool
    blobs: set[int]
    freed: Amount
    manifests: tuple[tuple[str, str], ...]
    stops: tuple[Stop, ...]
    hurts: tuple[Hurt, ...]
    is_uncertain: bool = False

    @property
    def fails_dry(self) -> bool:
        """Whether already the dry run ends with an error: the rest is met by a real run only."""
        return any(not stop.real_only for stop in self.stops)


@dataclass(frozen=True, slots=True)
class Preview:
    """All four ways to collect."""

    outcomes: tuple[Outcome, ...]

    def of(self, family: Family, *, untagged: bool) -> Outcome:
        """One of them."""
        return next(each for each in self.outcomes if each.family is family and each.untagged is untagged)


def preview(v2: str, facts: Facts, graph: Graph, *, links: bool = True) -> Preview:
    """What collections of the storage `v2` would do, from the facts of a scan of it and their graph.

    `links` also opens every layer link, as only 3.x does: one that is broken ends its run. The disk is looked at again
    where the scan found problems. Never raises for what is on the disk.
    """
    ground = survey(v2, facts)
    world = _World(v2, facts, graph, ground, links=links)
    ways = [(family, untagged) for family in Family for untagged in (False, True)]
    return Preview(tuple(world.outcome(family, untagged=untagged) for family, untagged in ways))


def live_blobs(v2: str, facts: Facts, graph: Graph) -> set[int]:
    """Every blob that any revision reaches, and what is served in place of a layer pushed by its sha512 digest.

    What no collection may remove, whatever the collector thinks.
    """
    live = graph.reached({revision for repository in facts.repositories for revision in repository.revisions})
    for repository in facts.repositories:
        for targets in sha512_targets(v2, facts, graph, repository).values():
            live |= targets
    return live


def whole_images(v2: str, facts: Facts, graph: Graph) -> dict[tuple[str, str], bool]:
    """By repository and tag: whether the tag resolves and all that its image needs here is on the disk.

    Needed are its manifest, those of its children that the repository holds, and their configs and layers; not what
    lies elsewhere by design.
    """
    found: dict[tuple[str, str], bool] = {}
    for repository in facts.repositories:
        served = sha512_targets(v2, facts, graph, repository)
        known: dict[str, bool] = {}
        for tag, digest in repository.tags.items():
            if digest not in known:
                known[digest] = _is_whole(facts, repository, digest, served)
            found[repository.name, tag] = known[digest]
    return found


def _is_whole(facts: Facts, repository: RepositoryFacts, root: str, served: dict[str, set[int]]) -> bool:
    pending, seen = [root], set()
    while pending:
        digest = pending.pop()
        if digest in seen:
            continue
        seen.add(digest)
        manifest = facts.manifests.get(digest)
        if digest not in repository.revisions or digest not in facts.blobs or manifest is None:
            return False
        elsewhere = {each for each, _ in manifest.foreign}
        lacking = {each for each in manifest.content if each not in facts.blobs and each not in elsewhere}
        if len(lacking) > len(served.get(digest, ())):
            return False
        pending.extend(child for child in manifest.children if child in repository.revisions)
    return True


class _World:
    """One storage, followed by four collectors."""

    def __init__(self, v2: str, facts: Facts, graph: Graph, ground: Ground, *, links: bool) -> None:
        self._facts = facts
        self._graph = graph
        self._ground = ground
        self._places = sorted(ground.places, key=_walk_order)
        self._unread = {place.repository.path: unread(facts, place) for place in self._places}
        self._held = {place.repository.path: graph.tagged(place.repository) for place in self._places}
        self._aliased = {
            place.repository.path: targets
            for place in self._places
            if (targets := sha512_targets(v2, facts, graph, place.repository))
        }
        self._links = {
            place.repository.path: found
            for place in self._places
            if links and place.repository.has_layers and (found := read_layer_links(v2, place.repository)).is_special
        }

    def outcome(self, family: Family, *, untagged: bool) -> Outcome:
        """What this collector would do."""
        stops = [fault.stop for fault in self._faults(family, untagged=untagged)]
        seen = [place for place in self._places if place.is_seen(family)]
        if not untagged:
            listed: list[tuple[Place, str]] = []
            marked = self._graph.reached({digest for place in seen for digest in place.live})
            read = ((place, place.live) for place in seen)
            stops.extend(self._unreadable(family, read))
        elif family is Family.TWO:
            kept = [(place, [digest for digest in place.live if digest in place.current]) for place in seen]
            listed = [(place, digest) for place in seen for digest in place.live if digest not in place.current]
            marked = self._graph.reached({digest for _, digests in kept for digest in digests})
            stops.extend(self._unreadable(family, kept))
        else:
            marked, listed, visited = _mark_three(self._graph, seen)
            stops.extend(self._unreadable(family, visited))
        number = self._graph.number_of
        if family is Family.THREE:
            listed = [(place, digest) for place, digest in listed if number(digest) not in marked]
            stops.extend(self._removed_twice(seen, marked))
        for place, digest in listed:
            if digest in place.twice:
                path = place.twice[digest]
                stops.append(Stop("revision-twice", place.repository.name, path, "manifests", real_only=True))
        blobs = set(range(len(self._graph.sizes))) - marked
        manifests = tuple((place.repository.name, digest) for place, digest in listed)
        return Outcome(
            family,
            untagged,
            blobs,
            self._amount(blobs),
            manifests,
            tuple(dict.fromkeys(stops))[:MAX_STOPS],
            tuple(self._hurts(family, blobs, listed, untagged=untagged)),
            self._ground.is_uncertain,
        )

    def _amount(self, blobs: set[int]) -> Amount:
        return Amount(len(blobs), self._graph.bytes_of(blobs))

    # What it stops at

    def _faults(self, family: Family, *, untagged: bool) -> Iterator[Fault]:
        faults = list(self._ground.faults)
        for place in self._places:
            if not place.is_seen(family):
                continue
            faults.extend(place.faults)
            if place.live:
                faults.extend(place.tag_faults)
            links = self._links.get(place.repository.path)
            if links is not None and family is Family.THREE:
                faults.extend(Fault(Stop("layer-link", place.repository.name, path)) for path in links.broken)
        for fault in faults:
            if family in fault.families and (untagged or not fault.untagged_only):
                yield fault

    def _unreadable(self, family: Family, read: Iterable[tuple[Place, Iterable[str]]]) -> Iterator[Stop]:
        for place, visited in read:
            bad = self._unread[place.repository.path]
            if bad:
                yield from (bad[d].stop for d in visited if d in bad and family in bad[d].families)

    def _removed_twice(self, seen: Sequence[Place], marked: set[int]) -> Iterator[Stop]:
        """3.x removes a layer's link once for each link that leads to it; the second time it is not there."""
        for place in seen:
            links = self._links.get(place.repository.path)
            for path, target in links.doubled if links is not None else ():
                number = self._graph.number_of(target)
                if number is not None and number not in marked:
                    yield Stop("layer-twice", place.repository.name, path, "blobs", real_only=True)

    # What it ought not to touch

    def _hurts(
        self, family: Family, blobs: set[int], listed: list[tuple[Place, str]], *, untagged: bool
    ) -> Iterator[Hurt]:
        removed: dict[str, set[str]] = {}
        for place, digest in listed:
            removed.setdefault(place.repository.path, set()).add(digest)
        found: dict[str, list[tuple[Place, str, set[int]]]] = {}
        for place in self._places:
            gone = removed.get(place.repository.path, set())
            for kind, digest, lost in self._hurt_in(family, place, blobs, gone, untagged=untagged):
                found.setdefault(kind, []).append((place, digest, lost))
        for kind in HURTS:
            if rows := found.get(kind):
                yield Hurt(
                    kind,
                    revisions=len(rows),
                    repositories=len({place.repository.path for place, _, _ in rows}),
                    lost=self._amount(set().union(*(lost for _, _, lost in rows))),
                    named=tuple(self._named(place, digest) for place, digest, _ in rows[:MAX_NAMED]),
                )

    def _hurt_in(
        self, family: Family, place: Place, blobs: set[int], gone: set[str], *, untagged: bool
    ) -> Iterator[tuple[str, str, set[int]]]:
        graph, repository = self._graph, place.repository
        held = self._held[repository.path]
        if gone & held or not blobs.isdisjoint(graph.reached(held)):
            within = self._within_tags(repository)
            direct = set(repository.tags.values())
            for digest in sorted(held):
                lost = blobs.intersection(graph.reached_by(digest))
                if lost or digest in gone:
                    kind = "tagged" if digest in direct else "child" if digest in within else "attached"
                    yield kind, digest, lost
        for digest, targets in self._aliased.get(repository.path, {}).items():
            if lost := targets & blobs:
                yield "sha512", digest, lost
        unseen = not place.is_seen(family)
        if unseen or (untagged and family is Family.THREE and not place.has_tags):
            for digest in place.live:
                if digest not in held and (lost := blobs.intersection(graph.reached_by(digest))):
                    yield "unseen" if unseen else "digest-only", digest, lost

    def _within_tags(self, repository: RepositoryFacts) -> set[str]:
        """Revisions that a tag holds directly or through an index."""
        found: set[str] = set()
        pending = list(repository.tags.values())
        while pending:
            digest = pending.pop()
            if digest in repository.revisions and digest not in found:
                found.add(digest)
                pending.extend(self._facts.manifests.get(digest, _NOTHING).children)
        return found

    def _named(self, place: Place, digest: str) -> Named:
        tags = place.repository.tags
        needing = {digest}
        manifest = self._facts.manifests.get(digest, _NOTHING)
        if manifest.subject:
            needing.add(manifest.subject)
        needing.update(
            parent
            for parent in place.repository.revisions
            if digest in self._facts.manifests.get(parent, _NOTHING).children
        )
        return Named(place.repository.name, digest, tuple(sorted(tag for tag in tags if tags[tag] in needing))[:3])


def _mark_three(
    graph: Graph, seen: Sequence[Place]
) -> tuple[set[int], list[tuple[Place, str]], list[tuple[Place, list[str]]]]:
    """Marks as 3.x does with `-m`: what is marked; the revisions no tag points at; the manifests read on the way.

    In its very order, because it does not go through what is marked already, even if another repository did that.
    """
    marked: set[int] = set()
    listed: list[tuple[Place, str]] = []
    visited: list[tuple[Place, list[str]]] = []
    for place in seen:
        if not place.has_tags:
            continue  # neither kept nor listed
        held = {graph.number_of(digest): digest for digest in place.live}
        read: list[str] = []
        for digest in place.live:
            if digest not in place.current:
                listed.append((place, digest))
                continue
            read.append(digest)
            named = graph.reached_by(digest)
            if held.keys().isdisjoint(named[1:]):
                marked.update(named)
                continue
            marked.add(named[0])
            pending = [iter(named[1:])]
            while pending:
                number = next(pending[-1], None)
                if number is None:
                    pending.pop()
                elif number not in marked:
                    marked.add(number)
                    if number in held:
                        read.append(held[number])
                        pending.append(iter(graph.reached_by(held[number])[1:]))
        visited.append((place, read))
    return marked, listed, visited


def _walk_order(place: Place) -> tuple[str, ...]:
    """Repositories in the order of 3.x's walk: by component, its own manifests among the names below it."""
    return (*place.repository.name.split("/"), "_manifests")
