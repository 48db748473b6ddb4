"""Asking a registry several things at once, within one process-wide bound, without touching the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from dashboard.registry.errors import RegistryError

CONCURRENCY = 8
"""Requests under way at once for one page; the client bounds those of the whole process."""

K = TypeVar("K")
R = TypeVar("R")


def each(keys: Iterable[K], ask: Callable[[K], R]) -> dict[K, R | RegistryError]:
    """`ask(key)` for each distinct key, side by side: the answer or the RegistryError, in the order of the keys."""
    distinct = list(dict.fromkeys(keys))
    if not distinct:
        return {}
    with ThreadPoolExecutor(max_workers=min(CONCURRENCY, len(distinct)), thread_name_prefix="registry") as pool:
        asked: dict[K, Future[R | RegistryError]] = {key: pool.submit(_answer, ask, key) for key in distinct}
        return {key: future.result() for key, future in asked.items()}


def ahead(items: Iterable[K], ask: Callable[[K], R]) -> Iterator[tuple[K, R]]:
    """Each item with `ask(item)`, in order; the next one is being asked while the caller works on this one.

    `ask` runs in another thread and must not touch the database. What it raises is raised here.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as pool:
        waiting: tuple[K, Future[R]] | None = None
        for item in items:
            following = item, pool.submit(ask, item)
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = following
        if waiting is not None:
            yield waiting[0], waiting[1].result()


def _answer(ask: Callable[[K], R], key: K) -> R | RegistryError:
    try:
        return ask(key)
    except RegistryError as error:
        return error
