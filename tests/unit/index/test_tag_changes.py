"""A later reading wins, in whatever order readings are written: nothing that was read later is undone by what comes
late.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from dashboard.models import IndexedTag
from dashboard.registry.references import Digest
from dashboard.services.index.readings import NOT_READ_YET, Reading, TagReading
from dashboard.services.index.tag_changes import changes

NOON = dt.datetime(2026, 5, 3, 12, 0, tzinfo=dt.UTC)
TAGS = ("a", "b", "c")
DIGESTS = tuple(Digest(f"sha256:{letter * 64}") for letter in "123")

State = Mapping[str, tuple[Digest, int]]
"""What tags point at, and since which minute."""


def at(minute: float) -> dt.datetime:
    return NOON + dt.timedelta(minutes=minute)


@dataclass
class Rows:
    """A repository's rows as readings are applied to them."""

    read_at: dt.datetime | None = None
    tags: Mapping[str, IndexedTag] = ()  # type: ignore[assignment]

    def apply(self, reading: Reading) -> None:
        def fresh(name: str) -> IndexedTag:
            found = reading.tags.get(name, TagReading(None, error_code=NOT_READ_YET))
            return IndexedTag(
                name=name,
                digest=found.digest or "",
                error_code=found.error_code,
                read_at=reading.began,
                since=found.pushed_at or reading.began,
                since_is_push=found.pushed_at is not None,
            )

        found = changes(read_at=self.read_at, stored=dict(self.tags), reading=reading, fresh=fresh)
        if found.names_count:
            self.read_at = reading.began
        self.tags = found.after

    @property
    def said(self) -> dict[str, tuple[str, str, dt.datetime, dt.datetime | None]]:
        """What the rows say; when a tag was first seen there is an estimate unless it was a push."""
        return {
            name: (tag.digest, tag.error_code, tag.read_at, tag.since if tag.since_is_push else None)
            for name, tag in sorted(self.tags.items())
        }


def written(readings: Sequence[Reading]) -> Rows:
    rows = Rows(tags={})
    for reading in readings:
        rows.apply(reading)
    return rows


@st.composite
def moving(draw: st.DrawFn) -> list[State]:
    """A repository minute by minute."""
    states: list[State] = [{}]
    for minute in range(1, draw(st.integers(1, 6)) + 1):
        targets = draw(st.dictionaries(st.sampled_from(TAGS), st.sampled_from(DIGESTS), max_size=len(TAGS)))
        before = states[-1]
        states.append(
            {
                tag: before[tag] if tag in before and before[tag][0] == digest else (digest, minute)
                for tag, digest in targets.items()
            }
        )
    return states


def reading_of(states: Sequence[State], minute: int, shown: set[str] | None, *, pushes: bool) -> Reading:
    """What is read at this minute; with `shown` only of these what they point at."""
    state = states[minute]
    return Reading(
        "app",
        at(minute),
        frozenset(state),
        {
            tag: TagReading(digest, at(since) if pushes else None)
            for tag, (digest, since) in state.items()
            if shown is None or tag in shown
        },
    )


@st.composite
def read_in_any_order(draw: st.DrawFn) -> tuple[list[Reading], list[Reading]]:
    """Readings in the order of their beginnings, and in another one."""
    states = draw(moving())
    pushes = draw(st.booleans())
    shown = st.none() | st.sets(st.sampled_from(TAGS))
    readings = [reading_of(states, minute, draw(shown), pushes=pushes) for minute in range(len(states))]
    return readings, draw(st.permutations(readings))


@given(read_in_any_order())
def test_every_order_of_writing_ends_as_the_order_of_reading(orders: tuple[list[Reading], list[Reading]]) -> None:
    in_order, shuffled = written(orders[0]), written(orders[1])
    assert shuffled.said == in_order.said
    assert shuffled.read_at == in_order.read_at


@given(read_in_any_order())
def test_rows_say_what_was_read_last_of_each_tag(orders: tuple[list[Reading], list[Reading]]) -> None:
    readings, shuffled = orders
    rows = written(shuffled)
    assert rows.tags.keys() == readings[-1].names
    for name, tag in rows.tags.items():
        gone = max((n for n, r in enumerate(readings) if name not in r.names), default=-1)
        read = [r.tags[name].digest for r in readings[gone + 1 :] if name in r.tags]
        assert (tag.digest, tag.error_code) == ((read[-1], "") if read else ("", NOT_READ_YET))


@given(read_in_any_order(), st.data())
def test_writing_a_reading_again_changes_nothing(
    orders: tuple[list[Reading], list[Reading]], data: st.DataObject
) -> None:
    """A refresh that was killed writes some readings twice."""
    rows = written(orders[1])
    before = rows.said
    rows.apply(data.draw(st.sampled_from(orders[1])))
    assert rows.said == before


def test_a_tag_that_is_still_there_keeps_when_it_was_first_seen_and_last_pulled() -> None:
    first = Reading("app", at(1), frozenset("a"), {"a": TagReading(DIGESTS[0])})
    rows = written([first])
    rows.tags["a"].pulled_at = at(1.5)
    rows.apply(Reading("app", at(2), frozenset("ab"), {"a": TagReading(DIGESTS[0]), "b": TagReading(DIGESTS[0])}))
    tag = rows.tags["a"]
    assert (tag.since, tag.read_at, tag.pulled_at) == (at(1), at(2), at(1.5))
    rows.apply(Reading("app", at(3), frozenset("a"), {"a": TagReading(DIGESTS[1])}))
    tag = rows.tags["a"]
    assert (tag.since, tag.digest, tag.pulled_at) == (at(3), DIGESTS[1], at(1.5))


def test_a_page_that_reads_some_tags_takes_nothing_away_of_the_others() -> None:
    """A page of a large repository reads every name and the targets of one page."""
    rows = written([Reading("app", at(1), frozenset("ab"), {tag: TagReading(DIGESTS[0]) for tag in "ab"})])
    rows.apply(Reading("app", at(2), frozenset("abc"), {"a": TagReading(DIGESTS[1])}))
    assert {name: (tag.digest, tag.error_code) for name, tag in rows.tags.items()} == {
        "a": (DIGESTS[1], ""),
        "b": (DIGESTS[0], ""),
        "c": ("", NOT_READ_YET),
    }
