"""The list of repositories as a query of the index: by namespace or flat, with what each and all of them sum to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import BigIntegerField, DateTimeField, F, Field, Func, OuterRef, Q, QuerySet, Subquery

from dashboard.models import IndexedRepository, IndexedTag, Registry
from dashboard.registry.references import namespace_of
from dashboard.services.access import Choose, Visible
from dashboard.services.ordering import natural_key

from .lists import MAX_EXPORTED, PAGE_SIZE, Column, Kept, ListQuery, Order, Page, bounds, holding_platform, known
from .namespaces import Root, Sheet, Space, Sums, in_order, sheets, sum_up
from .sums import FEW_AT_ONCE, MAX_AT_ONCE, Bytes, Together, each_once

COLUMNS = {
    "name": Column("sort_key", descending=False),
    "tags": Column("tags"),
    "size": Column("bytes"),
    "exclusive": Column("exclusive_bytes"),
    "pushed": Column("pushed_at", nullable=True),
    "pulled": Column("pulled_at", nullable=True),
}
DEFAULT_ORDER = "pushed"
MAX_EMPTY_NAMED, MAX_EMPTY = 100, 1000
MAX_NAMESPACES = 100
"""Offered to choose from; where there are more, people type."""
_FIELDS = (
    "pk", "name", "namespace", "tags", "bytes", "exclusive_bytes", "platforms", "kinds", "pushed_at", "pulled_at",
    "error_code",
)  # fmt: skip
_HOLDS_SOMETHING = Q(tags__gt=0) | ~Q(error_code="")

_platforms = Kept()
_spaces = Kept(most=16)
MAX_SPACES_KEPT = 5000


@dataclass(frozen=True, slots=True)
class RepositoryRow:
    """A repository. Sizes in bytes. `pushed_is_known`: `pushed_at` is a push, not when we saw it first.

    `artifact_type` and `kind` are those of its newest tag, "" where nothing is known of it.
    """

    pk: int
    name: str
    namespace: str
    tags: int
    bytes: int
    exclusive: int
    platforms: Sequence[str]
    kinds: Sequence[str]
    pushed_at: dt.datetime | None
    pulled_at: dt.datetime | None
    error_code: str
    pushed_is_known: bool = False
    kind: str = ""
    artifact_type: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows below a heading. `nested` below another one; `namespace` None for a flat list, "" for names without one.

    `bytes` of all that belongs to it, on this page or not; None where it has no heading of its own.
    """

    namespace: str | None
    nested: bool
    sums: Sums
    bytes: Bytes | None
    rows: Sequence[RepositoryRow]


@dataclass(frozen=True, slots=True)
class RepositoryList:
    """A page of repositories.

    `all` sums up all that this person may see and that hold something, `chosen` what the filter leaves of it. `empty`
    names some of the `empty_count` that hold no tag. `more_namespaces` than are named.
    """

    page: Page[Group]
    all: Sums
    all_bytes: Bytes
    chosen: Sums
    chosen_bytes: Bytes
    namespaces: Sequence[str]
    more_namespaces: bool
    platforms: Sequence[str]
    empty: Sequence[str]
    empty_count: int

    @property
    def names(self) -> list[str]:
        """The repositories that the page names."""
        return [row.name for group in self.page.rows for row in group.rows] + list(self.empty)


def repositories(registry: Registry, visible: Visible, query: ListQuery) -> RepositoryList:
    """A page of the list of what somebody may see. The number of queries does not depend on the rows."""
    base = known(registry, visible)
    everything = base.filter(_HOLDS_SOMETHING)
    rows = _filtered(everything, query)
    version = _version(registry)
    all_spaces = _all_spaces(everything, query.order, (registry.pk, version, visible.filter))
    state = (version[:-1], visible.filter)  # what pulls do not change
    whole = Sums.of(space.sums for space in all_spaces)
    spaces = sum_up(rows, query.order) if query.is_filtered else all_spaces
    chosen = Sums.of(space.sums for space in spaces) if query.is_filtered else whole
    page: Page[tuple[Root | None, Space | None, list[RepositoryRow]]]
    page = _flat(rows, query, chosen) if query.flat else _tree(rows, query, in_order(spaces, query.order), chosen)
    wanted = {"all": _together(everything, whole), "chosen": _together(rows, chosen)}
    for root, space, _ in page.rows:
        if root and root.name:
            wanted[f"{root.name}//"] = _together(_below(rows, root.name), root.sums)
        if space and space.namespace:
            wanted[space.namespace] = _together(rows.filter(namespace=space.namespace), space.sums)
    at_once = FEW_AT_ONCE if visible.filter else MAX_AT_ONCE
    sums = each_once(registry, wanted, (state, query.contains, query.namespace, query.platform), at_once=at_once)
    empty = _filtered(base.filter(tags=0, error_code=""), query)
    empty_names = sorted(empty.values_list("name", flat=True)[: MAX_EMPTY + 1], key=natural_key)
    return RepositoryList(
        page=Page(list(_headed(page.rows, sums)), page.number, page.pages, page.total, page.first),
        all=whole,
        all_bytes=sums["all"],
        chosen=chosen,
        chosen_bytes=sums["chosen"],
        namespaces=(namespaces := _namespaces(all_spaces))[:MAX_NAMESPACES],
        more_namespaces=len(namespaces) > MAX_NAMESPACES,
        platforms=_platforms.get((registry.pk, state), lambda: _words(everything)),
        empty=empty_names[:MAX_EMPTY_NAMED],
        empty_count=len(empty_names) if len(empty_names) <= MAX_EMPTY else empty.count(),
    )


