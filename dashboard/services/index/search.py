"""Search across everything that somebody may see: repositories, tags, digests, labels, platforms.

Each group stops at MAX_HITS. Names are found by any part of them; digests, labels and their values by their beginning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.db import connection
from django.db.models import Q, QuerySet

from dashboard.models import (
    IndexedBlob,
    IndexedManifest,
    IndexedRepository,
    ManifestLabel,
    Registry,
)
from dashboard.registry.errors import RegistryError
from dashboard.registry.references import Digest
from dashboard.services import access as gate
from dashboard.services.access import Access, Visible

from . import uses

MAX_HITS = 1000
MAX_QUERY = 300
MIN_DIGEST = 6
_DIGEST = re.compile(rf"(?:(sha256|sha384|sha512):)?([0-9a-f]{{{MIN_DIGEST},128}})")
_PLATFORM = re.compile(r"[a-z0-9]+(?:/[a-z0-9]+){0,2}")
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found in a repository of a registry. `tag` or `digest` where it is more exact; `note` says why."""

    registry: Registry
    repository: str
    tag: str = ""
    digest: str = ""
    is_blob: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Hits of one kind, the best first; `more` if it stopped at MAX_HITS."""

    kind: str
    hits: Sequence[Hit]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, and the registries that could not be searched because they did not answer."""

    query: str
    groups: Sequence[Group]
    unsearched: dict[str, RegistryError] = field(default_factory=dict)
    incomplete: Sequence[str] = ()


Finder = Callable[[Registry, Visible, str], list[Hit]]


def search(accesses: Sequence[Access], query: str, *, limit: int = MAX_HITS) -> Found:
    """Searches the registries of `accesses` for `query`; each group has at most `limit` hits."""
    text = query.replace("\0", "").strip()[:MAX_QUERY]
    unsearched: dict[str, RegistryError] = {}
    allowed: list[tuple[Registry, Visible]] = []
    for access in accesses:
        try:
            allowed.append((access.registry, gate.visible(access)))
        except RegistryError as error:
            unsearched[access.registry.public_host] = error
    groups: list[Group] = []
    for kind, find in FINDERS.items():
        hits: list[Hit] = []
        for registry, visible in allowed if text else ():
            hits += find(registry, visible, text)
        if hits:
            groups.append(Group(kind, hits[:limit], more=len(hits) > limit or len(hits) >= MAX_HITS))
    incomplete = [registry.public_host for registry, visible in allowed if not visible.complete]
    return Found(text, groups, unsearched, incomplete)


def repositories(registry: Registry, visible: Visible, text: str) -> list[Hit]:
    """By any part of the name: the same name first, then names whose last part begins so."""
    rows = _repositories(registry, visible).filter(name__icontains=text)
    names = list(rows.order_by().values_list("name", flat=True)[:MAX_HITS])
    return [Hit(registry, name) for name in sorted(names, key=lambda name: _closeness(name, text))]


def tags(registry: Registry, visible: Visible, text: str) -> list[Hit]:
    """By any part of the tag; `team/app:1.4` looks for such tags in such repositories."""
    repository, colon, tag = text.rpartition(":")
    repository = repository.removeprefix(f"{registry.public_host}/")
    shown = uses.tags_of(registry, visible)
    if colon:
        shown = shown.filter(repository__name__icontains=repository, name__istartswith=tag)
    else:
        shown = shown.filter(name__icontains=text)
    rows = list(shown.order_by().values_list("repository__name", "name", "digest")[:MAX_HITS])
    rows.sort(key=lambda row: (*_closeness(row[1], tag), row[0]))
    return [Hit(registry, name, tag=found, digest=digest) for name, found, digest in rows]


