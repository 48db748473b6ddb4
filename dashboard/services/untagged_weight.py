"""What revisions without a tag weigh: their bytes, and those of them that nothing else of the registry needs.

Counted as a garbage collection counts (services/deletion/weigh.py) and as the delete page does: with an index go those
of its children that no tag and no other index of the repository needs. Layers and configurations, as in every list; the
documents themselves are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from dashboard.models import (
    IndexedBlob,
    IndexedRepository,
    IndexedRevision,
    ManifestBlob,
    ManifestEntry,
    Registry,
    RepositoryBlob,
)

from .index.content_rows import Loaded
from .index.documents import chunks

AT_ONCE = 10_000
Key = tuple[str, str]
"""Repository and digest."""


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes of layers and configurations, each once, for an index with those of its children; of it `exclusive`."""

    bytes: int
    exclusive: int


@dataclass(frozen=True, slots=True)
class _Held:
    """What the index knows that repositories hold, and by a tag; which of their indexes list a digest."""

    revisions: frozenset[Key]
    tagged: frozenset[Key]
    parents: Mapping[Key, frozenset[str]]


def weigh(registry: Registry, keys: Sequence[Key], loaded: Loaded, *, exact: bool) -> dict[Key, Weight]:
    """The weight of each of these, as far as its document is among `loaded` with all that is below it.

    `exact`: the index knows every revision; else children of an index are taken to be there. The number of queries
    does not depend on how many there are.
    """
    below = {key: _below(loaded, key[1]) for key in keys if key[1] in loaded.manifests}
    held = _held(registry, below)
    shown = {
        (repository, digest): [each for each in its if not exact or (repository, each) in held.revisions]
        for (repository, digest), its in below.items()
    }
    goes = {key: _goes(held, key, its) for key, its in shown.items()}
    blobs = {blob for its in goes.values() for digest in its for blob in _blobs(loaded, digest)}
    needed, users = _needed(registry, blobs)
    found = {}
    for key, its in shown.items():
        sizes = {blob: size for digest in [key[1], *its] for blob, size in _blobs(loaded, digest).items()}
        own: dict[int, int] = {}
        mine: dict[int, int] = {}
        for digest in goes[key]:
            counts = (key[0], digest) in held.revisions
            for blob, size in _blobs(loaded, digest).items():
                own[blob] = size
                mine[blob] = mine.get(blob, 0) + counts
        alone = sum(size for blob, size in own.items() if blob not in needed and users.get(blob, 0) <= mine[blob])
        found[key] = Weight(sum(sizes.values()), alone)
    return found


def together(registry: Registry, repositories: QuerySet[IndexedRepository], *, all_of_it: bool) -> int:
    """Bytes that only revisions without a tag in `repositories` need, each blob once: what vanishes with all of them.

    `all_of_it`: these are all of the registry's. True where the index knows every revision.
    """
    inside = RepositoryBlob.objects.filter(repository__in=repositories.order_by().values("pk"), tagged=False)
    elsewhere = RepositoryBlob.objects.filter(blob=OuterRef("pk"), repository__registry=registry)
    others = Q(tagged=True)
    if not all_of_it:
        others |= ~Q(repository__in=repositories.order_by().values("pk"))
    rows = IndexedBlob.objects.filter(~Exists(elsewhere.filter(others)), pk__in=inside.values("blob"))
    return rows.aggregate(added=Sum("bytes"))["added"] or 0


def _below(loaded: Loaded, digest: str) -> list[str]:
    """What an index lists, and what indexes among these do, as far as it was ever read."""
    return sorted(each for each in loaded.listed(digest) if each in loaded.manifests)


def _blobs(loaded: Loaded, digest: str) -> Mapping[int, int]:
    return loaded.blobs.get(loaded.manifests[digest].pk, {})


def _held(registry: Registry, below: Mapping[Key, Iterable[str]]) -> _Held:
    repositories = {repository for repository, _ in below}
    children = {digest for its in below.values() for digest in its}
    digests = children | {digest for _, digest in below}
    rows = IndexedRevision.objects.filter(repository__registry=registry, repository__name__in=repositories)
    revisions: dict[Key, bool] = {}
    parents: dict[Key, set[str]] = {}
    for part in chunks(sorted(digests), AT_ONCE):
        found = rows.filter(manifest__digest__in=part)
        for repository, digest, tagged in found.values_list("repository__name", "manifest__digest", "tagged"):
            revisions[repository, digest] = tagged
    for part in chunks(sorted(children), AT_ONCE):
        entries = ManifestEntry.objects.filter(
            digest__in=part,
            manifest__holders__repository__registry=registry,
            manifest__holders__repository__name__in=repositories,
        )
        for repository, digest, parent in entries.values_list(
            "manifest__holders__repository__name", "digest", "manifest__digest"
        ):
            parents.setdefault((repository, digest), set()).add(parent)
    return _Held(
        frozenset(revisions),
        frozenset(key for key, tagged in revisions.items() if tagged),
        {key: frozenset(its) for key, its in parents.items()},
    )


def _goes(held: _Held, key: Key, children: Sequence[str]) -> set[str]:
    """The revision, and its children that nothing else of the repository needs."""
    repository, root = key
    going = {root, *(each for each in children if (repository, each) not in held.tagged)}
    while kept := {
        each for each in going if each != root and held.parents.get((repository, each), frozenset()) - going
    }:
        going -= kept
    return going


def _needed(registry: Registry, blobs: set[int]) -> tuple[set[int], dict[int, int]]:
    """Those that a tag of the registry reaches; of the others how many revisions hold each."""
    needed: set[int] = set()
    users: dict[int, int] = {}
    for part in chunks(sorted(blobs), AT_ONCE):
        tagged = RepositoryBlob.objects.filter(repository__registry=registry, tagged=True, blob__in=part)
        reached = set(tagged.values_list("blob", flat=True))
        needed |= reached
        # Counting the images on a base layer that everything is built on would cost more than the rest of the page.
        rest = [blob for blob in part if blob not in reached]
        holders = ManifestBlob.objects.filter(blob__in=rest, manifest__holders__repository__registry=registry)
        users |= dict(holders.order_by().values_list("blob").annotate(Count("manifest__holders")))
    return needed, users
