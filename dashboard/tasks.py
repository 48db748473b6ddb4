"""Entry points of background work; the worker calls them by name."""

from __future__ import annotations

from dashboard.models import Job
from dashboard.services import jobs, usage
from dashboard.services.activity.prune import prune as prune_activity
from dashboard.services.deletion import aftermath
from dashboard.services.deletion.recover import forget_old_plans, recover_all
from dashboard.services.index import refresh
from dashboard.services.notifications import process as notifications

_RUNNERS = {
    Job.Kind.SCAN: usage.run_scan,
    Job.Kind.REFRESH: refresh.run_refresh,
    Job.Kind.NOTIFICATIONS: notifications.run,
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


def look_after() -> None:
    """Every minute and at the worker's start: what was left lying is taken up, what is due is asked for."""
    recover_all()
    forget_old_plans()
    jobs.look_after()
    jobs.forget_old()
    refresh.ask_for_due_refreshes()
    usage.ask_for_due_scans()
    notifications.look_after()
    prune_activity()
