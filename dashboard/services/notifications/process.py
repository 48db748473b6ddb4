"""What waits is used by the worker: one job at a time for each registry, in whatever order the events came.

Pushes and deletions: the repositories they name are read again, each once however many events name it. A repository
that cannot be read now is left to the next refresh. Pulls are counted, pushes and deletions kept with who and when; an
event is marked as used in the transaction that does so, so that it counts once.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from dashboard.models import Job, Notification, Registry
from dashboard.registry.errors import RegistryError
from dashboard.registry.references import is_repository
from dashboard.services import jobs, protected_moves
from dashboard.services.index.update import read_again
from dashboard.storage.errors import StorageError

from . import changes, pulls
from .envelope import Event
from .receive import ask_for_use

logger = logging.getLogger(__name__)

READ_AT_ONCE = 5000
ROWS_AT_ONCE = 500
REPOSITORIES_AT_ONCE = 10
PRUNED_AT_ONCE = 2000
JOBS_KEPT = dt.timedelta(days=1)
"""A busy registry asks for thousands of these jobs a day; those that ended well say nothing later."""

_CHANGES = frozenset({"push", "delete"})

Row = tuple[int, str, dict[str, str], dt.datetime]


def run(job: Job) -> None:
    """Uses everything that waits of the job's registry, and ends the job."""
    heart = jobs.Heart(job)
    registry = job.registry
    done = 0
    while not heart.cancelled and (rows := _waiting(registry)):
        total = done + len(rows)
        heart.beat(done, total)
        _read_changed(registry, rows, heart, done, total)
        protected_moves.name_actors(registry=registry, events=[payload for _, _, payload, _ in rows])
        for start in range(0, len(rows), ROWS_AT_ONCE):
            chunk = rows[start : start + ROWS_AT_ONCE]
            use(registry=registry, ids=[row[0] for row in chunk])
            done += len(chunk)
            heart.beat(done, total)
    if heart.cancelled:
        jobs.finish(job, Job.State.CANCELLED)
        return
    jobs.finish(job, Job.State.DONE, events=done)
    # What came after the last look found this job live and asked for no other.
    if Notification.objects.filter(registry=registry, processed_at=None).exists():
        ask_for_use(registry=registry)


def _waiting(registry: Registry) -> Sequence[Row]:
    return list(
        Notification.objects.filter(registry=registry, processed_at=None)
        .order_by("pk")
        .values_list("pk", "event_id", "payload", "received_at")[:READ_AT_ONCE]
    )


def _read_changed(registry: Registry, rows: Sequence[Row], heart: jobs.Heart, done: int, total: int) -> None:
    """Reads again what was pushed to or deleted from. It begins after the events came, so it sees what they tell of."""
    named = {payload.get("repository", "") for _, _, payload, _ in rows if payload.get("action") in _CHANGES}
    names = sorted(name for name in named if is_repository(name))
    for start in range(0, len(names), REPOSITORIES_AT_ONCE):
        part = names[start : start + REPOSITORIES_AT_ONCE]
        found: dict[str, Exception | None]
        try:
            found = read_again(registry=registry, names=part)
        except (RegistryError, StorageError) as failure:
            found = dict.fromkeys(part, failure)
        for name, error in found.items():
            if error is not None:
                logger.warning("%s of %s was notified and could not be read: %s", name, registry.slug, error)
        heart.beat(done, total)


def use(*, registry: Registry, ids: Sequence[int]) -> int:
    """Counts pulls, keeps pushes and deletions, and marks all of these notifications as used; how many were not yet."""
    with transaction.atomic():
        rows = list(
            Notification.objects.select_for_update()
            .filter(registry=registry, pk__in=ids, processed_at=None)
            .order_by("pk")
            .values_list("pk", "event_id", "payload", "received_at")
        )
        if not rows:
            return 0
        events = [(Event.stored(event_id, payload), received_at) for _, event_id, payload, received_at in rows]
        found = [pulls.pull_of(event, received_at) for event, received_at in events]
        pulls.count(
            registry=registry, pulls=[pull for pull in found if pull is not None], ids=(rows[0][0], rows[-1][0])
        )
        made = [changes.change_of(registry, event, received_at) for event, received_at in events]
        changes.keep([change for change in made if change is not None])
        Notification.objects.filter(pk__in=[row[0] for row in rows]).update(processed_at=timezone.now())
    return len(rows)


def look_after() -> None:
    """Every minute: asks for the use of what waits without a job, and forgets what was used long ago."""
    for registry in Registry.objects.filter(pk__in=Notification.objects.filter(processed_at=None).values("registry")):
        ask_for_use(registry=registry)
    prune()


def prune() -> int:
    """Deletes notifications that were used and are older than DASHBOARD_EVENTS_KEEP_DAYS; how many."""
    now = timezone.now()
    before = now - dt.timedelta(days=settings.EVENTS_KEEP_DAYS)
    deleted = 0
    for registry in Registry.objects.all():
        old = Notification.objects.filter(registry=registry, received_at__lt=before).exclude(processed_at=None)
        while ids := list(old.values_list("pk", flat=True)[:PRUNED_AT_ONCE]):
            deleted += Notification.objects.filter(pk__in=ids).delete()[0]
    jobs.forget(Job.objects.filter(kind=Job.Kind.NOTIFICATIONS, state=Job.State.DONE, finished_at__lt=now - JOBS_KEPT))
    return deleted
