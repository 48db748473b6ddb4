"""Revisions that no tag reaches, as a list: of a repository or of a whole registry.

Where the storage is read the index knows them all. Over the API nobody can list them: then those are known that a tag
pointed to once, by our history, and whether the registry still holds one is asked when it is shown. Never listed is
what a live index lists or what is attached to a tagged image.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import BigIntegerField, Count, Exists, F, Func, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from dashboard.models import (
    IndexedManifest,
    IndexedRepository,
    IndexedRevision,
    IndexedTag,
    IndexState,
    ManifestBlob,
    ManifestEntry,
    Registry,
    TagPeriod,
)
from dashboard.registry.client import RegistrySession
from dashboard.registry.references import Digest, RepositoryName

from . import parallel
from .access import Visible
from .index.lists import MAX_EXPORTED, PAGE_SIZE, Column, ListQuery, Page, bounds
from .index.uses import below

AGE = {"age": Column("ended", nullable=True)}
COLUMNS = {**AGE, "size": Column("size")}
DEFAULT_ORDER = "age"
MAX_WAS = 3


@dataclass(frozen=True, slots=True)
class Was:
    """A tag that pointed to it, and until when."""

    tag: str
    until: dt.datetime


@dataclass(frozen=True, slots=True)
class UntaggedRow:
    """A revision without a tag. Bytes are compressed, for an index those of its children together; None: unknown.

    `exclusive` is what nothing else of the registry needs, as far as the index knows. `was` the tags that pointed to it
    last. `held`: the registry still holds it; None where it could not be asked.
    """

    repository: str
    digest: str
    kind: str = ""
    artifact_type: str = ""
    platforms: Sequence[str] = ()
    bytes: int | None = None
    exclusive: int | None = None
    was: Sequence[Was] = ()
    held: bool | None = True


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose revisions: all that somebody may see of a registry, or one `repository` of it that he may read."""

    registry: Registry
    state: IndexState
    visible: Visible
    repository: str = ""

    @property
    def exact(self) -> bool:
        """Whether the index knows every revision."""
        return self.state.source == IndexState.Source.STORAGE

    @property
    def repositories(self) -> QuerySet[IndexedRepository]:
        """The repositories that are looked through."""
        rows = IndexedRepository.objects.filter(self.visible.filter, registry=self.registry, read_at__isnull=False)
        return rows.filter(name=self.repository) if self.repository else rows


def untagged(scope: Scope, query: ListQuery, session: RegistrySession) -> Page[UntaggedRow]:
    """A page of them. The number of queries does not depend on the rows; over the API each row is asked for."""
    rows = _rows(scope, query)
    total = rows.count()
    number, pages, first = bounds(total, query.page)
    found = [UntaggedRow(name, digest) for name, digest in _ordered(scope, rows, query)[first : first + PAGE_SIZE]]
    described = _described(scope, found)
    return Page(described if scope.exact else _asked(session, described), number, pages, total, first)


def count(scope: Scope) -> int:
    """How many there are."""
    return _rows(scope, None).count()


def exported(scope: Scope, query: ListQuery) -> Iterator[UntaggedRow]:
    """All of the filter in the order of the list, at most MAX_EXPORTED; over the API whatever its history knows."""
    keys = _ordered(scope, _rows(scope, query), query)[:MAX_EXPORTED]
    part: list[UntaggedRow] = []
    for name, digest in keys.iterator(500):
        part.append(UntaggedRow(name, digest, held=True if scope.exact else None))
        if len(part) == PAGE_SIZE:
            yield from _described(scope, part)
            part = []
    yield from _described(scope, part)


def _rows(scope: Scope, query: ListQuery | None) -> QuerySet[Any]:
    contains = query.contains if query else ""
    return _revisions(scope, contains) if scope.exact else _remembered(scope, contains)


def _revisions(scope: Scope, contains: str) -> QuerySet[IndexedRevision]:
    listing = ManifestEntry.objects.filter(
        digest=OuterRef("manifest__digest"), manifest__holders__repository=OuterRef("repository")
    )
    rows = IndexedRevision.objects.filter(
        ~Exists(listing), below(scope.visible.filter, "repository"), repository__registry=scope.registry, tagged=False
    )
    if scope.repository:
        rows = rows.filter(repository__name=scope.repository)
    if contains:
        periods = TagPeriod.objects.filter(
            registry=scope.registry,
            repository=OuterRef("repository__name"),
            digest=OuterRef("manifest__digest"),
            tag__icontains=contains,
        )
        rows = rows.filter(Q(manifest__digest__contains=contains) | Exists(periods))
    return rows


def _remembered(scope: Scope, contains: str) -> QuerySet[Any, Any]:
    """Digests of closed periods that nothing reaches now, as rows (repository, digest)."""
    tags = IndexedTag.objects.filter(
        repository__registry=scope.registry, repository__name=OuterRef("repository"), digest=OuterRef("digest")
    )
    listing = ManifestEntry.objects.filter(
        digest=OuterRef("digest"),
        manifest__holders__repository__registry=scope.registry,
        manifest__holders__repository__name=OuterRef("repository"),
        manifest__holders__tagged=True,
    )
    rows = TagPeriod.objects.filter(
        ~Exists(tags), ~Exists(listing), registry=scope.registry, repository__in=scope.repositories.values("name")
    )
    if contains:
        rows = rows.filter(Q(digest__contains=contains) | Q(tag__icontains=contains))
    return rows.order_by().values("repository", "digest").annotate(ended=Max("ended_at"))


