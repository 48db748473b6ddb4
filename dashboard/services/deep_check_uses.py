"""Who needs what a deep check found damaged: as the index knows, and as far as a person may know of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from dashboard.models import (
    DamagedBlob,
    DeepCheck,
    IndexedBlob,
    IndexedManifest,
    IndexedTag,
    ManifestBlob,
    ManifestEntry,
    Registry,
)

from .access import Visible
from .index import lists

SHOWN = 100
SHOWN_TAGS = 10
MAX_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Found:
    """A damaged blob. `tags` (repository, tag) need it, the first of `tag_count`; `unseen`: so do others, not named.

    `claimed` are the bytes that manifests say it has, None if none that is known names it.
    """

    row: DamagedBlob
    is_manifest: bool
    claimed: int | None
    tags: Sequence[tuple[str, str]]
    tag_count: int
    unseen: bool


def found(registry: Registry, check: DeepCheck, visible: Visible) -> list[Found]:
    """The first findings of a check, in a constant number of queries."""
    rows = list(DamagedBlob.objects.filter(deep_check=check).order_by("path")[:SHOWN])
    digests = [row.digest for row in rows if row.digest]
    manifests = set(IndexedManifest.objects.filter(digest__in=digests).values_list("digest", flat=True))
    claimed = dict(IndexedBlob.objects.filter(digest__in=digests).values_list("digest", "bytes"))
    needs = _needs(digests, manifests)
    everybody = IndexedTag.objects.filter(repository__registry=registry, digest__in=list(needs))
    seen = everybody.filter(repository__in=lists.known(registry, visible))
    tags = _by_digest(needs, seen)
    of_all = _by_digest(needs, everybody) if visible.filter else tags
    return [
        Found(
            row,
            row.digest in manifests,
            claimed.get(row.digest),
            tags.get(row.digest, [])[:SHOWN_TAGS],
            len(tags.get(row.digest, [])),
            len(of_all.get(row.digest, [])) > len(tags.get(row.digest, [])),
        )
        for row in rows
    ]


def _needs(digests: Sequence[str], manifests: Iterable[str]) -> dict[str, set[str]]:
    """Which of `digests` each manifest needs: itself, its config and layers, what its children need."""
    needs: dict[str, set[str]] = {digest: {digest} for digest in manifests}
    blobs = ManifestBlob.objects.filter(blob__digest__in=digests)
    for blob, manifest in blobs.values_list("blob__digest", "manifest__digest")[:MAX_ROWS]:
        needs.setdefault(manifest, set()).add(blob)
    entries = ManifestEntry.objects.filter(digest__in=list(needs))
    for child, index in entries.values_list("digest", "manifest__digest")[:MAX_ROWS]:
        needs.setdefault(index, set()).update(needs[child])
    return needs


def _by_digest(needs: dict[str, set[str]], tags: QuerySet[IndexedTag]) -> dict[str, list[tuple[str, str]]]:
    rows = tags.order_by("repository__sort_key", "sort_key")
    by_digest: dict[str, list[tuple[str, str]]] = {}
    for digest, repository, tag in rows.values_list("digest", "repository__name", "name")[:MAX_ROWS]:
        for needed in needs[digest]:
            by_digest.setdefault(needed, []).append((repository, tag))
    return by_digest
