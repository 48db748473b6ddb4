"""The list of a repository's tags as a query of the index, with all that a page shows of each of its rows.

What belongs to an image (a signature, an attestation, an SBOM) is no row of its own where a tag of the repository
reaches that image: it is found with the image's row.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from dashboard.models import IndexedRepository, IndexedRevision, IndexedTag, Registry
from dashboard.registry.references import is_tag

from .attached import Attached, attached_to
from .image_strata import Stratum, strata_of
from .lists import MAX_EXPORTED, PAGE_SIZE, Column, Kept, ListQuery, Page, bounds, holding_platform

COLUMNS = {
    "name": Column("sort_key", descending=False),
    "pushed": Column("since"),
    "created": Column("created_at", nullable=True),
    "size": Column("bytes", nullable=True),
    "pulled": Column("pulled_at", nullable=True),
}
DEFAULT_ORDER = "pushed"
MAX_ALIASES = 5000

_counts = Kept()
"""Rows and images of repositories, for as long as nothing of a repository changed by which they could."""

_FIELDS = (
    "pk", "name", "digest", "manifest", "manifest__kind", "manifest__artifact_type", "bytes", "is_partial", "platforms",
    "since", "since_is_push", "created_at", "pulled_at", "about", "error_code",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TagRow:
    """A tag. `bytes` None where nobody tells them. `since_is_push`: `since` is a push, not when we saw it first.

    `error_code` tells why nothing else is known of it. `strata`: its layers from the base, each once. `manifest` is the
    index's own number of what it names.
    """

    name: str
    digest: str
    manifest: int | None
    kind: str
    artifact_type: str
    bytes: int | None
    is_partial: bool
    platforms: Sequence[str]
    since: dt.datetime
    since_is_push: bool
    created_at: dt.datetime | None
    pulled_at: dt.datetime | None
    about: str
    error_code: str
    aliases: Sequence[str] = ()
    attached: Sequence[Attached] = ()
    strata: Sequence[Stratum] = ()

    @property
    def supported(self) -> bool:
        """Whether the registry can be asked for it."""
        return is_tag(self.name)


@dataclass(frozen=True, slots=True)
class TagList:
    """A page of tags. `tags` counts all of the repository, `rows` those that are rows, `images` their digests.

    `newest`: name and digest of the tag that was pushed last, whatever the filter; None where none can be pulled.
    """

    page: Page[TagRow]
    tags: int
    rows: int
    images: int
    newest: tuple[str, str] | None


def repository_row(registry: Registry, name: str) -> IndexedRepository | None:
    """What the index says of a repository; None where it says nothing. Who may see it is the gate's to say."""
    return IndexedRepository.objects.filter(registry=registry, name=name, read_at__isnull=False).first()


def names_on_page(repository: IndexedRepository, query: ListQuery) -> list[str]:
    """The names of the rows that a page will show, as far as the index knows now."""
    first = (query.page - 1) * PAGE_SIZE
    rows = _filtered(_rows(repository), query).order_by(*query.order.by("-sort_key"))
    return list(rows.values_list("name", flat=True)[first : first + PAGE_SIZE])


def tags(repository: IndexedRepository, query: ListQuery) -> TagList:
    """A page of the tags. The number of queries does not depend on the rows."""
    every = _rows(repository)
    key = (repository.pk, repository.tags, repository.bytes, repository.exclusive_bytes, repository.pushed_at)
    counted = _counts.get(key, lambda: every.aggregate(rows=Count("pk"), images=Count("digest", distinct=True)))
    rows = _filtered(every, query)
    total = rows.count() if query.is_filtered else counted["rows"]
    number, pages, first = bounds(total, query.page)
    ordered = rows.order_by(*query.order.by("-sort_key")).values_list(*_FIELDS)[first : first + PAGE_SIZE]
    folded = repository.tags > counted["rows"]
    shown = _described(repository, [_row(values) for values in ordered], with_tags=folded)
    pullable = every.filter(about="", error_code="").order_by("-since", "-sort_key")
    return TagList(
        Page(shown, number, pages, total, first),
        tags=repository.tags,
        rows=counted["rows"],
        images=counted["images"],
        newest=pullable.values_list("name", "digest").first(),
    )


def exported(repository: IndexedRepository, query: ListQuery) -> Iterator[TagRow]:
    """All rows of the filter in the order of the list, at most MAX_EXPORTED, a few at a time."""
    rows = _filtered(_rows(repository), query).order_by(*query.order.by("-sort_key"))
    for values in rows.values_list(*_FIELDS)[:MAX_EXPORTED].iterator(500):
        yield _row(values)


def _rows(repository: IndexedRepository) -> QuerySet[IndexedTag]:
    """Tags without those that belong to an image which another tag reaches."""
    image = IndexedRevision.objects.filter(repository=repository, manifest__digest=OuterRef("about"), tagged=True)
    return IndexedTag.objects.filter(Q(about="") | ~Exists(image), repository=repository)


def _filtered(rows: QuerySet[IndexedTag], query: ListQuery) -> QuerySet[IndexedTag]:
    if query.contains:
        rows = rows.filter(name__icontains=query.contains)
    if query.platform:
        rows = rows.filter(holding_platform(query.platform))
    return rows


def _row(values: Sequence[object]) -> TagRow:
    _, name, digest, manifest, kind, artifact_type, size, is_partial, platforms, *rest = values
    return TagRow(
        name, digest, manifest, kind or "", artifact_type or "", size, is_partial, str(platforms).split(), *rest  # type: ignore[arg-type]
    )  # fmt: skip


def _described(repository: IndexedRepository, rows: list[TagRow], *, with_tags: bool) -> list[TagRow]:
    """With their aliases, what is attached to them (`with_tags`: tags may be), and their layers."""
    digests = {row.digest for row in rows if row.digest}
    aliases: dict[str, list[str]] = {}
    named = IndexedTag.objects.filter(repository=repository, digest__in=digests).order_by("-sort_key")
    for name, digest in named.values_list("name", "digest")[:MAX_ALIASES]:
        aliases.setdefault(digest, []).append(name)
    roots = {row.manifest: row.digest for row in rows if row.manifest is not None}
    strata, children = strata_of(repository, roots)
    attached = attached_to(repository, roots, children, with_tags=with_tags)
    return [
        replace(
            row,
            aliases=[name for name in aliases.get(row.digest, ()) if name != row.name and row.digest],
            attached=attached.get(row.digest, ()),
            strata=strata.get(row.digest, ()),
        )
        for row in rows
    ]
