"""Asking a registry several things at once, within one process-wide bound, without touching the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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


def _answer(ask: Callable[[K], R], key: K) -> R | RegistryError:
    try:
        return ask(key)
    except RegistryError as error:
        return error
