"""Deletions that nobody works on: taken up by the worker, with the credential that began them.

Where that credential is gone or refused, the deletion stays in progress and says so; it is never finished with a
stronger one.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable

from django.utils import timezone

from dashboard.models import Deletion, DeletionItem, DeletionPlan, Job
from dashboard.registry.client import RegistrySession
from dashboard.registry.errors import Forbidden, RegistryError, Unauthorized
from dashboard.services import connections, jobs
from dashboard.services.collection.live import COLLECTING, is_collecting
from dashboard.services.connections import ActingWith

from .aftermath import ask_to_follow
from .carry_out import carry_out, counts
from .execute import hand_over
from .lease import Lease, LeaseLost, take, wake

logger = logging.getLogger(__name__)

BUDGET = 3600.0
GIVE_UP_AFTER = dt.timedelta(days=7)
PLANS_KEPT = dt.timedelta(days=1)
CREDENTIAL_GONE = "credential-gone"


def recover_all() -> int:
    """Takes up every deletion whose lease ran out and that no live job is about; how many."""
    due = Deletion.objects.filter(state=Deletion.State.IN_PROGRESS, lease_until__lte=timezone.now())
    live = set(Job.objects.filter(kind=Job.Kind.DELETION, state__in=Job.LIVE).values_list("key", flat=True))
    rows = [row for row in due.select_related("registry", "user", "plan")[:50] if str(row.pk) not in live]
    for row in rows:
        if row.items.count() > 1:
            jobs.ask_for(kind=Job.Kind.DELETION, registry=row.registry, user=row.user, key=str(row.pk))
        else:
            go_on(row)
    return len(rows)


def run(job: Job) -> None:
    """Carries the deletion that a job is about on to its end; where it has to wait, the job ends and says so."""
    row = Deletion.objects.select_related("registry", "user", "plan").filter(pk=job.key).first()
    if row is None or row.state != Deletion.State.IN_PROGRESS:
        jobs.finish(job, Job.State.DONE)
        return
    heart = jobs.Heart(job)

    def beat(done: int, total: int) -> None:
        heart.beat(done, total)
        if heart.cancelled:
            abandon(row)

    go_on(row, beat=beat)
    row.refresh_from_db()
    if row.state == Deletion.State.IN_PROGRESS:
        jobs.finish(job, Job.State.FAILED, row.outcome_code or "waiting")
    else:
        jobs.finish(job, Job.State.CANCELLED if row.abandoned else Job.State.DONE, deleted=counts(row))


def go_on(row: Deletion, *, beat: Callable[[int, int], None] | None = None) -> None:
    """Takes a deletion up, if it is to be had, and carries it on."""
    if not take(row):
        return
    if timezone.now() - row.created_at > GIVE_UP_AFTER:
        row.items.filter(state=DeletionItem.State.WAITING).update(
            state=DeletionItem.State.FAILED, outcome_code="gave-up", finished_at=timezone.now()
        )
        Lease(row).end()
        return
    if is_collecting(row.registry):
        Lease(row).wait(COLLECTING)
        return
    session = _session_of(row)
    if session is None:
        Lease(row).wait(CREDENTIAL_GONE)
        return
    logger.info("deletion %s is taken up", row.pk)
    try:
        carry_out(row, session, beat=beat)
    except LeaseLost:
        return
    except (Unauthorized, Forbidden):
        Lease(row).wait(CREDENTIAL_GONE)
    except RegistryError as error:
        hand_over(row, error)
    ask_to_follow(row)


def abandon(row: Deletion) -> None:
    """Leaves what has not begun as it is; what has begun is finished or put back."""
    Deletion.objects.filter(pk=row.pk, state=Deletion.State.IN_PROGRESS).update(abandoned=True)


def resume(row: Deletion) -> None:
    """Has the worker go on now."""
    wake(row)
    jobs.ask_for(kind=Job.Kind.DELETION, registry=row.registry, user=row.user, key=str(row.pk))


def forget_old_plans() -> int:
    """Removes plans that nobody confirmed; how many."""
    old = DeletionPlan.objects.filter(deletion=None, expires_at__lt=timezone.now() - PLANS_KEPT)
    ids = list(old.values_list("pk", flat=True)[:2000])
    count, _ = DeletionPlan.objects.filter(pk__in=ids, deletion=None).delete()
    return count


def _session_of(row: Deletion) -> RegistrySession | None:
    """A session with the very credential that began the deletion; None if it cannot be had."""
    if row.acted_with == ActingWith.DEFAULT:
        acting = connections.background(registry=row.registry, budget=BUDGET)
    elif row.acted_with in (ActingWith.OWN, ActingWith.GROUP):
        if row.user is None:
            return None
        if row.acted_with == ActingWith.OWN:
            credential, _ = connections.own_credential(row.user, row.registry)
        else:
            credential, _, _ = connections.group_credential(row.user, row.registry)
        if credential is None or credential.username != row.acted_as:
            return None
        return connections.client_for(row.registry).session(credential, budget=BUDGET)
    else:
        return connections.client_for(row.registry).session(None, budget=BUDGET)
    return acting.session if acting.name == row.acted_as else None
