"""Which rows of tags a reading changes, decided by the times of readings alone; touches no database.

A later reading wins, in whatever order readings are written: that of a page, of a notification, of a refresh.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dashboard.models import IndexedTag
from dashboard.registry.references import Digest

from .history import Move
from .readings import Reading


@dataclass(slots=True)
class TagChanges:
    """Rows to insert, to update and to delete, and the tags as they are then. `names_count`: see `write`."""

    names_count: bool
    after: dict[str, IndexedTag]
    come: list[IndexedTag] = field(default_factory=list)
    moved: list[IndexedTag] = field(default_factory=list)
    reread: list[IndexedTag] = field(default_factory=list)
    gone: list[IndexedTag] = field(default_factory=list)

    @property
    def is_change(self) -> bool:
        """Whether a tag came, moved or went."""
        return bool(self.come or self.moved or self.gone)

    def moves(self, repository: str, began: dt.datetime) -> list[Move]:
        """What the history is told."""
        kept = [*self.come, *self.moved, *self.reread]
        return [
            *(Move(repository, tag.name, Digest(tag.digest), tag.since) for tag in kept if tag.digest),
            *(Move(repository, tag.name, None, began) for tag in self.gone),
        ]


def changes(
    *,
    read_at: dt.datetime | None,
    stored: Mapping[str, IndexedTag],
    reading: Reading,
    fresh: Callable[[str], IndexedTag],
) -> TagChanges:
    """What `reading` changes in a repository whose names were last read at `read_at` and whose tags are `stored`.

    `fresh` makes the row of a tag as the reading has it.
    """
    found = TagChanges(names_count=read_at is None or reading.began > read_at, after=dict(stored))
    for name in reading.tags:
        old = stored.get(name)
        if old is None:
            if found.names_count:
                found.after[name] = fresh(name)
                found.come.append(found.after[name])
        elif old.read_at < reading.began:
            found.after[name] = new = _following(old, fresh(name))
            (found.reread if new.digest == old.digest else found.moved).append(new)
    if found.names_count:
        found.gone = [tag for name, tag in stored.items() if name not in reading.names and tag.read_at < reading.began]
        for tag in found.gone:
            del found.after[tag.name]
    return found


def _following(old: IndexedTag, new: IndexedTag) -> IndexedTag:
    """The new row in the old one's place. A tag that did not move keeps when it began to point there."""
    new.pk, new.pulled_at = old.pk, old.pulled_at
    if new.digest == old.digest and old.digest and not new.since_is_push:
        new.since, new.since_is_push = old.since, old.since_is_push
    return new
