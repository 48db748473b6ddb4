"""The jobs of a registry: who asked for what, how far it is, how it ended, what it had to say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dashboard.models import Job
from dashboard.services.access import Access

from .errors import Problem, storage_problem
from .formats import legible

MAX_NAME = 200
_LINES: Mapping[str, Promise] = {
    "list-incomplete": gettext_lazy("The registry broke off its own list; what it left out was asked for by name."),
    "repository-not-read": gettext_lazy("%(repository)s could not be read (%(error)s)."),
    "shrink-of-tags": gettext_lazy("%(repository)s seems to have lost all its tags; it was left as it was."),
    "shrink-of-repositories": gettext_lazy("%(gone)s of %(known)s repositories seem to be gone; none was removed."),
}


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job. `rate` is what was done in a second so far, `seconds_left` an estimate by it.

    `cancel` if this person may end it; `log` is for administrators.
    """

    id: str
    kind: str
    asked_by: str
    asked_at: dt.datetime
    state: str
    state_name: str
    done: int
    total: int
    rate: int | None
    seconds_left: int | None
    took: float | None
    outcome: str
    problem: Problem | None
    log: Sequence[str]
    cancel: bool


@dataclass(frozen=True, slots=True)
class JobsPage:
    """Everything that jobs.html shows."""

    lines: Sequence[JobLine]
    is_live: bool


def jobs_page(access: Access, jobs: Sequence[Job]) -> JobsPage:
    """The view model."""
    return JobsPage([_line(access, job) for job in jobs], is_live=any(job.is_live for job in jobs))


def _line(access: Access, job: Job) -> JobLine:
    may_cancel = access.administers or (job.requested_by_id is not None and job.requested_by_id == access.user.pk)
    took = (job.finished_at - job.started_at).total_seconds() if job.finished_at and job.started_at else None
    failed = job.state == Job.State.FAILED
    rate = _rate(job)
    if job.kind == Job.Kind.DEEP_CHECK:  # works in turns: only its own page knows the time of all of them
        rate, took = None, job.outcome.get("seconds", took)
    return JobLine(
        id=str(job.pk),
        kind=str(Job.Kind(job.kind).label),
        asked_by=job.requested_by_name,
        asked_at=job.requested_at,
        state=job.state,
        state_name=str(Job.State(job.state).label),
        done=job.progress,
        total=job.total,
        rate=round(rate) if rate else None,
        seconds_left=round((job.total - job.progress) / rate) if rate and job.total > job.progress else None,
        took=took,
        outcome=_outcome(job),
        problem=storage_problem(job.outcome_code, job.outcome) if failed and "path" in job.outcome else None,
        log=[_said(line) for line in job.log] if access.administers else (),
        cancel=job.is_live and may_cancel and not job.cancel_requested,
    )


def _rate(job: Job) -> float | None:
    """Done in a second, of a job that runs and has done something."""
    if job.state != Job.State.RUNNING or not job.started_at or not job.progress:
        return None
    return job.progress / max(0.001, (timezone.now() - job.started_at).total_seconds())


def _outcome(job: Job) -> str:
    if job.state == Job.State.FAILED:
        if job.outcome_code == "fault":
            return _("a fault of the dashboard; the worker's log says more")
        if job.kind == Job.Kind.DELETION:
            return _("it waits for the registry and goes on by itself")
        return legible(job.outcome_code, MAX_NAME)
    if job.kind == Job.Kind.DELETION and (deleted := job.outcome.get("deleted")):
        done, total = int(deleted.get("done", 0)), sum(deleted.values())
        return _("%(done)s of %(total)s deleted") % {"done": done, "total": total}
    if job.kind == Job.Kind.RESTORE and "of" in job.outcome:
        return _("%(done)s of %(total)s brought back") % {"done": job.outcome["back"], "total": job.outcome["of"]}
    if job.kind == Job.Kind.DEEP_CHECK and (damaged := job.outcome.get("damaged")) is not None:
        if not damaged:
            return _("every blob is what its digest says")
        return ngettext("%(n)s damaged blob", "%(n)s damaged blobs", damaged) % {"n": damaged}
    if job.state != Job.State.DONE or job.kind != Job.Kind.REFRESH:
        return ""
    changed = int(job.outcome.get("changed", 0))
    if not changed:
        return _("nothing new")
    return ngettext("%(n)s repository changed", "%(n)s repositories changed", changed) % {"n": changed}


def _said(line: Mapping[str, Any]) -> str:
    """A line of the log as a sentence; what it names is somebody else's text."""
    text = _LINES.get(str(line.get("code")))
    named = {key: legible(str(value), MAX_NAME) for key, value in line.items()}
    try:
        return str(text) % named if text else named.get("code", "")
    except KeyError:
        return named.get("code", "")
