"""Storage usage: the scan as a job, and its latest snapshot."""

from __future__ import annotations

import datetime as dt
import logging
import time
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from dashboard.models import Job, Registry, UsageSnapshot, User
from dashboard.storage.errors import Cancelled, StorageError
from dashboard.storage.usage import filesystem, measure

from . import jobs
from .trash import outlook

logger = logging.getLogger(__name__)

RESCAN_AFTER = dt.timedelta(days=1)
MAX_REPOSITORIES = 20_000
MAX_PROBLEMS = 1000


def ask_for_scan(*, registry: Registry, user: User | None) -> Job:
    """The scan that is waiting or running, else a new one."""
    return jobs.ask_for(kind=Job.Kind.SCAN, registry=registry, user=user)


def latest(registry: Registry) -> UsageSnapshot | None:
    """The snapshot of the last scan that ended well."""
    return UsageSnapshot.objects.filter(registry=registry).order_by("-began_at").first()


def last_scan(registry: Registry) -> Job | None:
    """The scan that was asked for last, however it stands."""
    return Job.objects.filter(registry=registry, kind=Job.Kind.SCAN).order_by("-requested_at").first()


def ask_for_due_scans() -> None:
    """Asks for a scan of each mounted registry that has none, or none of the last day."""
    for registry in Registry.objects.exclude(storage_root=""):
        snapshot, job = latest(registry), last_scan(registry)
        recent = max(
            (when for when in (snapshot and snapshot.began_at, job and job.requested_at) if when), default=None
        )
        if recent is None or timezone.now() - recent > RESCAN_AFTER:
            ask_for_scan(registry=registry, user=None)


def run_scan(job: Job) -> None:
    """Scans the storage of the job's registry and keeps the snapshot; ends the job however it goes."""
    heart = jobs.Heart(job)
    registry = job.registry
    began = timezone.now()

    def progress(_stage: str, done: int, total: int) -> None:
        heart.beat(done, total)

    try:
        root = Path(registry.storage_root)
        usage = measure(
            root,
            now=time.time(),
            in_flight_seconds=settings.IN_FLIGHT_SECONDS,
            progress=progress,
            cancelled=lambda: heart.cancelled,
        )
        disk = filesystem(root)
    except Cancelled:
        jobs.finish(job, Job.State.CANCELLED)
        return
    except StorageError as error:
        logger.warning("storage scan of %s: %s", registry.slug, error)
        jobs.finish(job, Job.State.FAILED, error.code, **error.parameters)
        return
    report = usage.to_json()
    report["problem_count"] = len(report["problems"])
    report["problems"] = report["problems"][:MAX_PROBLEMS]
    report["by_repository"] = sorted(report["by_repository"], key=lambda row: -row["bytes"])[:MAX_REPOSITORIES]
    UsageSnapshot.objects.create(
        registry=registry,
        began_at=began,
        seconds=usage.seconds,
        root=str(root),
        disk_bytes=disk.total,
        free_bytes=disk.free,
        report=report,
    )
    jobs.finish(job, Job.State.DONE, seconds=usage.seconds, lost=outlook.look_again(registry))
