"""Revisions that no tag reaches, as a list: of a repository or of a whole registry.

Where the storage is read the index knows them all. Over the API nobody can list them: then those are known that a tag
pointed to once, by our history, and whether the registry still holds one is asked when it is shown. Never listed is
what a live index lists or what is attached to a tagged image.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.db.models import (
    BigIntegerField,
    DateTimeField,
    Exists,
    F,
    Func,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    Window,
)
from django.db.models.functions import Coalesce, RowNumber

from dashboard.models import (
    DeletionItem,
    IndexedManifest,
    IndexedRepository,
    IndexedRevision,
    IndexedTag,
    IndexState,
    ManifestEntry,
    Registry,
    TagPeriod,
)
from dashboard.registry.client import RegistrySession
from dashboard.registry.references import Digest, RepositoryName
from dashboard.storage.errors import StorageError
from dashboard.storage.reader import Reader

from . import parallel, untagged_age, untagged_weight
from .access import Visible
from .index import content_rows
from .index.lists import MAX_EXPORTED, PAGE_SIZE, Column, ListQuery, Order, Page, bounds
from .index.update import knows_revisions, reads_storage
from .index.uses import below

COLUMNS = {"age": Column("ended", nullable=True), "size": Column("size", nullable=True)}
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
    last, and `was_more` if there were others. `pushed_at`: its last push, where the storage tells it. `held`: the
    registry still holds it; None where it could not be asked.
    """

    repository: str
    digest: str
    kind: str = ""
    artifact_type: str = ""
    platforms: Sequence[str] = ()
    bytes: int | None = None
    exclusive: int | None = None
    was: Sequence[Was] = ()
    was_more: bool = False
    pushed_at: dt.datetime | None = None
    held: bool | None = True


@dataclass(frozen=True, slots=True)
class UntaggedList:
    """A page of them; `known` counts all, whatever the filter. `alone`: bytes that only they need, each blob once.

    `alone` is None where nobody can tell.
    """

    page: Page[UntaggedRow]
    known: int
    alone: int | None


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
        return knows_revisions(self.registry, self.state)

    @property
    def repositories(self) -> QuerySet[IndexedRepository]:
        """The repositories that are looked through."""
        rows = IndexedRepository.objects.filter(self.visible.filter, registry=self.registry, read_at__isnull=False)
        return rows.filter(name=self.repository) if self.repository else rows


def untagged(scope: Scope, query: ListQuery, session: RegistrySession) -> UntaggedList:
    """A page of them, each looked for where it is held: on the disk, else asked of the registry.

    The number of queries does not depend on the rows.
    """
    every = count(scope)
    rows = listed(scope, query)
    total = rows.count() if query.is_filtered else every
    number, pages, first = bounds(total, query.page)
    keys = _ordered(scope, rows, query)[first : first + PAGE_SIZE]
    found = [UntaggedRow(name, digest, pushed_at=pushed_at) for name, digest, pushed_at in keys]
    described = _described(scope, found)
    described = _on_disk(scope, described) if scope.exact else _asked(session, described)
    return UntaggedList(Page(described, number, pages, total, first), every, _alone(scope))


def count(scope: Scope) -> int:
    """How many there are; over the API how many the history knows."""
    return listed(scope, None).count()


def count_of(registry: Registry, state: IndexState, repository: str) -> int | None:
    """How many a repository has that this person may read; None where nobody can tell."""
    scope = Scope(registry, state, Visible(Q()), repository)
    return count(scope) if scope.exact else None


def is_known(scope: Scope) -> bool:
    """Whether the index or the history has ever heard of the repository."""
    periods = TagPeriod.objects.filter(registry=scope.registry, repository=scope.repository)
    return scope.repositories.exists() or periods.exists()


def exported(scope: Scope, query: ListQuery) -> Iterator[UntaggedRow]:
    """All of the filter in the order of the list, at most MAX_EXPORTED; over the API whatever its history knows."""
    keys = _ordered(scope, listed(scope, query), query)[:MAX_EXPORTED]
    part: list[UntaggedRow] = []
    for name, digest, pushed_at in keys.iterator(500):
        part.append(UntaggedRow(name, digest, pushed_at=pushed_at, held=True if scope.exact else None))
        if len(part) == PAGE_SIZE:
            yield from _described(scope, part)
            part = []
    yield from _described(scope, part)