def first_asked(query: ListQuery) -> Choose:
    """What the gate asks about first, for this page of the list."""
    return lambda rows: _filtered(rows, query).order_by(*query.order.by("sort_key"))


def exported(registry: Registry, visible: Visible, query: ListQuery) -> Iterator[RepositoryRow]:
    """All rows of the filter in the order of the list, at most MAX_EXPORTED, a few at a time."""
    rows = _filtered(known(registry, visible).filter(_HOLDS_SOMETHING), query)
    if query.flat:
        for values in rows.order_by(*query.order.by("sort_key")).values_list(*_FIELDS)[:MAX_EXPORTED].iterator(500):
            yield _row(values)
        return
    sent = 0
    for sheet in sheets(in_order(sum_up(rows, query.order), query.order)):
        for found in _rows_of(rows, query, sheet).values():
            yield from found
            sent += len(found)
        if sent >= MAX_EXPORTED:
            return


def _version(registry: Registry) -> tuple[object, ...]:
    """What changes with whatever lists sum up, pulls last; read from the columns' own indexes alone: all but free."""
    rows = IndexedRepository.objects.filter(registry=registry).order_by()

    def told(function: str, field: str, output: Field[Any, Any]) -> Subquery:
        return Subquery(rows.annotate(told=Func(F(field), function=function, output_field=output)).values("told"))

    number = BigIntegerField()

    found: tuple[object, ...] = (
        Registry.objects.filter(pk=registry.pk)
        .values_list(
            told("COUNT", "bytes", number),
            told("SUM", "bytes", number),
            told("SUM", "exclusive_bytes", number),
            told("SUM", "tags", number),
            told("MAX", "pushed_at", DateTimeField()),
            told("MAX", "pulled_at", DateTimeField()),
        )
        .get()
    )
    return found


def _all_spaces(rows: QuerySet[IndexedRepository], order: Order, state: Hashable) -> list[Space]:
    """What each namespace sums to without a filter; kept until something changes."""
    key = (state, order)
    kept: list[Space] | None = _spaces.known(key)
    if kept is None:
        kept = sum_up(rows, order)
        if len(kept) <= MAX_SPACES_KEPT:
            _spaces.put(key, kept)
    return kept


def _filtered(rows: QuerySet[IndexedRepository], query: ListQuery) -> QuerySet[IndexedRepository]:
    if query.contains:
        rows = rows.filter(name__icontains=query.contains)
    if query.namespace:
        rows = _below(rows, query.namespace)
    if query.platform:
        rows = rows.filter(holding_platform(query.platform))
    return rows


def _below(rows: QuerySet[IndexedRepository], namespace: str) -> QuerySet[IndexedRepository]:
    return rows.filter(Q(namespace=namespace) | Q(namespace__startswith=f"{namespace}/"))


def _together(rows: QuerySet[IndexedRepository], sums: Sums) -> Together:
    return Together(rows, sums.repositories, Bytes(sums.bytes, sums.exclusive))


def _flat(
    rows: QuerySet[IndexedRepository], query: ListQuery, chosen: Sums
) -> Page[tuple[Root | None, Space | None, list[RepositoryRow]]]:
    number, pages, first = bounds(chosen.repositories, query.page)
    ordered = rows.order_by(*query.order.by("sort_key")).values_list(*_FIELDS)[first : first + PAGE_SIZE]
    found = _described([_row(values) for values in ordered])
    return Page([(None, None, found)] if found else [], number, pages, chosen.repositories, first)


