"""Notifications as they come in: stored at once, doubles harmless, and the worker told; and whether any come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from dashboard.models import Job, Notification, NotificationState, Registry
from dashboard.services import jobs
from dashboard.services.quick_writes import write_within

from .envelope import Event

ROWS_AT_ONCE = 2000
WAIT_MILLISECONDS = 2000
"""For the write lock, for each transaction: a registry waits a few seconds for an answer."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Whether notifications arrive: when the first and the last came, how many today (UTC), how many wait for use."""

    first_at: dt.datetime | None
    last_at: dt.datetime | None
    count_today: int
    waiting: int


def store(*, registry: Registry, events: Sequence[Event]) -> bool:
    """Stores events, each id once, and asks for their use. False where the database was too busy to take them all.

    Of our own pulls only is kept that pulls are notified: a refresh over the API makes thousands of them.
    """
    now = timezone.now()
    rows = [
        Notification(registry=registry, event_id=event.id, received_at=now, payload=event.payload)
        for event in events
        if not event.is_own_pull
    ]
    for start in range(0, len(rows), ROWS_AT_ONCE):
        chunk = rows[start : start + ROWS_AT_ONCE]
        if not write_within(
            WAIT_MILLISECONDS,
            lambda chunk=chunk: Notification.objects.bulk_create(chunk, ignore_conflicts=True),  # type: ignore[misc]
        ):
            return False
    with_pulls = any(event.action == "pull" for event in events)
    if not write_within(WAIT_MILLISECONDS, lambda: _note_arrival(registry, now, with_pulls=with_pulls)):
        return False
    if rows:
        # If this is left out, `look_after` asks within the minute.
        write_within(WAIT_MILLISECONDS, lambda: ask_for_use(registry=registry))
    return True


def ask_for_use(*, registry: Registry) -> Job:
    """The job that uses what waits: the live one, or a new one."""
    return jobs.ask_for(kind=Job.Kind.NOTIFICATIONS, registry=registry, user=None)


def _note_arrival(registry: Registry, now: dt.datetime, *, with_pulls: bool) -> None:
    state = NotificationState.objects.filter(registry=registry)
    if not state.update(last_at=now):
        NotificationState.objects.bulk_create(
            [NotificationState(registry=registry, began_at=now, last_at=now)], ignore_conflicts=True
        )
    if with_pulls:
        state.filter(pulls_began_at=None).update(pulls_began_at=now)


def arriving(registry: Registry) -> Arrival:
    """Whether a registry's notifications arrive."""
    state = NotificationState.objects.filter(registry=registry).first()
    received = Notification.objects.filter(registry=registry)
    today = timezone.now().astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Arrival(
        first_at=state.began_at if state else None,
        last_at=state.last_at if state else None,
        count_today=received.filter(received_at__gte=today).count(),
        waiting=received.filter(processed_at=None).count(),
    )


def pulled_since(registry: Registry) -> dt.datetime | None:
    """Since when pulls are known of; None where none was ever notified, so that nothing can be said."""
    return NotificationState.objects.filter(registry=registry).values_list("pulls_began_at", flat=True).first()
