"""Which rows of tags a reading changes, decided by the times of readings alone; touches no database.

A later reading wins, in whatever order readings are written: that of a page, of a notification, of a refresh.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dashboard.models import IndexedTag, TagPeriod
from dashboard.registry.references import Digest

from .history import Move
from .readings import Reading

NEVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


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

    def moves(self, repository: str, began: dt.datetime, learnt: TagPeriod.Learnt | None = None) -> list[Move]:
        """What the history is told."""
        kept = [*self.come, *self.moved, *self.reread]
        return [
            *(Move(repository, tag.name, Digest(tag.digest), tag.since, learnt) for tag in kept if tag.digest),
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

    `fresh` makes the row of a tag as the reading has it; of one whose name alone was read, a row "not read yet". That
    row's `read_at` is when the tag was last known not to be there: what was read of it before is of another tag.
    """
    found = TagChanges(names_count=read_at is None or reading.began > read_at, after=dict(stored))
    for name in sorted(reading.names):
        old = stored.get(name)
        if old is None:
            if found.names_count:
                found.after[name] = new = fresh(name)
                if name not in reading.tags:
                    new.read_at = read_at or NEVER
                found.come.append(new)
        elif name in reading.tags and old.read_at < reading.began:
            found.after[name] = new = _following(old, fresh(name))
            (found.reread if new.digest == old.digest else found.moved).append(new)
    absent = [tag for name, tag in stored.items() if name not in reading.names and tag.read_at < reading.began]
    if found.names_count:
        found.gone = absent
        for tag in absent:
            del found.after[tag.name]
    else:
        # It went and came again since it was read, and nobody has read what it points at now.
        for tag in absent:
            found.after[tag.name] = new = _following(tag, fresh(tag.name))
            found.moved.append(new)
    return found


def _following(old: IndexedTag, new: IndexedTag) -> IndexedTag:
    """The new row in the old one's place. A tag that did not move keeps when it began to point there."""
    new.pk, new.pulled_at = old.pk, old.pulled_at
    if new.digest == old.digest and old.digest and not new.since_is_push:
        new.since, new.since_is_push = old.since, old.since_is_push
    return new