def by_age(older: int, *, contains: str = "") -> ListQuery:
    """Those at rest for so many days (0: all), the oldest first."""
    return ListQuery(Order("age", COLUMNS["age"], turned=True), contains=contains, older=older)


def chosen(scope: Scope, contains: str, older: int, limit: int) -> list[Digest]:
    """Digests of a repository that a rule means, those that lost their tag first before the others."""
    query = by_age(older, contains=contains)
    return [Digest(digest) for _, digest, _ in _ordered(scope, listed(scope, query), query)[:limit]]


def listed(scope: Scope, query: ListQuery | None) -> QuerySet[Any]:
    """All that the filter shows, unordered: revisions, over the API rows (repository, digest)."""
    contains = query.contains if query else ""
    moment = untagged_age.before(query.older) if query else None
    return _revisions(scope, contains, moment) if scope.exact else _remembered(scope, contains, moment)


def _revisions(scope: Scope, contains: str, moment: dt.datetime | None) -> QuerySet[IndexedRevision]:
    rows = untagged_age.roots(scope.registry, moment).filter(below(scope.visible.filter, "repository"))
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


def _remembered(scope: Scope, contains: str, moment: dt.datetime | None) -> QuerySet[Any, Any]:
    """Digests of closed periods that nothing reaches now, as rows (repository, digest).

    Without those that were deleted here since they last had a tag.
    """
    registry, same = scope.registry, {"repository": OuterRef("repository"), "digest": OuterRef("digest")}
    tags = IndexedTag.objects.filter(
        repository__registry=registry, repository__name=OuterRef("repository"), digest=OuterRef("digest")
    )
    reached = IndexedRevision.objects.filter(
        repository__registry=registry,
        repository__name=OuterRef("repository"),
        manifest__digest=OuterRef("digest"),
        tagged=True,
    )
    listing = ManifestEntry.objects.filter(
        digest=OuterRef("digest"),
        manifest__holders__repository__registry=registry,
        manifest__holders__repository__name=OuterRef("repository"),
        manifest__holders__tagged=True,
    )
    removed = DeletionItem.objects.filter(
        deletion__registry=registry,
        deletion__repository=OuterRef("repository"),
        digest=OuterRef("digest"),
        outcome_code="removed",
        restored_at=None,
        finished_at__gte=OuterRef("began_at"),
    )
    rows = TagPeriod.objects.filter(
        ~Exists(tags),
        ~Exists(TagPeriod.objects.filter(registry=registry, ended_at=None, **same)),
        ~Exists(reached),
        ~Exists(listing),
        ~Exists(removed),
        registry=registry,
        repository__in=scope.repositories.values("name"),
    )
    if moment is not None:
        rows = rows.filter(~Exists(TagPeriod.objects.filter(registry=registry, ended_at__gt=moment, **same)))
    if contains:
        rows = rows.filter(Q(digest__contains=contains) | Q(tag__icontains=contains))
    return rows.order_by().values("repository", "digest").annotate(ended=Max("ended_at"))


def _ordered(scope: Scope, rows: QuerySet[Any], query: ListQuery) -> QuerySet[Any, Any]:
    if not scope.exact:
        rows = rows.annotate(size=_size("digest"), pushed_at=Value(None, output_field=DateTimeField()))
        ordered = rows.order_by(*query.order.by("repository", "digest")[:-1])
        return ordered.values_list("repository", "digest", "pushed_at")
    ended = TagPeriod.objects.filter(
        registry=scope.registry, repository=OuterRef("repository__name"), digest=OuterRef("manifest__digest")
    )
    last = ended.order_by().values("digest").annotate(last=Max("ended_at")).values("last")
    rows = rows.annotate(ended=Coalesce(Subquery(last), F("pushed_at")), size=_size("manifest__digest"))
    ordered = rows.order_by(*query.order.by("repository__name"))
    return ordered.values_list("repository__name", "manifest__digest", "pushed_at")


