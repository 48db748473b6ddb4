"""The layers of images as bars draw them: each layer once, in order, and whether something else holds it too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from dashboard.models import IndexedRepository, IndexedRevision, ManifestBlob, ManifestEntry, RepositoryBlob

from .lists import Kept

MAX_PIECES = 150
_made_of = Kept()


@dataclass(frozen=True, slots=True)
class Stratum:
    """A layer in bytes. `own`: only this image holds it in the registry. `part`: which of its platforms, from 0."""

    bytes: int
    own: bool
    part: int = 0


def strata_of(
    repository: IndexedRepository, roots: Mapping[int, str]
) -> tuple[dict[str, list[Stratum]], dict[int, list[tuple[int, str]]]]:
    """The layers of these manifests (number to digest) by digest, and what the repository holds of their entries.

    An image is what a digest reaches: an index with the children that are here. A layer is its own if no other manifest
    of the registry uses it, and no other index lists the child that does.
    """
    children = _children(repository, list(roots))
    wanted = {*roots, *(child for its in children.values() for child, _ in its)}
    layers = _layers(repository, wanted)
    found: dict[str, list[Stratum]] = {}
    for root, digest in roots.items():
        drawn: set[int] = set()
        strata: list[Stratum] = []
        for part, manifest in enumerate([root, *(child for child, _ in children.get(root, ()))]):
            for blob, size, own in layers.get(manifest, ()):
                if blob not in drawn:
                    drawn.add(blob)
                    strata.append(Stratum(size, own, part))
        found[digest] = strata
    return found, children


def _children(repository: IndexedRepository, roots: Sequence[int]) -> dict[int, list[tuple[int, str]]]:
    """The entries of indexes that the repository holds, in order: number and digest of each."""
    held = IndexedRevision.objects.filter(
        repository=repository, manifest__digest__in=ManifestEntry.objects.filter(manifest__in=roots).values("digest")
    )
    numbers = dict(held.values_list("manifest__digest", "manifest"))
    children: dict[int, list[tuple[int, str]]] = {}
    entries = ManifestEntry.objects.filter(manifest__in=roots).order_by("manifest", "position")
    for root, digest in entries.values_list("manifest", "digest"):
        if digest in numbers:
            children.setdefault(root, []).append((numbers[digest], digest))
    return children


def _layers(repository: IndexedRepository, manifests: set[int]) -> dict[int, list[tuple[int, int, bool]]]:
    """The layers of manifests in order: number, bytes, and whether nothing outside the manifest's image uses it."""
    registry = repository.registry_id
    sibling = ManifestEntry.objects.filter(
        digest=OuterRef("manifest__digest"), manifest__entries__digest=OuterRef(OuterRef("manifest__digest"))
    )
    held = IndexedRevision.objects.filter(manifest=OuterRef("manifest"), repository__registry=registry)
    elsewhere = (
        ManifestBlob.objects.filter(blob=OuterRef("blob"))
        .exclude(manifest=OuterRef("manifest"))
        .filter(~Exists(sibling), Exists(held))
    )
    rows = ManifestBlob.objects.filter(manifest__in=manifests, is_layer=True).order_by("manifest", "position")
    rows = rows.annotate(shared=Exists(elsewhere))
    found: dict[int, list[tuple[int, int, bool]]] = {}
    for manifest, blob, size, shared in rows.values_list("manifest", "blob", "blob__bytes", "shared"):
        found.setdefault(manifest, []).append((blob, size, not shared))
    return found


@dataclass(frozen=True, slots=True)
class MadeOf:
    """The layers of all tags of a repository together: how many, and the largest of those it has alone and shares."""

    layers: int
    own: Sequence[int]
    shared: Sequence[int]


def made_of(repository: IndexedRepository) -> MadeOf:
    """What a repository is made of; counted anew whenever its own sums changed."""
    key = (repository.pk, repository.tags, repository.bytes, repository.exclusive_bytes, repository.pushed_at)
    return _made_of.get(key, lambda: _count(repository))


def _count(repository: IndexedRepository) -> MadeOf:
    elsewhere = RepositoryBlob.objects.filter(
        blob=OuterRef("blob"), repository__registry=repository.registry_id
    ).exclude(repository=repository)
    is_layer = ManifestBlob.objects.filter(blob=OuterRef("blob"), is_layer=True)
    layers = RepositoryBlob.objects.filter(Exists(is_layer), repository=repository, tagged=True)
    largest = layers.annotate(shared=Exists(elsewhere)).order_by("-blob__bytes").values_list("blob__bytes", "shared")
    pieces = list(largest[:MAX_PIECES])
    return MadeOf(
        layers.count(), [size for size, shared in pieces if not shared], [size for size, shared in pieces if shared]
    )
