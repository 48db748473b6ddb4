"""The names of all tags (of repositories that were read) as one text in memory, where a part of one is found at once.

A database looks at every row for that. The text is made again when a tag came or went: their number and the highest id
tell, for ids are never given twice.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Container, Iterator
from dataclasses import dataclass

from django.db.models import Max, Sum

from dashboard.models import IndexedRepository, IndexedTag

from .lists import Kept

_END = "\n"
"""Between two names: no tag contains it."""
_kept = Kept(most=1)


@dataclass(frozen=True, slots=True)
class TagNames:
    """Names in lower case, each with its place in `text`, its id, and its repository's id."""

    text: str
    starts: array[int]
    ids: array[int]
    repositories: array[int]

    def containing(self, part: str, allowed: Container[int] | None) -> Iterator[int]:
        """Rows whose name contains `part`, in any case; only of the `allowed` repositories (None: all)."""
        wanted = part.lower()
        position = self.text.find(wanted) if wanted and _END not in wanted else -1
        while position >= 0:
            row = bisect_right(self.starts, position) - 1
            if allowed is None or self.repositories[row] in allowed:
                yield row
            position = self.text.find(wanted, self.text.index(_END, position))

    def name(self, row: int) -> str:
        """The name in a row, in lower case."""
        start = self.starts[row]
        return self.text[start : self.text.index(_END, start)]


def tag_names() -> TagNames:
    """As they are now. One query, and one more that reads them all where any came or went."""
    count = IndexedRepository.objects.aggregate(Sum("tags"))["tags__sum"]
    highest = IndexedTag.objects.aggregate(Max("pk"))["pk__max"]
    names: TagNames = _kept.get((count, highest), _read)
    return names


def forget() -> None:
    """Forgets what this process knows."""
    global _kept
    _kept = Kept(most=1)


def _read() -> TagNames:
    names: list[str] = []
    starts, ids, repositories = array("q"), array("q"), array("q")
    place = 0
    rows = (
        IndexedTag.objects.filter(repository__read_at__isnull=False)
        .order_by()
        .values_list("pk", "repository_id", "name")
    )
    for pk, repository, name in rows.iterator(2000):
        starts.append(place)
        ids.append(pk)
        repositories.append(repository)
        names.append(name.lower().replace(_END, " "))
        place += len(names[-1]) + len(_END)
    return TagNames(_END.join([*names, ""]), starts, ids, repositories)