def _size(digest: str) -> Subquery:
    """To sort by: the bytes of the manifest in the column `digest`, and of what it lists, as far as these are known."""
    entries = ManifestEntry.objects.filter(manifest=OuterRef(OuterRef("pk"))).values("digest")
    children = IndexedManifest.objects.filter(digest__in=entries).order_by()
    added = Func(F("bytes"), function="SUM", output_field=BigIntegerField())
    below_it = Coalesce(Subquery(children.annotate(added=added).values("added")), 0, output_field=BigIntegerField())
    rows = IndexedManifest.objects.filter(digest=OuterRef(digest)).annotate(size=F("bytes") + below_it)
    return Subquery(rows.values("size"), output_field=BigIntegerField())


def _alone(scope: Scope) -> int | None:
    if not scope.exact:
        return None
    all_of_it = not scope.repository and not scope.visible.filter
    return untagged_weight.together(scope.registry, scope.repositories, all_of_it=all_of_it)


def _described(scope: Scope, rows: list[UntaggedRow]) -> list[UntaggedRow]:
    """With what the index and the history know of them."""
    loaded = content_rows.load(row.digest for row in rows)
    keys = [(row.repository, row.digest) for row in rows]
    weights = untagged_weight.weigh(scope.registry, keys, loaded, exact=scope.exact)
    was = _was(scope, rows)
    found = []
    for row in rows:
        key = row.repository, row.digest
        manifest, weight = loaded.manifests.get(row.digest), weights.get(key)
        if manifest is not None:
            entries = loaded.entries.get(manifest.pk, [])
            platforms = [entry.platform for entry in entries if entry.platform and not entry.is_attestation]
            row = replace(
                row,
                kind=manifest.kind,
                artifact_type=manifest.artifact_type,
                platforms=platforms or ([manifest.platform] if manifest.platform else []),
            )
        if weight is not None:
            row = replace(row, bytes=weight.bytes, exclusive=weight.exclusive)
        its = was.get(key, [])
        found.append(replace(row, was=its[:MAX_WAS], was_more=len(its) > MAX_WAS))
    return found


def _was(scope: Scope, rows: Sequence[UntaggedRow]) -> dict[tuple[str, str], list[Was]]:
    """The tags of each, what it lost last first; one more than are shown."""
    periods = TagPeriod.objects.filter(
        registry=scope.registry,
        repository__in={row.repository for row in rows},
        digest__in={row.digest for row in rows},
        ended_at__isnull=False,
    )
    place = Window(RowNumber(), partition_by=[F("repository"), F("digest")], order_by=[F("until").desc(), F("tag")])
    tags = (
        periods.order_by().values("repository", "digest", "tag").annotate(until=Max("ended_at")).annotate(place=place)
    )
    found: dict[tuple[str, str], list[Was]] = {}
    last = tags.filter(place__lte=MAX_WAS + 1).order_by("place")
    for repository, digest, tag, until in last.values_list("repository", "digest", "tag", "until"):
        found.setdefault((repository, digest), []).append(Was(tag, until))
    return found


def _on_disk(scope: Scope, rows: list[UntaggedRow]) -> list[UntaggedRow]:
    """With whether their links are there now; the index may be some minutes old."""
    if not reads_storage(scope.registry, scope.state):
        return rows
    try:
        reader = Reader(Path(scope.registry.storage_root))
    except StorageError:
        return rows
    return [replace(row, held=reader.holds(RepositoryName(row.repository), Digest(row.digest))) for row in rows]


def _asked(session: RegistrySession, rows: Sequence[UntaggedRow]) -> list[UntaggedRow]:
    """With whether the registry still holds them; one that could not be asked is shown as unknown."""

    def ask(key: tuple[str, str]) -> bool:
        return session.has_manifest(RepositoryName(key[0]), Digest(key[1]))

    answers = parallel.each([(row.repository, row.digest) for row in rows], ask)
    return [
        replace(row, held=answer if isinstance(answer := answers[row.repository, row.digest], bool) else None)
        for row in rows
    ]
