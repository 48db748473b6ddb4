"""Listing a bucket from several places at once.

S3 lists in the order of keys, a thousand at a time, one page after the other. What is short is listed in one row; where
it goes on, the rest is cut at directories into ranges of keys that are listed side by side, and those again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Protocol

from .bucket import Entry, KeyRefused

AT_ONCE = 16
PAGES_IN_A_ROW = 4
_CUT_INTO = 16
_LOOK_SECONDS = 0.5


class Lister(Protocol):
    """What of an object store a listing needs; as `bucket.Bucket`."""

    def pages(self, below: str, after: str = "") -> Iterator[list[Entry]]:
        """All objects below `below`, by key, beyond `after`. Raises KeyRefused."""

    def children(self, below: str) -> tuple[list[str], list[Entry]]:
        """Directories and objects right in `below`. Raises KeyRefused."""


@dataclass(frozen=True, slots=True)
class _Range:
    """Keys below `below` that follow `after` and, where it is given, precede `before`.

    `children`: the directories that these keys lie in, in order, where that is known already.
    """

    below: str
    after: str = ""
    before: str = ""
    children: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Listed:
    entries: list[Entry]
    rest: Sequence[_Range] = ()
    refused: str | None = None


class Listing:
    """All objects below `below`, in pieces and in no order; some may come twice.

    `is_cut` tells of a directory whether its children may be listed apart (not where there are very many of one object
    each), `is_left` whether a directory is left out where it has not been listed by the way: an entry that ends with a
    slash stands for it. `refused` are, in the end, the directories with a key that the client cannot name: what lies
    in these by itself was not listed. `alive` is called now and then; what it raises ends the listing.
    """

    def __init__(
        self,
        store: Lister,
        below: str,
        *,
        is_cut: Callable[[str], bool],
        is_left: Callable[[str], bool],
        alive: Callable[[], None],
    ) -> None:
        self._store = store
        self._is_cut = is_cut
        self._is_left = is_left
        self._alive = alive
        self._pending = deque([_Range(below)])
        self.refused: list[str] = []

    def __iter__(self) -> Iterator[list[Entry]]:
        """Raises BucketUnreadable, and what `alive` raises."""
        running: set[Future[_Listed]] = set()
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="listing")
        try:
            while self._pending or running:
                while self._pending and len(running) < AT_ONCE:
                    running.add(pool.submit(self._list, self._pending.popleft()))
                done, running = wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
                self._alive()
                for future in done:
                    found = future.result()
                    self._pending.extend(found.rest)
                    if found.refused is not None:
                        self.refused.append(found.refused)
                    yield found.entries
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _list(self, part: _Range) -> _Listed:
        entries: list[Entry] = []
        try:
            for number, page in enumerate(self._store.pages(part.below, part.after), 1):
                for entry in page:
                    if part.before and entry.key >= part.before:
                        return _Listed(entries)
                    entries.append(entry)
                if number >= PAGES_IN_A_ROW:
                    return self._cut(part, entries)
        except KeyRefused:
            return self._around(part, entries)
        return _Listed(entries)

    def _cut(self, part: _Range, entries: list[Entry]) -> _Listed:
        """What was listed of a range, and the ranges that are left of it."""
        last = entries[-1].key
        if not self._is_cut(part.below):
            return _Listed(entries, [replace(part, after=last)])
        children: Sequence[str] = part.children
        if not children:
            found, direct = self._store.children(part.below)
            entries.extend(direct)
            # A child's keys go on with a slash: that is how S3 orders app-x before app.
            children = sorted(found, key=lambda child: f"{child}/")
        current = last[len(part.below) + 1 :].partition("/")[0]
        later = [child for child in children if f"{part.below}/{child}/" > last]
        rest = [_Range(f"{part.below}/{current}", after=last)] if current in children else []
        size = -(-len(later) // _CUT_INTO)
        for start in range(0, len(later), size or 1):
            group = later[start : start + size]
            following = f"{part.below}/{later[start + size]}/" if start + size < len(later) else part.before
            if len(group) == 1:
                rest.append(_Range(f"{part.below}/{group[0]}"))
            else:
                # The client takes a slash off the end of where to begin; nothing but control characters sort before
                # the blank.
                rest.append(_Range(part.below, f"{part.below}/{group[0]}/ ", following, tuple(group)))
        return _Listed(entries, self._without_left(rest, entries))

    def _around(self, part: _Range, entries: list[Entry]) -> _Listed:
        """Each child by itself, where one key in all of them cannot be named."""
        try:
            children, direct = self._store.children(part.below)
        except KeyRefused:
            return _Listed(entries, refused=part.below)
        entries.extend(direct)
        return _Listed(entries, self._without_left([_Range(f"{part.below}/{child}") for child in children], entries))

    def _without_left(self, ranges: Sequence[_Range], entries: list[Entry]) -> list[_Range]:
        kept = []
        for each in ranges:
            if self._is_left(each.below):
                entries.append(Entry(f"{each.below}/", 0, 0.0, ""))
            else:
                kept.append(each)
        return kept
