"""Jobs: asked for, claimed with a lease, kept alive while they run, taken up again when a worker died.

The row is the truth and the lock. A message to the worker carries only the row's id; losing or doubling it is harmless:
`look_after` sends it again, and `claim` lets only one at it.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
import uuid
from collections import Counter
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django_q.tasks import async_task

from dashboard.models import Job, JobTally, Registry, User

from . import request_tally

logger = logging.getLogger(__name__)

LEASE = dt.timedelta(seconds=60)
PATIENCE = dt.timedelta(seconds=30)
"""A waiting job's message is sent again after so long."""
KEPT = dt.timedelta(days=7)
AT_ONCE = 2000
"""Rows that are forgotten in one transaction; the rest a minute later."""
HEARTBEAT_SECONDS = 1.0
RUN = "dashboard.tasks.run_job"


class JobLost(Exception):
    """The lease is gone: somebody else took the job, or it was ended. Whoever meets this stops at once."""


def ask_for(*, kind: Job.Kind, registry: Registry, user: User | None, key: str = "") -> Job:
    """The live job of this kind, registry and key; a new one if there is none. The message commits with the row.

    Whoever loses the race for the row looks again: the job that won may have ended in the meantime.
    """
    while True:
        live = Job.objects.filter(kind=kind, registry=registry, key=key, state__in=Job.LIVE).first()
        if live is not None:
            return live
        try:
            with transaction.atomic():
                job = Job.objects.create(
                    kind=kind,
                    registry=registry,
                    key=key,
                    requested_by=user,
                    requested_by_name=user.get_username() if user else "",
                    requested_at=timezone.now(),
                )
                async_task(RUN, str(job.pk), task_name=f"{kind} {job.pk}")
        except IntegrityError:
            if not Registry.objects.filter(pk=registry.pk).exists():
                raise
        else:
            return job


def claim(job_id: uuid.UUID | str) -> Job | None:
    """The job, running under a fresh lease of ours; None if it is not to be had (ended, or somebody is at it)."""
    now = timezone.now()
    free = Q(state=Job.State.WAITING) | Q(state=Job.State.RUNNING, lease_until__lt=now)
    taken = Job.objects.filter(free, pk=job_id).update(
        state=Job.State.RUNNING, lease_until=now + LEASE, started_at=now, progress=0, total=0
    )
    return Job.objects.select_related("registry").get(pk=job_id) if taken else None


class Heart:
    """Keeps a claimed job alive and its progress told; asked between steps whether to stop."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._started_at = job.started_at
        self._beaten = 0.0
        self._cancelled = False

    def beat(self, done: int = 0, total: int = 0) -> None:
        """Renews the lease and notes the progress, at most once a second. Raises JobLost if the lease is gone."""
        if time.monotonic() - self._beaten < HEARTBEAT_SECONDS:
            return
        self._beaten = time.monotonic()
        mine = Job.objects.filter(pk=self._job.pk, state=Job.State.RUNNING, started_at=self._started_at)
        if not mine.update(lease_until=timezone.now() + LEASE, progress=done, total=total):
            raise JobLost
        self._cancelled = mine.values_list("cancel_requested", flat=True).get()
        request_tally.add_due()

    def note(self, code: str, **parameters: Any) -> None:
        """Adds a line to the job's log; after MAX_LINES no more."""
        if len(self._job.log) < Job.MAX_LINES:
            self._job.log.append({"at": timezone.now().isoformat(), "code": code, **parameters})
            Job.objects.filter(pk=self._job.pk, started_at=self._started_at).update(log=self._job.log)

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked for the end, as known at the last beat."""
        return self._cancelled


def finish(job: Job, state: Job.State, code: str = "", **outcome: Any) -> None:
    """Ends a job that is still ours."""
    Job.objects.filter(pk=job.pk, state=Job.State.RUNNING, started_at=job.started_at).update(
        state=state,
        finished_at=timezone.now(),
        lease_until=None,
        outcome_code=code,
        outcome=outcome,
        progress=F("total") if state == Job.State.DONE else F("progress"),
    )


def put_back(job: Job) -> None:
    """Ends a turn of a job that is still ours and has more to do: it waits again, behind what else is asked for.

    Where its end was asked for meanwhile, it ends.
    """
    mine = Job.objects.filter(pk=job.pk, state=Job.State.RUNNING, started_at=job.started_at)
    with transaction.atomic():
        if mine.filter(cancel_requested=False).update(state=Job.State.WAITING, lease_until=None):
            async_task(RUN, str(job.pk), task_name=f"{job.kind} {job.pk}")
            return
    finish(job, Job.State.CANCELLED)


def recent(registry: Registry, *, limit: int = 100) -> list[Job]:
    """The jobs of a registry, those asked for last first."""
    rows = Job.objects.filter(registry=registry).select_related("requested_by")
    return list(rows.order_by("-requested_at")[:limit])


def cancel(*, registry: Registry, job_id: uuid.UUID) -> bool:
    """Ends a waiting job, and asks a running one to stop at its next step; whether there was one to cancel."""
    live = Job.objects.filter(registry=registry, pk=job_id)
    waiting = live.filter(state=Job.State.WAITING)
    if waiting.update(state=Job.State.CANCELLED, finished_at=timezone.now(), cancel_requested=True):
        return True
    return bool(live.filter(state=Job.State.RUNNING).update(cancel_requested=True))


def forget_old() -> int:
    """Removes jobs that ended more than KEPT ago, but not the last of each kind; how many."""
    old = Job.objects.exclude(state__in=Job.LIVE).filter(finished_at__lt=timezone.now() - KEPT)
    newer = Job.objects.filter(registry=OuterRef("registry"), kind=OuterRef("kind"))
    newer = newer.filter(requested_at__gt=OuterRef("requested_at"))
    return forget(old.filter(Exists(newer)))


def forget(ended: QuerySet[Job]) -> int:
    """Removes the rows of jobs that ended, and counts them where the metrics go on counting; how many."""
    if not ended.exists():
        return 0
    with transaction.atomic():
        # Locked, so that two workers who forget at once count none twice.
        rows = list(ended.select_for_update(of=("self",)).values_list("pk", "registry", "kind", "state")[:AT_ONCE])
        for (registry, kind, state), number in sorted(Counter(row[1:] for row in rows).items()):
            tally, _made = JobTally.objects.get_or_create(registry_id=registry, kind=kind, state=state)
            JobTally.objects.filter(pk=tally.pk).update(jobs=F("jobs") + number)
        Job.objects.filter(pk__in=[row[0] for row in rows]).delete()
    return len(rows)


def look_after() -> int:
    """Sends the messages of jobs again that wait too long or whose lease ran out; how many."""
    now = timezone.now()
    stuck = Job.objects.filter(
        Q(state=Job.State.WAITING, requested_at__lt=now - PATIENCE) | Q(state=Job.State.RUNNING, lease_until__lt=now)
    )
    ids = list(stuck.values_list("pk", flat=True)[:100])
    for job_id in ids:
        logger.info("job %s is taken up again", job_id)
        async_task(RUN, str(job_id))
    return len(ids)
