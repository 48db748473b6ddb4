"""What is asked of the stream: a filter, and the place from which on. Pure."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Self

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_PLACE = re.compile(r"([0-9]{1,18})-([0-9])-([0-9]{1,18})", re.ASCII)


class What(StrEnum):
    """What is shown; the values stand in addresses."""

    ALL = ""
    PUSHES = "pushes"
    PULLS = "pulls"
    DELETIONS = "deletions"
    RESTORES = "restores"
    MOVES = "moves"
    PROTECTION = "protection"
    SIGN_INS = "sign-ins"
    PEOPLE = "people"
    FAILED = "failed"


class Source(NamedTuple):
    """One of the tables: of what happened at one moment the higher rank stands first."""

    rank: int
    time: str


AUDIT, EVENTS, PULLS = Source(3, "at"), Source(2, "at"), Source(1, "last_at")


class Place(NamedTuple):
    """The place of a row in the stream, which orders all three tables: time, rank of its table, its id."""

    at: dt.datetime
    rank: int
    pk: int

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // dt.timedelta(microseconds=1)}-{self.rank}-{self.pk}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """From an address; None for what is no place."""
        found = _PLACE.fullmatch(text)
        if found is None:
            return None
        try:
            at = _EPOCH + dt.timedelta(microseconds=int(found[1]))
        except OverflowError:
            return None
        return cls(at, int(found[2]), int(found[3]))


@dataclass(frozen=True, slots=True)
class Asked:
    """A filter of the stream, and the place below which a page begins (None: at the newest).

    `who` and `repository` are parts of names, in any case; `first_day` and `last_day` belong to it, in the zone of the
    page's times.
    """

    who: str = ""
    what: What = What.ALL
    repository: str = ""
    first_day: dt.date | None = None
    last_day: dt.date | None = None
    before: Place | None = None

    @property
    def is_filtered(self) -> bool:
        """Whether anything may be left out."""
        return bool(self.who or self.what or self.repository or self.first_day or self.last_day)
