"""What every list shares: the state in the address, links to other orders and pages, heads of columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dashboard.services.index.lists import Column, ListQuery, Order, Page

from .formats import legible
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
class Head:
    """The head of a column: where it leads, how the rows stand now (`direction` as aria-sort has it), its icon."""

    url: str
    direction: str
    icon: str


@dataclass(frozen=True, slots=True)
class Choice:
    """An option of a select."""

    value: str
    label: str
    chosen: bool


def pagination(path: str, query: ListQuery, page: Page[object], shown: int | None = None) -> Pagination:
    """The links below a list. `shown` rows are on this page (default: as many as `page.rows`)."""

    def url(number: int) -> str:
        return address(path, replace(query, page=number))

    near = {1, page.pages, *range(page.number - NEIGHBOURS, page.number + NEIGHBOURS + 1)}
    numbers = sorted(n for n in near if 1 <= n <= page.pages)
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
        last=page.first + (len(page.rows) if shown is None else shown),
        total=page.total,
    )


def heads(path: str, query: ListQuery, columns: Mapping[str, Column], default: str) -> dict[str, Head]:
    """The heads of the columns by their keys: each leads to its own order, the present one to it turned round."""
    found = {}
    for key, column in columns.items():
        current = query.order.key == key
        order = Order(key, column, turned=current and not query.order.turned)
        url = address(path, replace(query, order=order, page=1), default=default)
        if not current:
            found[key] = Head(url, "none", "sort")
        elif query.order.descending:
            found[key] = Head(url, "descending", "sort-down")
        else:
            found[key] = Head(url, "ascending", "sort-up")
    return found


def orders(query: ListQuery, labels: Mapping[str, object]) -> list[Choice]:
    """The orders to choose from where there are no heads; the present one is among them."""
    return [Choice(text, str(label), text == query.order.text) for text, label in labels.items()]


def choices(values: Iterable[str], chosen: str) -> list[Choice]:
    """Options that are their own labels, without those that could not be read; what was asked for is among them."""
    listed = [value for value in values if legible(value) == value]
    if chosen and chosen not in listed and legible(chosen) == chosen:
        listed.insert(0, chosen)
    return [Choice(value, value, value == chosen) for value in listed]


def address(path: str, query: ListQuery, *, default: str | None = None, format: str = "") -> str:  # noqa: A002
    """The list's address with its filter, order and page. `default`: the order that needs no naming."""
    return with_query(
        path,
        name=query.contains,
        namespace=query.namespace,
        platform=query.platform,
        older=query.older or "",
        view="flat" if query.flat else "",
        sort="" if query.order.text == (default or _DEFAULT) else query.order.text,
        page=query.page if query.page > 1 and not format else "",
        format=format,
    )


_DEFAULT = "pushed"
