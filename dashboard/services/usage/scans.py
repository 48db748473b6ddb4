"""Storage usage: scans as jobs, when they are due, and the last snapshot."""

from __future__ import annotations

import datetime as dt
import logging
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from dashboard.models import Job, Registry, UsageSnapshot, User
from dashboard.services import jobs, storage_source
from dashboard.services.alerts import raise_and_end
from dashboard.services.collection import preview
from dashboard.services.trash import outlook
from dashboard.storage import memory
from dashboard.storage.detail import Detail
from dashboard.storage.errors import Cancelled, StorageError
from dashboard.storage.usage import Reading, account

from . import duplicates, rows

logger = logging.getLogger(__name__)

SCANS = (Job.Kind.SCAN, Job.Kind.FULL_SCAN)


def ask_for_scan(*, registry: Registry, user: User | None, full: bool = False) -> Job:
    """The scan that is waiting or running, whichever kind it is, else a new one."""
    live = Job.objects.filter(registry=registry, kind__in=SCANS, state__in=Job.LIVE).first()
    kind = Job.Kind.FULL_SCAN if full else Job.Kind.SCAN
    return live or jobs.ask_for(kind=kind, registry=registry, user=user)


def latest(registry: Registry) -> UsageSnapshot | None:
    """The snapshot of the last scan that ended well."""
    return UsageSnapshot.objects.filter(registry=registry, is_whole=True).order_by("-began_at").first()


def last_scan(registry: Registry) -> Job | None:
    """The scan that was asked for last, however it stands."""
    return Job.objects.filter(registry=registry, kind__in=SCANS).order_by("-requested_at").first()


def ask_for_due_scans() -> None:
    """Asks for a scan of each storage that has none, or none of late; and every night for a full pass."""
    now = timezone.now()
    for registry in storage_source.measured():
        snapshots = UsageSnapshot.objects.filter(registry=registry, is_whole=True)
        scans = Job.objects.filter(registry=registry, kind__in=SCANS)
        if _night_passed(
            now,
            _newest(snapshots.filter(is_full=True), scans.filter(kind=Job.Kind.FULL_SCAN))
            or snapshots.order_by("began_at").values_list("began_at", flat=True).first(),
        ):
            ask_for_scan(registry=registry, user=None, full=True)
            continue
        recent = _newest(snapshots, scans)
        hours = settings.SCAN_HOURS
        if recent is None or (hours and now - recent > dt.timedelta(hours=hours)):
            ask_for_scan(registry=registry, user=None)


def _newest(snapshots: Any, scans: Any) -> dt.datetime | None:
    began = snapshots.order_by("-began_at").values_list("began_at", flat=True).first()
    asked = scans.order_by("-requested_at").values_list("requested_at", flat=True).first()
    return max((when for when in (began, asked) if when), default=None)


def _night_passed(now: dt.datetime, last: dt.datetime | None) -> bool:
    """Whether the hour of the full pass has come since `last`; never before there was a scan at all."""
    if last is None:
        return False
    local = timezone.localtime(now)
    hour = local.replace(hour=settings.FULL_SCAN_HOUR, minute=0, second=0, microsecond=0)
    return last < (hour if hour <= local else hour - dt.timedelta(days=1))


def run_scan(job: Job) -> None:
    """Scans the storage of the job's registry and keeps what was found; ends the job however it goes."""
    heart = jobs.Heart(job)
    registry = job.registry
    began = timezone.now()
    full = job.kind == Job.Kind.FULL_SCAN
    remembered = settings.STATE_DIR / "scans" / f"{registry.pk}.manifests"
    try:
        reading, disk = storage_source.take(
            registry,
            now=time.time(),
            full=full,
            remembered={} if full else memory.load(remembered),
            progress=lambda _stage, done, total: heart.beat(done, total),
            cancelled=lambda: heart.cancelled,
        )
    except Cancelled:
        jobs.finish(job, Job.State.CANCELLED)
        return
    except StorageError as error:
        logger.warning("storage scan of %s: %s", registry.slug, error)
        jobs.finish(job, Job.State.FAILED, error.code, **error.parameters)
        return
    usage = account(reading)
    detail = Detail(reading)
    snapshot = rows.write(
        registry,
        usage,
        detail,
        began=began,
        root=registry.storage_address,
        disk_bytes=disk.total,
        free_bytes=disk.free,
        more=_more(registry, reading, detail),
        alive=lambda: heart.beat(*_whole(job)),
    )
    if registry.storage_root:
        preview.after_scan(
            registry,
            reading.facts,
            reading.graph,
            root=Path(registry.storage_root),
            began=began,
            alive=lambda: heart.beat(*_whole(job)),
        )
    try:
        memory.save(remembered, reading.facts)
    except OSError as error:
        logger.warning("what the manifests of %s say could not be remembered: %s", registry.slug, error.strerror)
    raise_and_end.look([registry])
    jobs.finish(job, Job.State.DONE, seconds=snapshot.seconds, lost=outlook.look_again(registry))


def _whole(job: Job) -> tuple[int, int]:
    """The progress once all is read and the rest is writing."""
    job.refresh_from_db(fields=["total"])
    return job.total, job.total


def _more(registry: Registry, reading: Reading, detail: Detail) -> dict[str, Any]:
    """What the page says besides the sums: old uploads, layers stored twice, the last full pass's metadata."""
    uploads = detail.uploads(now=time.time())
    more: dict[str, Any] = {
        "old_uploads": uploads.old.to_json(),
        "oldest_upload": uploads.oldest,
        "duplicates": duplicates.find(registry, reading.facts.blobs),
    }
    if reading.metadata is None:
        passes = UsageSnapshot.objects.filter(registry=registry, is_whole=True, is_full=True)
        last = passes.order_by("-began_at").first()
        if last is not None and "metadata" in last.report:
            more["metadata"] = last.report["metadata"]
            more["metadata_at"] = last.began_at.isoformat()
    return more
