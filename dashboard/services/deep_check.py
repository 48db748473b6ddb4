"""The deep check: every blob of a mounted storage is read and hashed anew, at a pace that leaves the disk to others.

It takes hours where there is much. So it works in turns of half a minute, between which other work gets the worker; its
row says how far it is, and whoever takes the job up again, after a pause or a worker's death, goes on there.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from dashboard.models import AuditEntry, DamagedBlob, DeepCheck, Job, Registry, User
from dashboard.storage import layout
from dashboard.storage.errors import Cancelled, RootMissing, StorageError
from dashboard.storage.hashing import Checked, Hashing, Pace

from . import audit, jobs
from .audit import Actor

logger = logging.getLogger(__name__)

TURN_SECONDS = 30.0
SAVED_EVERY_SECONDS = 1.0
KEPT = 5
_SAVED = ("position", "blobs", "bytes", "total_blobs", "total_bytes", "seconds", "damaged")
_MIB = 1024 * 1024


def ask_for(*, registry: Registry, user: User | None, actor: Actor | None = None, anew: bool = False) -> Job:
    """The check that is waiting or running, else a job that goes on with the last one, or begins another.

    `anew`: one that was broken off is given up. `actor` for the audit; None: by schedule, which is not in it.
    """
    live = Job.objects.filter(registry=registry, kind=Job.Kind.DEEP_CHECK, state__in=Job.LIVE).first()
    if live is not None:
        return live
    if anew:
        DeepCheck.objects.filter(registry=registry, finished_at=None).delete()
    job = jobs.ask_for(kind=Job.Kind.DEEP_CHECK, registry=registry, user=user)
    if actor is not None:
        audit.record(
            actor=actor,
            action=AuditEntry.Action.DEEP_CHECK,
            outcome=AuditEntry.Outcome.DONE,
            registry=registry.slug,
            method="anew" if anew or unfinished(registry) is None else "go-on",
        )
    return job


def ask_for_due() -> None:
    """Asks for a check of each mounted storage whose last one is DASHBOARD_DEEP_CHECK_DAYS old; none where that is 0.

    One that somebody paused stays so until then.
    """
    if not settings.DEEP_CHECK_DAYS:
        return
    long_ago = timezone.now() - dt.timedelta(days=settings.DEEP_CHECK_DAYS)
    recent = Job.objects.filter(kind=Job.Kind.DEEP_CHECK, requested_at__gt=long_ago).values("registry")
    for registry in Registry.objects.exclude(storage_root="").exclude(pk__in=recent):
        checked = finished(registry)
        if checked is None or checked.began_at < long_ago:
            ask_for(registry=registry, user=None)


@dataclass(frozen=True, slots=True)
class Standing:
    """The check that goes on or could, the last one that came to its end, and the job that was asked for last."""

    unfinished: DeepCheck | None
    finished: DeepCheck | None
    job: Job | None

    @property
    def is_live(self) -> bool:
        """Whether a job is at it, or waits to be."""
        return self.job is not None and self.job.is_live


def standing(registry: Registry) -> Standing:
    """How the checks of a registry stand."""
    job = Job.objects.filter(registry=registry, kind=Job.Kind.DEEP_CHECK).order_by("-requested_at").first()
    return Standing(unfinished(registry), finished(registry), job)


def unfinished(registry: Registry) -> DeepCheck | None:
    """The check that goes on, or could."""
    return DeepCheck.objects.filter(registry=registry, finished_at=None).order_by("-began_at").first()


def finished(registry: Registry) -> DeepCheck | None:
    """The last check that came to its end."""
    return DeepCheck.objects.filter(registry=registry).exclude(finished_at=None).order_by("-began_at").first()


def run(job: Job) -> None:
    """One turn of the job; ends it if there is nothing left, else puts it back among what waits."""
    heart = jobs.Heart(job)
    try:
        if not job.registry.storage_root:
            raise RootMissing(job.registry.storage_address)
        v2 = str(layout.v2_directory(Path(job.registry.storage_root)).absolute())
        turn = _Turn(_row(job.registry, v2), v2, heart)
        is_done = turn.work()
    except Cancelled:
        jobs.finish(job, Job.State.CANCELLED)
        return
    except StorageError as error:
        logger.warning("deep check of %s: %s", job.registry.slug, error)
        jobs.finish(job, Job.State.FAILED, error.code, **error.parameters)
        return
    if not is_done:
        jobs.put_back(job)
        return
    check = turn.check
    DeepCheck.objects.filter(pk=check.pk).update(finished_at=timezone.now())
    kept = DeepCheck.objects.filter(registry=job.registry).order_by("-began_at").values_list("pk", flat=True)[:KEPT]
    DeepCheck.objects.filter(registry=job.registry).exclude(pk__in=list(kept)).delete()
    jobs.finish(job, Job.State.DONE, seconds=check.seconds, blobs=check.blobs, damaged=check.damaged)


def _row(registry: Registry, v2: str) -> DeepCheck:
    """The check to go on with; a new one where there is none, or where it was of another directory."""
    check = unfinished(registry)
    if check is not None and check.root == v2:
        return check
    DeepCheck.objects.filter(registry=registry, finished_at=None).delete()
    return DeepCheck.objects.create(registry=registry, root=v2, began_at=timezone.now())


class _Turn:
    """Half a minute of a check."""

    def __init__(self, check: DeepCheck, v2: str, heart: jobs.Heart) -> None:
        self.check = check
        self._heart = heart
        self._began = self._saved = time.monotonic()
        pace = Pace(settings.CHECK_MIB_PER_SECOND * _MIB)
        self._hashing = Hashing(v2, after=check.position, pace=pace, alive=self._alive)

    def work(self) -> bool:
        """Whether all is done. Raises StorageError, Cancelled, JobLost."""
        check = self.check
        if not check.position:
            check.total_blobs, check.total_bytes = self._hashing.total()
            self._save()
        is_done = True
        try:
            for checked in self._hashing:
                self._take(checked)
                if time.monotonic() - self._began > TURN_SECONDS:
                    is_done = False
                    break
        except (StorageError, Cancelled):
            self._save()
            raise
        self._save()
        return is_done

    def _alive(self) -> None:
        self._heart.beat(self.check.blobs, self.check.total_blobs)
        if self._heart.cancelled:
            raise Cancelled

    def _take(self, checked: Checked) -> None:
        check = self.check
        check.position = checked.path
        check.blobs += bool(checked.digest)
        check.bytes += checked.bytes
        if checked.damage is not None:
            with transaction.atomic():
                self._keep(checked)
                self._save()
        elif time.monotonic() - self._saved > SAVED_EVERY_SECONDS:
            self._save()
        self._alive()

    def _keep(self, checked: Checked) -> None:
        """A finding as a row, as long as there are not too many. One that is met again is not counted again."""
        check, damage = self.check, checked.damage
        assert damage is not None
        logger.warning("deep check: %s is damaged (%s)", checked.path, damage.code)
        if check.damaged < DeepCheck.MAX_FINDINGS:
            values = {"digest": checked.digest, "code": damage.code, "found": damage.found, "bytes": damage.bytes}
            _, is_new = DamagedBlob.objects.update_or_create(deep_check=check, path=checked.path, defaults=values)
            check.damaged += is_new
        else:
            check.damaged += 1

    def _save(self) -> None:
        now = time.monotonic()
        check = self.check
        check.seconds += now - self._saved
        self._saved = now
        values = {name: getattr(check, name) for name in _SAVED}
        DeepCheck.objects.filter(pk=check.pk).update(**values)
