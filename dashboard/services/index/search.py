"""Search across everything that somebody may see: repositories, tags, digests, labels, platforms.

Each group stops at MAX_HITS. Names are found by any part of them; digests, labels and their values by their beginning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from django.db import connection
from django.db.models import Q, QuerySet

from dashboard.models import (
    IndexedBlob,
    IndexedManifest,
    IndexedRepository,
    IndexedTag,
    ManifestEntry,
    ManifestLabel,
    Registry,
)
from dashboard.registry.errors import RegistryError
from dashboard.registry.references import Digest
from dashboard.services import access as gate
from dashboard.services.access import Access, Visible

from . import uses
from .tag_names import tag_names

MAX_HITS = 1000
MAX_LABELS = 2000
MAX_DIGESTS = 20
"""Six hexadecimal digits tell one in sixteen million: more than so many are no question that somebody means."""
MAX_QUERY = 300
MIN_DIGEST = 6
_DIGEST = re.compile(rf"(?:(sha256|sha384|sha512):)?([0-9a-f]{{{MIN_DIGEST},128}})")
_PLATFORM = re.compile(r"[a-z0-9]+(?:/[a-z0-9]+){1,2}")
_SYSTEMS_AND_MACHINES = frozenset(
    (
        *("aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux", "netbsd", "openbsd"),
        *("plan9", "solaris", "wasip1", "windows"),
        *("386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le"),
        *("riscv64", "s390x", "wasm"),
    )
)
"""What a platform's words are (OCI image spec 1.1, image-index.md: the values of Go's GOOS and GOARCH)."""
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
    """Hits of one kind, the best first, as many as were asked for; `count` in all, `more` if it stopped at MAX_HITS."""

    kind: str
    hits: Sequence[Hit]
    count: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A registry that was asked about `checked` of its `total` repositories so far: only those were searched."""

    host: str
    checked: int
    total: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, and the registries that could not be searched because they did not answer."""

    query: str
    groups: Sequence[Group]
    unsearched: dict[str, RegistryError] = field(default_factory=dict)
    incomplete: Sequence[Incomplete] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to search: a registry, what of it may be seen, and whether it is the only one that there is."""

    registry: Registry
    visible: Visible
    alone: bool

    def repositories(self) -> QuerySet[IndexedRepository]:
        """The repositories that may be seen."""
        return IndexedRepository.objects.filter(self.visible.filter, registry=self.registry, read_at__isnull=False)

    def allowed(self) -> frozenset[int] | None:
        """Their ids; None where every repository there is may be seen."""
        if self.alone and not self.visible.filter:
            return None
        return frozenset(self.repositories().values_list("pk", flat=True))


Hits = tuple[list[Hit], int]
"""The best hits, at least as many as were asked for if there are so many; how many there are, at most MAX_HITS."""
Finder = Callable[[Scope, str, int], Hits]


def search(accesses: Sequence[Access], query: str, *, only: str = "", limit: int = MAX_HITS) -> Found:
    """Searches the registries of `accesses` (all that there are) for `query`; each group has at most `limit` hits.

    `only` searches for one kind of hits (see FINDERS).
    """
    text = query.replace("\0", "").strip()[:MAX_QUERY]
    unsearched: dict[str, RegistryError] = {}
    scopes: list[Scope] = []
    for access in accesses:
        try:
            seen = gate.visible(access, lambda rows: rows.filter(name__icontains=text).order_by("sort_key"))
            scopes.append(Scope(access.registry, seen, alone=len(accesses) == 1))
        except RegistryError as error:
            unsearched[access.registry.public_host] = error
    groups: list[Group] = []
    for kind, find in FINDERS.items():
        hits: list[Hit] = []
        count = 0
        for scope in scopes if text and only in ("", kind) else ():
            found, of_scope = find(scope, text, limit)
            hits += found[:limit]
            count += of_scope
        if hits:
            groups.append(Group(kind, hits[:limit], min(count, MAX_HITS), more=count >= MAX_HITS))
    incomplete = [
        Incomplete(scope.registry.public_host, scope.visible.checked, scope.visible.total)
        for scope in scopes
        if not scope.visible.complete
    ]
    return Found(text, groups, unsearched, incomplete)


def repositories(scope: Scope, text: str, _limit: int) -> Hits:
    """By any part of the name: the same name first, then names whose last part begins so."""
    if ":" in text:  # no name has one
        return _all([])
    ids = _some(scope, Q(name__icontains=text))
    names = list(scope.repositories().filter(pk__in=ids).values_list("name", flat=True))
    return _all([Hit(scope.registry, name) for name in sorted(names, key=lambda name: _closeness(name, text))])


def tags(scope: Scope, text: str, limit: int) -> Hits:
    """By any part of the tag; `team/app:1.4` looks for such tags in such repositories."""
    repository, colon, tag = text.rpartition(":")
    if _DIGEST.fullmatch(text) and colon:
        return _all([])
    if colon:
        shown = uses.tags_of(scope.registry, scope.visible)
        repository = repository.removeprefix(f"{scope.registry.public_host}/")
        shown = shown.filter(repository__name__icontains=repository, name__istartswith=tag)
        hits = _tag_hits(scope, shown.order_by()[:MAX_HITS], tag)
        return hits, len(hits)
    names = tag_names()
    found = list(islice(names.containing(tag, scope.allowed()), MAX_HITS))
    best = sorted(found, key=lambda row: _closeness(names.name(row), tag))[:limit]
    shown = IndexedTag.objects.filter(pk__in=[names.ids[row] for row in best]).order_by()
    return _tag_hits(scope, shown, tag), len(found)


