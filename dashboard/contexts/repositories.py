"""The list of repositories as its page shows it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.utils.translation import gettext_lazy as _

from dashboard.charts.bars import Segment, segments
from dashboard.registry.references import is_repository
from dashboard.services.access import Access
from dashboard.services.index.lists import ListQuery
from dashboard.services.index.readings import UNSUPPORTED_NAME
from dashboard.services.index.repository_list import COLUMNS, DEFAULT_ORDER, Group, RepositoryList, RepositoryRow

from . import links
from .formats import legible
from .index_state import Building, Notice
from .kinds import kind_name
from .last_pull import Told, pull, push
from .lists import Choice, Head, Pagination, address, choices, heads, orders, pagination
from .platforms import PlatformName, platform_box
from .unread import Unread, unread

MAX_NAME = 255
MAX_PLATFORMS = 4
_BLANK = ""
"""The key of what a repository lacks to the longest bar of its page."""

ORDERS = {
    "pushed": _("Last push, newest first"),
    "-pushed": _("Last push, oldest first"),
    "name": _("Name"),
    "-name": _("Name, backwards"),
    "size": _("Size, largest first"),
    "-size": _("Size, smallest first"),
    "exclusive": _("Exclusive, largest first"),
    "-exclusive": _("Exclusive, smallest first"),
    "tags": _("Tags, most first"),
    "-tags": _("Tags, fewest first"),
    "pulled": _("Last pull, newest first"),
    "-pulled": _("Last pull, oldest first"),
}
_SENTENCES = {
    "pushed": _("the most recently pushed first"),
    "-pushed": _("those not pushed for longest first"),
    "name": _("sorted by name"),
    "-name": _("sorted by name, backwards"),
    "size": _("the largest first"),
    "-size": _("the smallest first"),
    "exclusive": _("those that would free most first"),
    "-exclusive": _("those that would free least first"),
    "tags": _("those with most tags first"),
    "-tags": _("those with fewest tags first"),
    "pulled": _("the most recently pulled first"),
    "-pulled": _("those not pulled for longest first"),
}


@dataclass(frozen=True, slots=True)
class RepositoryLine:
    """A row. `url` is "" for a name that the grammar forbids; `unread` tells why nothing else is known."""

    above: str
    short_name: str
    url: str
    tags: int
    platforms: Sequence[PlatformName]
    more_platforms: int
    kind: str
    bytes: int
    exclusive: int
    shared: int
    bar: Sequence[Segment]
    pushed: Told
    pulled: Told
    unread: Unread | None


@dataclass(frozen=True, slots=True)
class GroupLines:
    """Rows of one namespace below its sums; `name` is "" where there is no heading."""

    name: str
    url: str
    nested: bool
    repositories: int
    tags: int
    bytes: int
    exclusive: int
    pushed: Told
    pulled: Told
    lines: Sequence[RepositoryLine]


@dataclass(frozen=True, slots=True)
class EmptyName:
    """A repository without a tag."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class RepositoriesPage:
    """Everything that repositories.html shows. `at_most`: exclusive bytes may be fewer, as the storage is not read."""

    host: str
    url: str
    building: Building | None
    notices: Sequence[Notice]
    groups: Sequence[GroupLines]
    flat: bool
    contains: str
    filtered: bool
    total: int
    tags: int
    bytes: int
    exclusive: int
    shared_twice: int
    all: int
    all_tags: int
    all_bytes: int
    freeable: int | None
    at_most: bool
    empty: Sequence[EmptyName]
    empty_count: int
    namespaces: Sequence[Choice]
    more_namespaces: bool
    platforms: Sequence[Choice]
    orders: Sequence[Choice]
    heads: Mapping[str, Head]
    order: str
    pagination: Pagination
    tree_url: str
    flat_url: str
    clear_url: str
    csv_url: str
    json_url: str
    restricted: bool

    @property
    def is_empty(self) -> bool:
        """Whether the index knows nothing that this person may see."""
        return self.all == 0 and self.empty_count == 0 and not self.filtered


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the page tells beside the list: how the index stands, and what the rest of the database knows."""

    building: Building | None
    notices: Sequence[Notice]
    freeable: int | None
    exact: bool
    pulled_since: dt.datetime | None
    restricted: bool


def repositories_page(
    access: Access, query: ListQuery, found: RepositoryList, around: Surroundings
) -> RepositoriesPage:
    """The view model of the list."""
    path = links.repositories(access.registry)
    rows = [row for group in found.page.rows for row in group.rows]
    scale = max((row.bytes for row in rows), default=0)
    base = replace(query, page=1)
    return RepositoriesPage(
        host=access.registry.public_host,
        url=path,
        building=around.building,
        notices=around.notices,
        groups=[_group(access, group, scale, around, query) for group in found.page.rows],
        flat=query.flat,
        contains=query.contains,
        filtered=query.is_filtered,
        total=found.page.total,
        tags=found.chosen.tags,
        bytes=found.chosen_bytes.whole,
        exclusive=found.chosen.exclusive,
        shared_twice=found.chosen.bytes - found.chosen_bytes.whole,
        all=found.all.repositories,
        all_tags=found.all.tags,
        all_bytes=found.all_bytes.whole,
        freeable=around.freeable,
        at_most=not around.exact,
        empty=[_empty(access, name) for name in found.empty],
        empty_count=found.empty_count,
        namespaces=[
            replace(choice, label=f"{legible(choice.value, MAX_NAME)}/")
            for choice in choices(found.namespaces, query.namespace)
        ],
        more_namespaces=found.more_namespaces,
        platforms=choices(found.platforms, query.platform),
        orders=orders(query, ORDERS),
        heads=heads(path, query, COLUMNS, DEFAULT_ORDER),
        order=str(_SENTENCES[query.order.text]),
        pagination=pagination(path, query, found.page, len(rows)),
        tree_url=links.with_query(address(path, replace(base, flat=False)), view="tree"),
        flat_url=address(path, replace(base, flat=True)),
        clear_url=address(path, replace(base, contains="", namespace="", platform="")),
        csv_url=address(path, query, format="csv"),
        json_url=address(path, query, format="json"),
        restricted=around.restricted,
    )


def _group(access: Access, group: Group, scale: int, around: Surroundings, query: ListQuery) -> GroupLines:
    name = group.namespace or ""
    return GroupLines(
        name=legible(name, MAX_NAME),
        url=address(links.repositories(access.registry), replace(query, namespace=name, page=1)) if name else "",
        nested=group.nested,
        repositories=group.sums.repositories,
        tags=group.sums.tags,
        bytes=group.bytes.whole if group.bytes else 0,
        exclusive=group.bytes.exclusive if group.bytes else 0,
        pushed=push(group.sums.pushed_at, is_push=True),
        pulled=pull(group.sums.pulled_at, around.pulled_since),
        lines=[_line(access, row, scale, around, whole_name=not name) for row in group.rows],
    )


def _line(access: Access, row: RepositoryRow, scale: int, around: Surroundings, *, whole_name: bool) -> RepositoryLine:
    above, name = ("", row.name) if whole_name else (f"{row.namespace}/", row.name[len(row.namespace) + 1 :])
    supported = row.error_code != UNSUPPORTED_NAME and is_repository(row.name)
    parts = platform_box(row.platforms[:MAX_PLATFORMS])
    own = min(row.exclusive, row.bytes)
    drawn = [("own", own), ("shared", row.bytes - own), (_BLANK, scale - row.bytes)]
    return RepositoryLine(
        above=legible(above, MAX_NAME),
        short_name=legible(name, MAX_NAME),
        url=links.repository(access.registry, row.name) if supported else "",
        tags=row.tags,
        platforms=parts,
        more_platforms=max(0, len(row.platforms) - MAX_PLATFORMS),
        kind="" if parts else _kind(row),
        bytes=row.bytes,
        exclusive=own,
        shared=row.bytes - own,
        bar=[segment for segment in segments(drawn) if segment.key != _BLANK],
        pushed=push(row.pushed_at, is_push=row.pushed_is_known),
        pulled=pull(row.pulled_at, around.pulled_since),
        unread=unread(row.error_code, access.registry.public_host) if row.error_code and supported else None,
    )


def _kind(row: RepositoryRow) -> str:
    """The kind of the newest tag; else of any."""
    return kind_name(row.kind, row.artifact_type) or next(
        (name for kind in row.kinds if (name := kind_name(kind, ""))), ""
    )


def _empty(access: Access, name: str) -> EmptyName:
    return EmptyName(legible(name, MAX_NAME), links.repository(access.registry, name) if is_repository(name) else "")
