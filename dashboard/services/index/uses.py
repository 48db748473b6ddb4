"""Who uses it: tags that reach a manifest or a blob, and images that are built on one another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from dashboard.models import IndexedManifest, IndexedRevision, IndexedTag, ManifestBlob, ManifestEntry, Registry
from dashboard.registry.references import Digest
from dashboard.services.access import Visible

from .documents import chain_of, chunks

MAX_MANIFESTS = 2000
MAX_TAGS = 1000


@dataclass(frozen=True, slots=True)
class Base:
    """The image that another one is built on: one tag that names it, how many others do, how many layers it has."""

    repository: str
    tag: str
    others: int
    layers: int


def tags_of(registry: Registry, visible: Visible) -> QuerySet[IndexedTag]:
    """The tags of a registry that somebody may see."""
    shown = IndexedTag.objects.filter(repository__registry=registry, repository__read_at__isnull=False)
    return shown.filter(below(visible.filter, "repository"))


def tags_reaching(
    registry: Registry, visible: Visible, *, manifests: Iterable[int], limit: int = MAX_TAGS
) -> list[IndexedTag]:
    """Tags that name one of these manifests (ids), or an index that lists one which the repository holds.

    At most `limit`, those of a repository together, with `repository` loaded.
    """
    ids = list(dict.fromkeys(manifests))[:MAX_MANIFESTS]
    if not ids:
        return []
    children = IndexedManifest.objects.filter(pk__in=ids).values("digest")
    parents = ManifestEntry.objects.filter(digest__in=children).values("manifest")
    holders = IndexedRevision.objects.filter(manifest__in=ids).values("repository")
    found = tags_of(registry, visible).filter(Q(manifest__in=ids) | Q(manifest__in=parents, repository__in=holders))
    return list(found.select_related("repository").order_by("repository__sort_key", "sort_key")[:limit])


def tags_holding_blob(
    registry: Registry, visible: Visible, digest: Digest, *, limit: int = MAX_TAGS
) -> list[IndexedTag]:
    """Tags whose image has this layer or config."""
    uses = ManifestBlob.objects.filter(blob__digest=digest, manifest__holders__repository__registry=registry)
    ids = uses.values_list("manifest", flat=True).distinct()[:MAX_MANIFESTS]
    return tags_reaching(registry, visible, manifests=ids, limit=limit)


def other_images(registry: Registry, *, digests: Sequence[Digest], manifest: Digest) -> dict[str, int]:
    """Of each of these blobs, how many other manifests of the registry use it; counts alone, they name nobody."""
    found: dict[str, int] = {}
    for part in chunks(digests):
        rows = ManifestBlob.objects.filter(blob__digest__in=part, manifest__holders__repository__registry=registry)
        rows = rows.exclude(manifest__digest=manifest)
        found |= dict(rows.values_list("blob__digest").annotate(Count("manifest", distinct=True)))
    return found


def base_of(registry: Registry, visible: Visible, *, diff_ids: Sequence[str], manifest: Digest) -> Base | None:
    """The tagged image whose layers are the longest true beginning of `diff_ids`; None for none that may be seen."""
    by_chain = {chain_of(diff_ids[:count]): count for count in range(1, len(diff_ids))}
    candidates: dict[int, int] = {}
    for part in chunks(list(by_chain)):
        rows = IndexedManifest.objects.filter(chain__in=part).exclude(digest=manifest)
        candidates |= {pk: by_chain[chain] for pk, chain in rows.values_list("pk", "chain")}
    by_length: dict[int, list[int]] = {}
    for pk, count in candidates.items():
        by_length.setdefault(count, []).append(pk)
    for count in sorted(by_length, reverse=True):
        tags = tags_reaching(registry, visible, manifests=by_length[count])
        if tags:
            first = min(tags, key=lambda tag: (tag.repository.name, -tag.since.timestamp()))
            return Base(first.repository.name, first.name, len(tags) - 1, count)
    return None


def below(condition: Q, relation: str) -> Q:
    """A filter of repositories as a filter of what belongs to one by `relation`."""
    moved = Q(_connector=condition.connector, _negated=condition.negated)
    for child in condition.children:
        if isinstance(child, Q):
            moved.children.append(below(child, relation))
        else:
            moved.children.append((f"{relation}__{child[0]}", child[1]))  # type: ignore[index]  # a pair, by Q's rules
    return moved