def _tag_hits(scope: Scope, shown: QuerySet[IndexedTag], tag: str) -> list[Hit]:
    rows = sorted(
        shown.values_list("repository__name", "name", "digest"),
        key=lambda row: (*_closeness(row[1], tag), row[0]),
    )
    return [Hit(scope.registry, repository, tag=name, digest=digest) for repository, name, digest in rows]


def digests(scope: Scope, text: str, _limit: int) -> Hits:
    """By the beginning of a digest: of a manifest, a config or a layer; each with the tags that reach it."""
    match = _DIGEST.fullmatch(text.lower())
    if match is None:
        return _all([])
    prefix = f"{match[1] or 'sha256'}:{match[2]}"
    hits: list[Hit] = []
    manifests = IndexedManifest.objects.filter(_begins("digest", prefix)).order_by("digest")
    for pk, digest in manifests.values_list("pk", "digest")[:MAX_DIGESTS]:
        hits += _reached(scope, pk, digest)
    blobs = IndexedBlob.objects.filter(_begins("digest", prefix)).order_by("digest")
    for digest in blobs.values_list("digest", flat=True)[:MAX_DIGESTS]:
        found = uses.tags_holding_blob(scope.registry, scope.visible, Digest(digest), limit=100)
        hits += [Hit(scope.registry, t.repository.name, tag=t.name, digest=digest, is_blob=True) for t in found]
    return _all(hits)


def labels(scope: Scope, text: str, _limit: int) -> Hits:
    """By the beginning of a label's or annotation's key or value; `key=value` looks for both."""
    key, equals, value = text.partition("=")
    if equals:
        condition = Q(key=key.strip()) & _begins("value", value.strip())
    elif len(text) < 2:
        return _all([])
    else:
        condition = _begins("key", text) | _begins("value", text)
    # Found by the labels' own indexes; what of it may be seen is decided by the tags that reach it.
    rows = ManifestLabel.objects.filter(condition).values_list("manifest", "key", "value")[:MAX_LABELS]
    why = {manifest: f"{found}={content}" for manifest, found, content in rows}
    found_tags = uses.tags_reaching(scope.registry, scope.visible, manifests=why)
    why |= _why_of_indexes({tag.manifest_id for tag in found_tags if tag.manifest_id} - why.keys(), why)
    notes = ((tag, why.get(tag.manifest_id or 0, "")) for tag in found_tags)
    return _all([Hit(scope.registry, t.repository.name, tag=t.name, digest=t.digest, note=note) for t, note in notes])


def _why_of_indexes(indexes: Iterable[int], why: Mapping[int, str]) -> dict[int, str]:
    """The label of an index is that of the first of its children that has it."""
    digests = dict(IndexedManifest.objects.filter(pk__in=list(why)).values_list("digest", "pk"))
    entries = ManifestEntry.objects.filter(manifest__in=list(indexes)).order_by("-position")
    found: dict[int, str] = {}
    for index, digest in entries.values_list("manifest", "digest"):
        if digest in digests:
            found[index] = why[digests[digest]]
    return found


def platforms(scope: Scope, text: str, _limit: int) -> Hits:
    """Repositories with images for a platform: `arm64`, `linux/arm64`."""
    wanted = text.lower()
    if wanted not in _SYSTEMS_AND_MACHINES and not _PLATFORM.fullmatch(wanted):
        return _all([])
    ids = _some(scope, Q(platforms__contains=wanted))
    rows = scope.repositories().filter(pk__in=ids).order_by("sort_key").values_list("name", "platforms")
    hits = []
    for name, words in rows:
        found = [word for word in words.split() if wanted == word or wanted in word.split("/")]
        if found:
            hits.append(Hit(scope.registry, name, note=" ".join(found)))
    return _all(hits)


FINDERS: dict[str, Finder] = {
    "repositories": repositories,
    "tags": tags,
    "digests": digests,
    "labels": labels,
    "platforms": platforms,
}


def _all(hits: list[Hit]) -> Hits:
    return hits[:MAX_HITS], min(len(hits), MAX_HITS)


def _some(scope: Scope, condition: Q) -> list[int]:
    """Ids of at most MAX_HITS repositories; where all may be seen, so little is asked for that an index can answer."""
    rows = scope.repositories() if scope.visible.filter else IndexedRepository.objects.filter(registry=scope.registry)
    return list(rows.filter(condition).order_by().values_list("pk", flat=True)[:MAX_HITS])


def _reached(scope: Scope, pk: int, digest: str) -> list[Hit]:
    found = uses.tags_reaching(scope.registry, scope.visible, manifests=[pk], limit=100)
    if found:
        return [Hit(scope.registry, tag.repository.name, tag=tag.name, digest=digest) for tag in found]
    holders = scope.repositories().filter(revisions__manifest=pk).values_list("name", flat=True)
    return [Hit(scope.registry, name, digest=digest) for name in holders[:100]]


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
