"""Executing a plan that was confirmed: refused if it is stale, begun as a row under a lease, carried out at once."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from dashboard.models import Deletion, DeletionPlan
from dashboard.registry.client import Capabilities
from dashboard.registry.client import Deletion as Ability
from dashboard.registry.errors import RegistryError
from dashboard.registry.references import parse_repository
from dashboard.services.access import Access

from .aftermath import ask_to_follow
from .plan import effect_in, fingerprint
from .steps import LEASE, LeaseLost, Machine

STALE, CHANGED, USED, NOT_OFFERED, TICK, BUSY, OFF = "stale", "changed", "used", "not-offered", "tick", "busy", "off"
_MAKES_IT_IMPOSSIBLE = (Ability.DISABLED, Ability.READ_ONLY)


class PlanRefused(Exception):
    """The confirmation cannot be carried out; nothing was sent. `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def execute(access: Access, plan: DeletionPlan, *, shown: str, method: str, accepts_loss: bool) -> Deletion:
    """Carries out `plan` as `method`; `shown` is the fingerprint the form carried, `accepts_loss` the extra tick.

    Returns the row as it stands afterwards, in progress where an answer never came (the worker goes on). Raises
    PlanRefused where nothing was begun, RegistryError where the probe before it failed.
    """
    effect = effect_in(plan)
    if plan.expires_at < timezone.now():
        raise PlanRefused(STALE)
    if shown != plan.fingerprint or fingerprint(plan) != plan.fingerprint:
        raise PlanRefused(CHANGED)
    if Deletion.objects.filter(plan=plan).exists():
        raise PlanRefused(USED)
    if method not in effect.methods:
        raise PlanRefused(NOT_OFFERED)
    if method == Deletion.Method.REMOVE and not effect.is_restorable and not accepts_loss:
        raise PlanRefused(TICK)
    # By digest, never by tag: some versions delete tags although deletion is off.
    capabilities: Capabilities = access.session.probe(parse_repository(plan.repository))
    if capabilities.deletion in _MAKES_IT_IMPOSSIBLE or capabilities.deletion != effect.ability:
        raise PlanRefused(OFF if capabilities.deletion in _MAKES_IT_IMPOSSIBLE else CHANGED)
    row = _begin(access, plan, method)
    machine = Machine(row, access.session, effect)
    try:
        machine.run()
    except LeaseLost:
        row.refresh_from_db()
    except RegistryError as error:
        hand_over(row, error)
    ask_to_follow(row)
    return row


def hand_over(row: Deletion, error: RegistryError) -> None:
    """An answer never came: what happened is open. The lease ends now, so that the worker goes on soon."""
    Deletion.objects.filter(pk=row.pk, state=Deletion.State.IN_PROGRESS, lease_until=row.lease_until).update(
        lease_until=timezone.now(), outcome_code=error.code, outcome=row.outcome | {"waiting_for": error.code}
    )
    row.refresh_from_db()


def _begin(access: Access, plan: DeletionPlan, method: str) -> Deletion:
    effect = effect_in(plan)
    now = timezone.now()
    row = Deletion(
        plan=plan,
        registry=access.registry,
        repository=plan.repository,
        tag=plan.tag,
        digest=plan.digest,
        method=method,
        user=access.user,
        user_name=access.user.get_username(),
        acted_with=access.acting.acting_with,
        acted_as=access.acting.name,
        children=[child["digest"] for child in effect.children] if method == Deletion.Method.REMOVE else [],
        restorable=effect.is_restorable,
        created_at=now,
        kept_until=now + dt.timedelta(days=settings.TRASH_DAYS),
        lease_until=now + LEASE,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise PlanRefused(USED if Deletion.objects.filter(plan=plan).exists() else BUSY) from None
    return row
