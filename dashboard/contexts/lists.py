"""What every list shares: the state in the address, links to other orders and pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext

from dashboard.services.browse import ListQuery, Page

from .links import with_query

NEIGHBOURS = 1


@dataclass(frozen=True, slots=True)
class PageLink:
    """A link to a page of a list; `gap` stands for pages left out."""

    number: int
    url: str
    current: bool = False
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Pagination:
    """Links to the pages of a list, and the rows that are shown ("26–50 of 148")."""

    links: Sequence[PageLink]
    previous: str
    next: str
    first: int
    last: int
    total: int

    @property
    def needed(self) -> bool:
        """Whether there is more than one page."""
        return len(self.links) > 1


@dataclass(frozen=True, slots=True)
class SortLink:
    """The head of the name column: where it leads, how the rows stand now."""

    url: str
    direction: str
    label: str


def pagination(path: str, query: ListQuery, page: Page[object]) -> Pagination:
    """The links below a list."""

    def url(number: int) -> str:
        return address(path, query, page=number if number > 1 else None)

    shown = {1, page.pages, *range(page.number - NEIGHBOURS, page.number + NEIGHBOURS + 1)}
    numbers = sorted(n for n in shown if 1 <= n <= page.pages)
    found: list[PageLink] = []
    for number in numbers:
        if found and number > found[-1].number + 1:
            found.append(PageLink(found[-1].number + 1, "", gap=True))
        found.append(PageLink(number, url(number), current=number == page.number))
    return Pagination(
        found,
        previous=url(page.number - 1) if page.number > 1 else "",
        next=url(page.number + 1) if page.number < page.pages else "",
        first=page.first + 1 if page.total else 0,
        last=page.first + len(page.rows),
        total=page.total,
    )


def name_sort(path: str, query: ListQuery) -> SortLink:
    """The link that turns the order by name round."""
    if query.descending:
        return SortLink(
            address(path, query, sort="name"), "descending", gettext("sorted by name, the highest version first")
        )
    return SortLink(address(path, query, sort="-name"), "ascending", gettext("sorted by name"))


def address(path: str, query: ListQuery, *, page: int | None = None, sort: str | None = None) -> str:
    """The list's address with its filter, order and page."""
    order = sort if sort is not None else query.extra.get("sort", "")
    return with_query(path, name=query.contains, view=query.extra.get("view", ""), sort=order, page=page)
