"""What applying readings changed."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Applied:
    """What readings changed: names of repositories whose tags came, moved or went, and how many tags did.

    `blobs` are those (ids) that a repository came to hold or holds no more: what is exclusive to others may change by
    them. They are told of the readings of one call, and not summed up.
    """

    changed: set[str] = field(default_factory=set)
    blobs: set[int] = field(default_factory=set)
    came: int = 0
    moved: int = 0
    went: int = 0

    def add(self, other: Applied) -> None:
        """Counts `other` in, but for its blobs."""
        self.changed |= other.changed
        self.came += other.came
        self.moved += other.moved
        self.went += other.went