def _ordered(scope: Scope, rows: QuerySet[Any], query: ListQuery) -> QuerySet[Any, Any]:
    if not scope.exact:
        return rows.order_by(*query.order.by("repository", "digest")[:-1]).values_list("repository", "digest")
    ended = TagPeriod.objects.filter(
        registry=scope.registry, repository=OuterRef("repository__name"), digest=OuterRef("manifest__digest")
    )
    last = ended.order_by().values("digest").annotate(last=Max("ended_at")).values("last")
    entries = ManifestEntry.objects.filter(manifest=OuterRef(OuterRef("manifest"))).values("digest")
    children = IndexedManifest.objects.filter(digest__in=entries).order_by()
    added = Func(F("bytes"), function="SUM", output_field=BigIntegerField())
    below_it = Coalesce(Subquery(children.annotate(added=added).values("added")), 0, output_field=BigIntegerField())
    rows = rows.annotate(ended=Subquery(last), size=F("manifest__bytes") + below_it)
    return rows.order_by(*query.order.by("repository__name")).values_list("repository__name", "manifest__digest")


def _described(scope: Scope, rows: list[UntaggedRow]) -> list[UntaggedRow]:
    """With what the index and the history know of them."""
    digests = {row.digest for row in rows}
    manifests = {m.digest: m for m in IndexedManifest.objects.filter(digest__in=digests)}
    children: dict[int, list[ManifestEntry]] = {}
    for entry in ManifestEntry.objects.filter(manifest__in=manifests.values()).order_by("position"):
        children.setdefault(entry.manifest_id, []).append(entry)
    listed = {entry.digest for entries in children.values() for entry in entries}
    blobs = _blobs(digests | listed)
    needed = _needed(scope.registry, {digest for its in blobs.values() for digest in its})
    was = _was(scope, rows)
    found = []
    for row in rows:
        manifest = manifests.get(row.digest)
        entries = children.get(manifest.pk, []) if manifest else []
        own = [row.digest, *(entry.digest for entry in entries)]
        sizes = {digest: size for each in own for digest, size in blobs.get(each, {}).items()}
        mine = {digest: sum(digest in blobs.get(each, {}) for each in own) for digest in sizes}
        platforms = [e.platform for e in entries if e.platform and not e.is_attestation]
        known = manifest is not None
        found.append(
            replace(
                row,
                kind=manifest.kind if manifest else "",
                artifact_type=manifest.artifact_type if manifest else "",
                platforms=platforms or ([manifest.platform] if manifest and manifest.platform else []),
                bytes=sum(sizes.values()) if known else None,
                exclusive=sum(s for d, s in sizes.items() if needed.get(d, 0) <= mine[d]) if known else None,
                was=was.get((row.repository, row.digest), ()),
            )
        )
    return found


def _blobs(digests: set[str]) -> dict[str, dict[str, int]]:
    """Configs and layers of these manifests, with their bytes."""
    found: dict[str, dict[str, int]] = {}
    uses = ManifestBlob.objects.filter(manifest__digest__in=digests)
    for manifest, blob, size in uses.values_list("manifest__digest", "blob__digest", "blob__bytes"):
        found.setdefault(manifest, {})[blob] = size
    return found


def _needed(registry: Registry, blobs: set[str]) -> dict[str, int]:
    """How many revisions of the registry reach each of these blobs."""
    uses = ManifestBlob.objects.filter(blob__digest__in=blobs, manifest__holders__repository__registry=registry)
    return dict(uses.order_by().values_list("blob__digest").annotate(Count("manifest__holders")))


def _was(scope: Scope, rows: Sequence[UntaggedRow]) -> dict[tuple[str, str], list[Was]]:
    periods = TagPeriod.objects.filter(
        registry=scope.registry,
        repository__in={row.repository for row in rows},
        digest__in={row.digest for row in rows},
        ended_at__isnull=False,
    ).order_by("-ended_at")
    found: dict[tuple[str, str], list[Was]] = {}
    for repository, digest, tag, ended in periods.values_list("repository", "digest", "tag", "ended_at"):
        its = found.setdefault((repository, digest), [])
        if ended is not None and len(its) < MAX_WAS and tag not in {was.tag for was in its}:
            its.append(Was(tag, ended))
    return found


def _asked(session: RegistrySession, rows: Sequence[UntaggedRow]) -> list[UntaggedRow]:
    """With whether the registry still holds them; one that could not be asked is shown as unknown."""
    ask: Callable[[tuple[str, str]], bool] = lambda key: session.has_manifest(RepositoryName(key[0]), Digest(key[1]))  # noqa: E731
    answers = parallel.each([(row.repository, row.digest) for row in rows], ask)
    return [
        replace(row, held=answer if isinstance(answer := answers[row.repository, row.digest], bool) else None)
        for row in rows
    ]