def digests(registry: Registry, visible: Visible, text: str) -> list[Hit]:
    """By the beginning of a digest: of a manifest, a config or a layer; each with the tags that reach it."""
    match = _DIGEST.fullmatch(text.lower())
    if match is None:
        return []
    prefix = f"{match[1] or 'sha256'}:{match[2]}"
    hits: list[Hit] = []
    held = IndexedManifest.objects.filter(_begins("digest", prefix), holders__repository__registry=registry)
    for pk, digest in held.values_list("pk", "digest").distinct()[:20]:
        hits += _reached(registry, visible, pk, digest)
    blobs = IndexedBlob.objects.filter(_begins("digest", prefix), holders__repository__registry=registry)
    for digest in blobs.values_list("digest", flat=True).distinct()[:20]:
        found = uses.tags_holding_blob(registry, visible, Digest(digest), limit=100)
        hits += [Hit(registry, t.repository.name, tag=t.name, digest=digest, is_blob=True) for t in found]
    return hits[:MAX_HITS]


def labels(registry: Registry, visible: Visible, text: str) -> list[Hit]:
    """By the beginning of a label's or annotation's key or value; `key=value` looks for both."""
    key, equals, value = text.partition("=")
    if equals:
        condition = Q(key=key.strip()) & _begins("value", value.strip())
    elif len(text) < 2:
        return []
    else:
        condition = _begins("key", text) | _begins("value", text)
    held = uses.below(visible.filter, "manifest__holders__repository")
    shown = ManifestLabel.objects.filter(condition, held, manifest__holders__repository__registry=registry)
    rows = shown.values_list("manifest", "key", "value").distinct()[:MAX_HITS]
    why = {manifest: f"{found}={content}" for manifest, found, content in rows}
    hits: list[Hit] = []
    for tag in uses.tags_reaching(registry, visible, manifests=why):
        note = why.get(tag.manifest_id or 0) or next(iter(why.values()))
        hits.append(Hit(registry, tag.repository.name, tag=tag.name, digest=tag.digest, note=note))
    return hits


def platforms(registry: Registry, visible: Visible, text: str) -> list[Hit]:
    """Repositories with images for a platform: `arm64`, `linux/arm64`."""
    wanted = text.lower()
    if not _PLATFORM.fullmatch(wanted):
        return []
    rows = _repositories(registry, visible).filter(platforms__contains=wanted).values_list("name", "platforms")
    hits = []
    for name, words in rows.order_by("sort_key")[:MAX_HITS]:
        found = [word for word in words.split() if wanted == word or wanted in word.split("/")]
        if found:
            hits.append(Hit(registry, name, note=" ".join(found)))
    return hits


FINDERS: dict[str, Finder] = {
    "repositories": repositories,
    "tags": tags,
    "digests": digests,
    "labels": labels,
    "platforms": platforms,
}


def _repositories(registry: Registry, visible: Visible) -> QuerySet[IndexedRepository]:
    return IndexedRepository.objects.filter(visible.filter, registry=registry, read_at__isnull=False)


def _reached(registry: Registry, visible: Visible, pk: int, digest: str) -> list[Hit]:
    found = uses.tags_reaching(registry, visible, manifests=[pk], limit=100)
    if found:
        return [Hit(registry, tag.repository.name, tag=tag.name, digest=digest) for tag in found]
    holders = _repositories(registry, visible).filter(revisions__manifest=pk).values_list("name", flat=True)
    return [Hit(registry, name, digest=digest) for name in holders[:100]]


def _begins(column: str, text: str) -> Q:
    """That a column begins with `text`, so that the database can use its index."""
    if connection.vendor == "sqlite":  # whose LIKE compares without case, and so by no index
        return Q((f"{column}__gte", text), (f"{column}__lt", text + _LAST))
    return Q((f"{column}__startswith", text))


def _closeness(name: str, text: str) -> tuple[int, int, str]:
    """A sort key: the closest names first."""
    found, wanted = name.lower(), text.lower()
    last = found.rpartition("/")[2]
    rank = 0 if wanted in (found, last) else 1 if last.startswith(wanted) else 2
    return rank, len(name), name
