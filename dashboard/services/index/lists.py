"""Lists as queries of the index: what every one of them shares.

A list is filtered, ordered over all of its rows and cut into pages by the database; nothing here asks a registry for a
row. What a person may not know of is left out by the gate's filter before anything is counted.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import F, Q, QuerySet
from django.db.models.expressions import OrderBy

from dashboard.models import IndexedRepository, IndexState, Registry
from dashboard.registry.errors import Forbidden, RegistryError, Unauthorized
from dashboard.registry.references import RepositoryName
from dashboard.services import access as gate
from dashboard.services.access import Access, Visible

PAGE_SIZE = 50
MAX_EXPORTED = 100_000
MAX_KEPT = 2000

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Column:
    """What a list can be ordered by: a field, and whether the largest or newest comes first unless turned round."""

    field: str
    descending: bool = True
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a list. `turned`: against the column's own direction; in the address a "-" before the key."""

    key: str
    column: Column
    turned: bool = False

    @property
    def descending(self) -> bool:
        """Whether the largest, newest or alphabetically last row comes first."""
        return self.column.descending != self.turned

    @property
    def text(self) -> str:
        """As it stands in the address."""
        return f"-{self.key}" if self.turned else self.key

    def by(self, *ties: str) -> list[OrderBy | str]:
        """For order_by(): rows without a value come last either way."""
        field, last = F(self.column.field), True if self.column.nullable else None
        first = field.desc(nulls_last=last) if self.descending else field.asc(nulls_last=last)
        return [first, *(tie for tie in ties if tie.lstrip("-") != self.column.field), "pk"]


def order_of(text: str, columns: Mapping[str, Column], default: str) -> Order:
    """The order that the address asks for; `default` (a key) where it makes no sense."""
    key = text.removeprefix("-")
    if key not in columns:
        return Order(default, columns[default])
    return Order(key, columns[key], turned=text.startswith("-"))


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Filter, order and page of a list, as they stand in the address. `flat`: not by namespace; `older` in days."""

    order: Order
    contains: str = ""
    namespace: str = ""
    platform: str = ""
    flat: bool = False
    older: int = 0
    page: int = 1

    @property
    def is_filtered(self) -> bool:
        """Whether rows may be left out."""
        return bool(self.contains or self.namespace or self.platform or self.older)


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """One page of a list: its rows, and where it stands among `total`. `number` counts from 1."""

    rows: Sequence[T_co]
    number: int
    pages: int
    total: int
    first: int


def bounds(total: int, number: int) -> tuple[int, int, int]:
    """The page that exists nearest to `number`, how many there are, and the index of its first row."""
    pages = max(1, -(-total // PAGE_SIZE))
    number = min(max(1, number), pages)
    return number, pages, (number - 1) * PAGE_SIZE


def known(registry: Registry, visible: Visible) -> QuerySet[IndexedRepository]:
    """The repositories of the index that somebody may know of."""
    return IndexedRepository.objects.filter(registry=registry, read_at__isnull=False).filter(visible.filter)


def holding_platform(platform: str) -> Q:
    """For a field of words `linux/amd64 linux/arm64`: that `platform` is one of them."""
    return (
        Q(platforms=platform)
        | Q(platforms__startswith=f"{platform} ")
        | Q(platforms__endswith=f" {platform}")
        | Q(platforms__contains=f" {platform} ")
    )


def seen(access: Access, state: IndexState, first: gate.Choose | None = None) -> tuple[Visible, RegistryError | None]:
    """What of the index this person may see; the error where the registry could not be asked and need not be.

    `first` as for the gate.

    Raises RegistryError. People who act with the very credential that the index was read with over the API see all that
    it says while the registry does not answer.
    """
    try:
        return gate.visible(access, first), None
    except RegistryError as error:
        if not _needs_no_answer(access, state, error):
            raise
        return gate.by_rules(access), error


def enter(access: Access, state: IndexState, repository: RepositoryName) -> None:
    """Passes who may read `repository`, as far as that can be told. Raises RegistryError for anybody else."""
    gate.require_by_rules(access, repository)
    try:
        answer = gate.readable(access, [repository])[repository]
        if isinstance(answer, RegistryError):
            raise answer
    except RegistryError as error:
        if not _needs_no_answer(access, state, error):
            raise
        return
    if not answer:
        access.session.tags(repository)  # says itself why not


def _needs_no_answer(access: Access, state: IndexState, error: RegistryError) -> bool:
    if isinstance(error, Unauthorized | Forbidden):
        return False
    return access.registry.act_with == Registry.ActWith.DEFAULT and state.source == IndexState.Source.API


class Kept:
    """What this process has counted, by all that it follows from; of more than `most` the least used is forgotten."""

    def __init__(self, most: int = MAX_KEPT) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, count: Callable[[], T]) -> T:
        """What is kept under `key`, else what `count` returns, which is kept then."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                found: T = self._values[key]
                return found
        made = count()
        self.put(key, made)
        return made

    def known(self, key: Hashable) -> Any | None:
        """What is kept under `key`, or None."""
        with self._lock:
            return self._values.get(key)

    def put(self, key: Hashable, value: object) -> None:
        """Keeps `value` under `key`."""
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._most:
                self._values.popitem(last=False)
