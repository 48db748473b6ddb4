"""The list of repositories as its page shows it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from dashboard.registry.references import is_tag, namespace_of
from dashboard.services.access import Access
from dashboard.services.browse import ListQuery, RepositoryList, RepositoryRow

from . import links
from .errors import Problem, problem_of
from .formats import legible
from .lists import Pagination, SortLink, name_sort, pagination

TAGS_NAMED = 6
MAX_NAME = 255
_ATTACHED = re.compile(r"sha256-[a-f0-9]{64}(\.\w+)?")
"""Tags of signatures and other referrers: they name nothing that a person would pull."""


@dataclass(frozen=True, slots=True)
class TagLink:
    """A tag named in a row."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class RepositoryLine:
    """A row: the repository's name below its namespace, its tags, or why they could not be read."""

    name: str
    short_name: str
    url: str
    supported: bool
    tags: int | None
    named: Sequence[TagLink]
    more: int
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one namespace; "" for repositories without one."""

    namespace: str
    lines: Sequence[RepositoryLine]


@dataclass(frozen=True, slots=True)
class RepositoriesPage:
    """Everything that repositories.html shows."""

    groups: Sequence[Group]
    by_namespace: bool
    contains: str
    shown: int
    total: int
    listed: int
    complete: bool
    chosen: bool
    tags_on_page: int
    pagination: Pagination
    sort: SortLink
    tree_url: str
    flat_url: str
    clear_url: str
    host: str

    @property
    def is_empty(self) -> bool:
        """Whether the registry lists nothing at all that this person may read."""
        return self.listed == 0 and not self.contains


def repositories_page(access: Access, query: ListQuery, found: RepositoryList) -> RepositoriesPage:
    """The view model of the list."""
    path = links.repositories(access.registry)
    by_namespace = query.extra.get("view") != "flat"
    lines = [_line(access, row, by_namespace) for row in found.page.rows]
    if by_namespace:
        by_ns = groupby(lines, key=lambda line: namespace_of(line.name))
        groups = [Group(legible(ns, MAX_NAME), list(rows)) for ns, rows in by_ns]
    else:
        groups = [Group("", lines)]
    return RepositoriesPage(
        groups=groups,
        by_namespace=by_namespace,
        contains=query.contains,
        shown=len(lines),
        total=found.page.total,
        listed=found.listed,
        complete=found.complete,
        chosen=found.chosen,
        tags_on_page=sum(line.tags or 0 for line in lines),
        pagination=pagination(path, query, found.page),
        sort=name_sort(path, query),
        tree_url=links.with_query(path, name=query.contains, sort=query.extra.get("sort")),
        flat_url=links.with_query(path, name=query.contains, sort=query.extra.get("sort"), view="flat"),
        clear_url=links.with_query(path, view=query.extra.get("view")),
        host=access.registry.public_host,
    )


def _line(access: Access, row: RepositoryRow, by_namespace: bool) -> RepositoryLine:
    readable = [tag for tag in row.tags or () if is_tag(tag) and not _ATTACHED.fullmatch(tag)]
    named = readable[:TAGS_NAMED]
    return RepositoryLine(
        name=row.name,
        short_name=legible(row.name.rpartition("/")[2] if by_namespace else row.name, MAX_NAME),
        url=links.repository(access.registry, row.name) if row.supported else "",
        supported=row.supported,
        tags=len(row.tags) if row.tags is not None else None,
        named=[TagLink(tag, links.tag(access.registry, row.name, tag)) for tag in named],
        more=len(row.tags or ()) - len(named),
        problem=problem_of(row.error) if row.error else None,
    )
