"""The stream: three tables in one order, page after page, whatever the times; batches and days as one row."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from dashboard.models import AuditEntry, Registry
from dashboard.services.access import Visible
from dashboard.services.activity import stream
from dashboard.services.activity.asked import Asked, What
from dashboard.services.activity.seen import Seen
from dashboard.services.activity.stream import Change, Deed, Pulls

from .making import NOON, digest, done, hours, notified, pulled

pytestmark = pytest.mark.django_db


@pytest.fixture
def registry() -> Registry:
    """A registry that nobody asks."""
    return Registry.objects.create(slug="default", url="http://r", public_host="r")


@pytest.fixture
def seen(registry: Registry) -> Seen:
    """Maria's view of all of it."""
    return Seen(registry, "maria", is_administrator=False, visible=Visible(Q()))


def pages(seen: Seen, asked: Asked = Asked()) -> list[stream.Stream]:  # noqa: B008 (frozen)
    found = [stream.page(seen, asked)]
    while found[-1].older is not None:
        found.append(stream.page(seen, replace(asked, before=found[-1].older)))
    return found


def raw(seen: Seen) -> list[tuple[str, int]]:
    """What stands on all pages, row for row, as table and id."""
    found = []
    for page in pages(seen):
        for row in page.rows:
            if isinstance(row, Change):
                found += [("RegistryEvent", event.pk) for event in row.events]
            elif isinstance(row, Deed):
                found += [("AuditEntry", entry.pk) for entry in row.entries]
            else:
                found.append(("PullDay", row.place.pk))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_pages_hold_everything_once_in_one_order_whatever_the_times(
    registry: Registry, seen: Seen, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few different times, so that pages end amid rows of one moment from all three tables."""
    monkeypatch.setattr(stream, "PAGE_SIZE", 7)
    chance = random.Random(seed)
    made = []
    for number in range(60):
        at = hours(chance.randrange(4))
        kind = chance.randrange(3)
        if kind == 0:
            made.append(("AuditEntry", done("default", at=at).pk))
        elif kind == 1:
            made.append(("RegistryEvent", notified(registry, at=at, actor=f"a{number}").pk))
        else:
            made.append(("PullDay", pulled(registry, at=at, digest=digest(number)).pk))
    found = raw(seen)
    assert sorted(found) == sorted(made)
    places = [row.place for page in pages(seen) for row in page.rows]
    assert places == sorted(places, reverse=True)
    assert len(set(places)) == len(places) == 60


def test_what_comes_while_somebody_pages_moves_nothing(
    registry: Registry, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PAGE_SIZE", 3)
    old = [done("default", at=hours(n)).pk for n in range(6)]
    first = stream.page(seen, Asked())
    done("default", at=hours(9))
    second = stream.page(seen, Asked(before=first.older))
    assert [row.entries[0].pk for page in (first, second) for row in page.rows if isinstance(row, Deed)] == old[::-1]
    assert second.older is None


def batch_of(count: int, batch: uuid.UUID | None = None, *, at: float = 0, **fields: Any) -> uuid.UUID:
    batch = batch or uuid.uuid4()
    for number in range(count):
        done("default", at=hours(at + number / 1000), batch=batch, tags=[f"pr-{number}", f"x-{number}"], **fields)
    return batch


def test_a_batch_is_one_row_wherever_its_entries_lie(
    registry: Registry, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PAGE_SIZE", 2)
    monkeypatch.setattr(stream, "MAX_IN_FOLD", 5)
    batch = batch_of(20, bytes=10)
    batch_of(2, batch, at=0.03, outcome="refused")
    notified(registry, at=hours(0.005))
    done("default", at=hours(-1))
    everything = [row for page in pages(seen) for row in page.rows]
    assert [type(row).__name__ for row in everything] == ["Deed", "Change", "Deed"]
    deed = everything[0]
    assert isinstance(deed, Deed)
    assert (deed.count, deed.tags, deed.bytes, deed.bad, deed.bad_tags) == (22, 44, 200, 2, 4)
    assert len(deed.entries) == 5
    assert deed.place.at == max(AuditEntry.objects.filter(batch=batch).values_list("at", flat=True))


def test_a_restoration_and_another_person_are_other_rows_of_the_batch(seen: Seen) -> None:
    batch = batch_of(3)
    batch_of(2, batch, at=1, action="restore")
    batch_of(1, batch, at=2, action="restore", user="jonas")
    rows = [row for row in pages(seen)[0].rows if isinstance(row, Deed)]
    found = [(row.entries[0].action, row.entries[0].user, row.count) for row in rows]
    assert found == [("restore", "jonas", 1), ("restore", "maria", 2), ("delete", "maria", 3)]


def test_of_a_batch_a_filter_shows_what_it_lets_through(seen: Seen) -> None:
    batch = batch_of(1, outcome="failed")
    batch_of(3, batch, at=1)
    (deed,) = stream.page(seen, Asked(what=What.FAILED)).rows
    assert isinstance(deed, Deed)
    assert (deed.count, deed.bad) == (1, 1), "its last entry is none of those"


def test_pulls_of_a_digest_on_a_day_are_one_row_by_whatever_tag(registry: Registry, seen: Seen) -> None:
    pulled(registry, at=hours(0), tag="", gets=5)
    pulled(registry, at=hours(1), tag="1.0", gets=2, heads=3)
    pulled(registry, at=hours(1), tag="latest", gets=1)
    pulled(registry, at=hours(2), tag="other", digest=digest(2))
    pulled(registry, at=hours(-24), tag="1.0")
    rows = [row for row in pages(seen)[0].rows if isinstance(row, Pulls)]
    found = [(row.digest, sorted(row.tags), row.gets, row.heads) for row in rows]
    assert found == [(digest(2), ["other"], 1, 0), (digest(1), ["1.0", "latest"], 8, 3), (digest(1), ["1.0"], 1, 0)]


def test_what_one_client_does_at_once_is_one_row(registry: Registry, seen: Seen) -> None:
    for second in range(3):
        notified(registry, at=NOON + dt.timedelta(seconds=second), tag="" if second < 2 else "1.0")
    notified(registry, at=NOON + dt.timedelta(seconds=1), actor="somebody else")
    notified(registry, at=NOON + dt.timedelta(minutes=5))
    notified(registry, "delete", at=NOON + dt.timedelta(seconds=2))
    rows = [row for row in pages(seen)[0].rows if isinstance(row, Change)]
    found = [(len(row.events), row.events[0].actor) for row in rows]
    assert sorted(found) == [(1, "ci-runner"), (1, "ci-runner"), (1, "somebody else"), (3, "ci-runner")]


def test_another_registrys_rows_are_not_among_them(registry: Registry, seen: Seen) -> None:
    other = Registry.objects.create(slug="other", url="http://o", public_host="o")
    done("other")
    notified(other)
    pulled(other)
    assert pages(seen)[0].rows == []


def test_a_thousand_entries_of_one_deletion_cost_no_more_queries(registry: Registry, seen: Seen) -> None:
    costs = []
    for count in (2, 1000):
        AuditEntry.objects.all().delete()
        batch = uuid.uuid4()
        AuditEntry.objects.bulk_create(
            AuditEntry(
                action="delete",
                at=hours(n / 1000),
                user="m",
                registry="default",
                outcome="done",
                batch=batch,
                tags=["t"],
            )
            for n in range(count)
        )
        with CaptureQueriesContext(connection) as queries:
            (row,) = stream.page(seen, Asked()).rows
        assert isinstance(row, Deed)
        assert (row.count, row.tags, len(row.entries)) == (count, count, min(count, stream.MAX_IN_FOLD))
        costs.append(len(queries))
    assert costs[0] == costs[1]
