"""What a garbage collection frees after a deletion: counted against all that the registry holds.

A collection frees a blob that no revision of any repository reaches (the design's word): a revision reaches its own
document, its config and layers, and for an index the documents of its children. The repository itself is as surveyed a
moment ago, every other one as the index knows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db.models import Exists, OuterRef

from dashboard.models import (
    IndexedManifest,
    IndexedRevision,
    IndexedTag,
    IndexState,
    ManifestBlob,
    ManifestEntry,
    Registry,
    RepositoryBlob,
)
from dashboard.registry.manifests import Kind, Manifest
from dashboard.registry.references import Digest, RepositoryName
from dashboard.services.index.documents import chunks
from dashboard.services.index.update import reads_storage
from dashboard.storage.errors import StorageError
from dashboard.storage.reader import Reader

from .survey import Survey

MAX_COUNTED = 1000
"""Tags that need what stays are counted so far."""
AT_ONCE = 400


@dataclass(frozen=True, slots=True)
class Weight:
    """`reached` is what the manifests that go reach (bytes by digest), `stays` those of it that something else needs.

    `exact`: the storage is read, so nothing that needs it is unknown. `needed_by` counts the tags that do.
    """

    reached: Mapping[Digest, int]
    stays: frozenset[Digest]
    exact: bool
    needed_by: int


def weigh(
    *,
    registry: Registry,
    state: IndexState,
    repository: RepositoryName,
    seen: Survey,
    going: Mapping[Digest, Manifest],
    leaving: Iterable[str],
) -> Weight:
    """What goes with the manifests `going`, and what of it stays. `leaving` are the names of the tags that go."""
    exact = seen.held is not None and reads_storage(registry, state)
    reached: dict[Digest, int] = {}
    for manifest in going.values():
        reached |= reach(manifest)
    if exact:
        reached = _on_disk(registry, reached)
    here = _needed_here(registry, repository, seen, set(going), reached)
    stays = here | _needed_elsewhere(registry, repository, reached)
    needed_by = _count(registry, repository, stays & _contents(going.values()), set(leaving)) if stays else 0
    return Weight(reached, frozenset(stays), exact, needed_by)


def reach(manifest: Manifest) -> dict[Digest, int]:
    """What a revision reaches, each digest once, with the bytes that its document claims."""
    found = {d.digest: d.size for d in manifest.content() if not d.is_foreign}
    if manifest.kind is Kind.INDEX:
        found |= {child.digest: child.size for child in manifest.children}
    return found | {manifest.digest: manifest.size}


def _contents(manifests: Iterable[Manifest]) -> set[Digest]:
    return {d.digest for manifest in manifests for d in manifest.content()}


def _on_disk(registry: Registry, reached: Mapping[Digest, int]) -> dict[Digest, int]:
    """The bytes as they are on the disk; what is not there frees nothing."""
    try:
        reader = Reader(Path(registry.storage_root))
    except StorageError:
        return dict(reached)
    found: dict[Digest, int] = {}
    for digest in reached:
        try:
            found[digest] = reader.blob_size(digest)
        except StorageError:
            continue
    return found


def _needed_here(
    registry: Registry, repository: RepositoryName, seen: Survey, going: set[Digest], reached: Mapping[Digest, int]
) -> set[Digest]:
    """What the repository's own other revisions reach."""
    if seen.held is not None:
        rest = (manifest for digest, manifest in seen.held.items() if digest not in going)
        return {digest for manifest in rest for digest in reach(manifest) if digest in reached}
    alive = {digest for digest in seen.tags.values() if digest not in going}
    indexes = {digest: index for digest, index in seen.indexes.items() if digest not in going}
    alive |= {child.digest for index in indexes.values() for child in index.children} | indexes.keys()
    known = IndexedRevision.objects.filter(repository__registry=registry, repository__name=repository)
    alive |= {Digest(digest) for digest in known.values_list("manifest__digest", flat=True) if digest not in going}
    found = {digest for digest in reached if digest in alive}
    for part in chunks(list(reached), AT_ONCE):
        uses = ManifestBlob.objects.filter(blob__digest__in=part).values_list("blob__digest", "manifest__digest")
        found |= {Digest(blob) for blob, manifest in uses.iterator() if manifest in alive}
    return found


def _needed_elsewhere(registry: Registry, repository: RepositoryName, reached: Mapping[Digest, int]) -> set[Digest]:
    """What other repositories of the registry reach, as the index knows them."""
    held = IndexedRevision.objects.filter(repository__registry=registry).exclude(repository__name=repository)
    blobs = RepositoryBlob.objects.filter(repository__registry=registry).exclude(repository__name=repository)
    entries = ManifestEntry.objects.filter(Exists(held.filter(manifest=OuterRef("manifest"))))
    found: set[Digest] = set()
    for part in chunks(list(reached), AT_ONCE):
        found |= {Digest(text) for text in blobs.filter(blob__digest__in=part).values_list("blob__digest", flat=True)}
        documents = IndexedManifest.objects.filter(digest__in=part)
        documents = documents.filter(Exists(held.filter(manifest=OuterRef("pk"))))
        found |= {Digest(text) for text in documents.values_list("digest", flat=True)}
        found |= {Digest(text) for text in entries.filter(digest__in=part).values_list("digest", flat=True)}
    return found


def _count(registry: Registry, repository: RepositoryName, stays: set[Digest], leaving: set[str]) -> int:
    """Tags that reach something of `stays`, besides those that leave; at most MAX_COUNTED."""
    found: set[int] = set()
    for part in chunks(sorted(stays), AT_ONCE):
        users = ManifestBlob.objects.filter(blob__digest__in=part).values("manifest")
        digests = IndexedManifest.objects.filter(pk__in=users).values("digest")
        parents = ManifestEntry.objects.filter(digest__in=digests).values("manifest")
        tags = IndexedTag.objects.filter(repository__registry=registry)
        for rows in (tags.filter(manifest__in=users), tags.filter(manifest__in=parents)):
            named = rows.values_list("pk", "repository__name", "name")[: MAX_COUNTED + len(leaving)]
            found |= {pk for pk, where, name in named if not (where == repository and name in leaving)}
        if len(found) >= MAX_COUNTED:
            break
    return min(len(found), MAX_COUNTED)


def attributed(weight: Weight, reaches: Sequence[Iterable[Digest]]) -> list[tuple[int, int, int]]:
    """For each of these sets of digests: bytes reached, bytes freed, blobs freed; a freed blob counts once, first."""
    counted: set[Digest] = set()
    found: list[tuple[int, int, int]] = []
    for digests in reaches:
        mine = set(digests) & weight.reached.keys()
        freed = mine - weight.stays - counted
        counted |= freed
        found.append((sum(weight.reached[d] for d in mine), sum(weight.reached[d] for d in freed), len(freed)))
    return found
