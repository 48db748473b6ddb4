"""Deletions whose lease ran out: finished or rolled back, with the credential that began them.

Where that credential is gone or refused, the deletion stays in progress and says so; it is never finished with a
stronger one.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid

from django.utils import timezone

from dashboard.models import Deletion, DeletionPlan
from dashboard.registry.client import RegistrySession
from dashboard.registry.errors import Forbidden, RegistryError, Unauthorized
from dashboard.services import connections
from dashboard.services.connections import ActingWith

from .execute import hand_over
from .plan import effect_in
from .steps import LEASE, LeaseLost, Machine

logger = logging.getLogger(__name__)

BUDGET = 600.0
GIVE_UP_AFTER = dt.timedelta(days=7)
PLANS_KEPT = dt.timedelta(days=1)
CREDENTIAL_GONE = "credential-gone"


def recover_all() -> int:
    """Takes up every deletion whose lease ran out; how many."""
    due = Deletion.objects.filter(state=Deletion.State.IN_PROGRESS, lease_until__lte=timezone.now())
    ids = list(due.values_list("pk", flat=True)[:50])
    for pk in ids:
        _recover(pk)
    return len(ids)


def forget_old_plans() -> int:
    """Removes plans that nobody confirmed; how many."""
    old = DeletionPlan.objects.filter(deletion=None, expires_at__lt=timezone.now() - PLANS_KEPT)
    ids = list(old.values_list("pk", flat=True)[:2000])
    count, _ = DeletionPlan.objects.filter(pk__in=ids, deletion=None).delete()
    return count


def _recover(pk: uuid.UUID) -> None:
    lease = timezone.now() + LEASE
    due = Deletion.objects.filter(pk=pk, state=Deletion.State.IN_PROGRESS, lease_until__lte=timezone.now())
    if not due.update(lease_until=lease):
        return
    row = Deletion.objects.select_related("registry", "user", "plan").get(pk=pk)
    if timezone.now() - row.created_at > GIVE_UP_AFTER:
        Deletion.objects.filter(pk=pk, lease_until=lease).update(
            state=Deletion.State.FAILED, outcome_code="gave-up", finished_at=timezone.now(), lease_until=None
        )
        return
    session = _session_of(row)
    if session is None:
        _wait_for_credential(row)
        return
    logger.info("deletion %s is taken up again at %s", row.pk, row.step or "its beginning")
    try:
        Machine(row, session, effect_in(row.plan)).run()
    except LeaseLost:
        return
    except (Unauthorized, Forbidden):
        _wait_for_credential(row)
    except RegistryError as error:
        hand_over(row, error)


def _session_of(row: Deletion) -> RegistrySession | None:
    """A session with the very credential that began the deletion; None if it cannot be had."""
    if row.acted_with == ActingWith.DEFAULT:
        acting = connections.background(registry=row.registry, budget=BUDGET)
    elif row.acted_with == ActingWith.OWN:
        if row.user is None:
            return None
        credential, _ = connections.own_credential(row.user, row.registry)
        if credential is None or credential.username != row.acted_as:
            return None
        return connections.client_for(row.registry).session(credential, budget=BUDGET)
    else:
        return connections.client_for(row.registry).session(None, budget=BUDGET)
    return acting.session if acting.name == row.acted_as else None


def _wait_for_credential(row: Deletion) -> None:
    """Stays in progress and says why; looked at again with the next round."""
    Deletion.objects.filter(pk=row.pk, state=Deletion.State.IN_PROGRESS).update(
        lease_until=timezone.now(), outcome_code=CREDENTIAL_GONE
    )
