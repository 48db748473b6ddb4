"""What the tests of notifications do: send them, let the worker work, look at what was counted."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Sum

from dashboard import tasks
from dashboard.models import (
    IndexedRepository,
    IndexedTag,
    Job,
    PullDay,
    Registry,
)
from dashboard.services.notifications import receive
from dashboard.services.notifications.envelope import read_envelope
from tests.support.events import envelope, event

NOON = dt.datetime(2026, 5, 3, 12, 0, tzinfo=dt.UTC)
INDEX, OTHER_INDEX, CHILD, IMAGE = (f"sha256:{letter * 64}" for letter in "1234")


def point(repository: IndexedRepository, name: str, digest: str) -> None:
    IndexedTag.objects.create(
        repository=repository, name=name, sort_key=name.encode(), digest=digest, read_at=NOON, since=NOON
    )


def notify(registry: Registry, *events: dict[str, Any]) -> None:
    assert receive.store(registry=registry, events=read_envelope(envelope(*events)))


def work(registry: Registry) -> Job:
    """What the worker does with the job that was asked for."""
    job = receive.ask_for_use(registry=registry)
    tasks.run_job(str(job.pk))
    job.refresh_from_db()
    return job


def pull(repository: str = "app", minute: float = 0, **fields: Any) -> dict[str, Any]:
    return event("pull", repository, at=NOON + dt.timedelta(minutes=minute), **fields)


def counted() -> dict[tuple[str, str], tuple[int, int]]:
    """GETs and HEADs by tag and digest."""
    rows = PullDay.objects.values_list("tag", "digest").annotate(Sum("gets"), Sum("heads"))
    return {(tag, digest): (gets, heads) for tag, digest, gets, heads in rows}


def last_pulls() -> dict[str, dt.datetime | None]:
    return dict(IndexedTag.objects.values_list("name", "pulled_at"))