def _tree(
    rows: QuerySet[IndexedRepository], query: ListQuery, roots: Sequence[Root], chosen: Sums
) -> Page[tuple[Root | None, Space | None, list[RepositoryRow]]]:
    by_page = sheets(roots)
    number = min(max(1, query.page), len(by_page))
    sheet = by_page[number - 1]
    found = _rows_of(rows, query, sheet)
    described = iter(_described([row for its in found.values() for row in its]))
    names = {root.name: root for root in roots}
    shown = [
        (names[space.namespace.partition("/")[0]], space, [next(described) for _ in found.get(space.namespace, ())])
        for space in sheet.spaces
    ]
    return Page(shown, number, len(by_page), chosen.repositories, sheet.first)


def _rows_of(rows: QuerySet[IndexedRepository], query: ListQuery, sheet: Sheet) -> dict[str, list[RepositoryRow]]:
    """The rows of a page in one query, by namespace in the order of the page."""
    found: dict[str, list[RepositoryRow]] = {space.namespace: [] for space in sheet.spaces}
    ordered = rows.filter(namespace__in=list(found)).order_by(*query.order.by("sort_key")).values_list(*_FIELDS)
    for values in ordered[sheet.offset : sheet.offset + sheet.rows]:
        row = _row(values)
        found[row.namespace].append(row)
    return found


def _headed(
    shown: Sequence[tuple[Root | None, Space | None, list[RepositoryRow]]], sums: dict[str, Bytes]
) -> Iterator[Group]:
    """Rows below their headings: a first component has one of its own where several namespaces are below it."""
    last: Root | None = None
    for root, space, rows in shown:
        if root is None or space is None:
            yield Group(None, False, Sums(), None, rows)
            continue
        alone = len(root.spaces) == 1
        if root is not last and not alone and space.namespace != root.name:
            yield Group(root.name, False, root.sums, sums[f"{root.name}//"], [])
        heads_all = not alone and space.namespace == root.name
        yield Group(
            space.namespace,
            not alone and not heads_all,
            root.sums if heads_all else space.sums,
            (sums[f"{root.name}//"] if heads_all else sums[space.namespace]) if space.namespace else None,
            rows,
        )
        last = root


def _row(values: tuple[object, ...]) -> RepositoryRow:
    row = dict(zip(_FIELDS, values, strict=True))
    row["exclusive"] = row.pop("exclusive_bytes")
    row["platforms"] = str(row["platforms"]).split()
    row["kinds"] = str(row["kinds"]).split()
    return RepositoryRow(**row)  # type: ignore[arg-type]


def _described(rows: list[RepositoryRow]) -> list[RepositoryRow]:
    """With what the newest tag of each tells, in one query."""
    tags = IndexedTag.objects.filter(repository=OuterRef("pk")).order_by("-since")
    named = tags.filter(about="")
    found = {
        pk: told
        for pk, *told in IndexedRepository.objects.filter(pk__in=[row.pk for row in rows])
        .annotate(
            is_push=Subquery(tags.values("since_is_push")[:1]),
            kind=Subquery(named.values("manifest__kind")[:1]),
            artifact_type=Subquery(named.values("manifest__artifact_type")[:1]),
        )
        .values_list("pk", "is_push", "kind", "artifact_type")
    }
    return [
        RepositoryRow(
            **{name: getattr(row, name) for name in row.__slots__}
            | dict(zip(("pushed_is_known", "kind", "artifact_type"), _told(found.get(row.pk)), strict=True))
        )
        for row in rows
    ]


def _told(values: list[object] | None) -> tuple[bool, str, str]:
    is_push, kind, artifact_type = values or (False, "", "")
    return bool(is_push), str(kind or ""), str(artifact_type or "")


def _namespaces(spaces: Sequence[Space]) -> list[str]:
    """Every namespace and what is above it; the first components alone where that is too much to choose from."""
    found: set[str] = set()
    for space in spaces:
        namespace = space.namespace
        while namespace and namespace not in found:
            found.add(namespace)
            namespace = namespace_of(namespace)
    if len(found) > MAX_NAMESPACES:
        found = {namespace for namespace in found if "/" not in namespace}
    return sorted(found)


def _words(rows: QuerySet[IndexedRepository]) -> list[str]:
    words = {word for text in rows.order_by().values_list("platforms", flat=True).distinct() for word in text.split()}
    return sorted(words)
