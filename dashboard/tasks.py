"""Entry points of background work; the worker calls them by name."""

from __future__ import annotations

from dashboard.contexts import alerts as words
from dashboard.models import Job, Registry, TagPeriod
from dashboard.services import deep_check, jobs, pointing
from dashboard.services.activity.prune import prune as prune_activity
from dashboard.services.alerts import raise_and_end, send
from dashboard.services.collection import ask as collections
from dashboard.services.collection import run as collection
from dashboard.services.deletion import aftermath, choice, recover
from dashboard.services.index import refresh
from dashboard.services.index.update import read_again
from dashboard.services.notifications import process as notifications
from dashboard.services.trash import kept, restore
from dashboard.services.usage import scans

_RUNNERS = {
    Job.Kind.SCAN: scans.run_scan,
    Job.Kind.FULL_SCAN: scans.run_scan,
    Job.Kind.REFRESH: refresh.run_refresh,
    Job.Kind.DEEP_CHECK: deep_check.run,
    Job.Kind.NOTIFICATIONS: notifications.run,
    Job.Kind.DELETION: recover.run,
    Job.Kind.RESTORE: restore.run,
    Job.Kind.COLLECTION: collection.run,
}


def run_job(job_id: str) -> None:
    """Runs a job if it is to be had. A fault ends the job as failed; it is not lost and not repeated for ever."""
    job = jobs.claim(job_id)
    if job is None:
        return
    try:
        _RUNNERS[Job.Kind(job.kind)](job)
    except jobs.JobLost:
        return
    except Exception:
        jobs.finish(job, Job.State.FAILED, "fault")
        raise


def follow_deletion(deletion_id: str) -> None:
    """After a deletion: is it on the disk, and what is in the repository now."""
    aftermath.follow(deletion_id)


def read_repository(registry_id: int, name: str) -> None:
    """After a change of ours: what is in the repository now."""
    registry = Registry.objects.filter(pk=registry_id).first()
    if registry is not None:
        read_again(registry=registry, names=[name], learnt=TagPeriod.Learnt.REFRESH)


def follow_pointing(registry_id: int, repository: str, tag: str, before: str) -> None:
    """After a tag was pointed elsewhere: is it on the disk, and what is in the repository now."""
    pointing.follow(registry_id, repository, tag, before)


def look_after() -> None:
    """Every minute and at the worker's start: what was left lying is taken up, what is due is asked for."""
    recover.recover_all()
    recover.forget_old_plans()
    choice.forget_old()
    kept.prune()
    jobs.look_after()
    jobs.forget_old()
    collections.settle()
    refresh.ask_for_due_refreshes()
    scans.ask_for_due_scans()
    deep_check.ask_for_due()
    notifications.look_after()
    prune_activity()
    raise_and_end.look()
    raise_and_end.forget_old()
    send.send_due(words.words)
