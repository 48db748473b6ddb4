"""Confirming a plan: refused if it is stale, begun as a row with its items, carried out at once or by the worker."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from dashboard.models import AuditEntry, Deletion, DeletionItem, DeletionPlan, Job
from dashboard.registry.client import Capabilities
from dashboard.registry.client import Deletion as Ability
from dashboard.registry.errors import RegistryError
from dashboard.registry.references import parse_repository
from dashboard.services import audit, jobs
from dashboard.services.access import Access
from dashboard.services.audit import MAX_REASON, Actor
from dashboard.services.collection.live import COLLECTING, is_collecting

from .aftermath import ask_to_follow
from .carry_out import FEW, carry_out
from .effect import Effect, Item
from .lease import LEASE, Lease, LeaseLost
from .plan import effect_in, fingerprint

STALE, CHANGED, USED, NOT_OFFERED, TICK, BUSY, OFF = "stale", "changed", "used", "not-offered", "tick", "busy", "off"
TYPE, NOTHING = "type-the-name", "nothing"
_MAKES_IT_IMPOSSIBLE = (Ability.DISABLED, Ability.READ_ONLY)


class PlanRefused(Exception):
    """The confirmation cannot be carried out; nothing was sent. `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def execute(
    access: Access,
    plan: DeletionPlan,
    *,
    shown: str,
    method: str,
    accepts_loss: bool = False,
    typed: str = "",
    reason: str = "",
    address: str = "",
) -> Deletion:
    """Carries out `plan` as `method`: what cannot be removed is untagged, what is refused in it is left alone.

    `shown` is the fingerprint the form carried, `accepts_loss` the extra tick, `typed` the repository's name where it
    has to be typed. Returns the row as it stands afterwards; in progress where it is left to the worker, or an answer
    never came. Raises PlanRefused where nothing was begun, RegistryError where the probe before it failed.
    """
    actor = Actor(access.user.get_username(), address, access.acting.name)
    try:
        row = _begin(
            access, plan, shown=shown, method=method, accepts_loss=accepts_loss, typed=typed, reason=reason, actor=actor
        )
    except PlanRefused as refused:
        audit.record(
            actor=actor,
            action=AuditEntry.Action.DELETE,
            outcome=AuditEntry.Outcome.REFUSED,
            registry=access.registry.slug,
            repository=plan.repository,
            tags=[tag for item in effect_in(plan).items for tag in item.tags],
            code=refused.code,
            reason=reason,
        )
        raise
    if row.items.count() > FEW:
        return row
    try:
        carry_out(row, access.session)
    except LeaseLost:
        row.refresh_from_db()
    except RegistryError as error:
        hand_over(row, error)
    ask_to_follow(row)
    return row


def hand_over(row: Deletion, error: RegistryError) -> None:
    """An answer never came: what happened is open. The lease ends now, so that the worker goes on soon."""
    Lease(row).wait(error.code)
    row.refresh_from_db()


def must_type(effect: Effect) -> bool:
    """Whether the repository's name has to be typed: for more than one tag or digest, and for a whole repository."""
    return effect.whole or sum(max(1, len(item.tags)) for item in effect.possible) > 1


def _begin(
    access: Access,
    plan: DeletionPlan,
    *,
    shown: str,
    method: str,
    accepts_loss: bool,
    typed: str,
    reason: str,
    actor: Actor,
) -> Deletion:
    effect = effect_in(plan)
    if plan.expires_at < timezone.now():
        raise PlanRefused(STALE)
    if shown != plan.fingerprint or fingerprint(plan) != plan.fingerprint:
        raise PlanRefused(CHANGED)
    if Deletion.objects.filter(plan=plan).exists():
        raise PlanRefused(USED)
    if not effect.possible:
        raise PlanRefused(NOTHING)
    if method not in effect.methods:
        raise PlanRefused(NOT_OFFERED)
    if must_type(effect) and typed.strip() != plan.repository:
        raise PlanRefused(TYPE)
    if method == DeletionItem.Method.REMOVE and not effect.is_restorable and not accepts_loss:
        raise PlanRefused(TICK)
    # By digest, never by tag: some versions delete tags although deletion is off.
    capabilities: Capabilities = access.session.probe(parse_repository(plan.repository))
    if capabilities.deletion in _MAKES_IT_IMPOSSIBLE or capabilities.deletion != effect.ability:
        raise PlanRefused(OFF if capabilities.deletion in _MAKES_IT_IMPOSSIBLE else CHANGED)
    now = timezone.now()
    row = Deletion(
        plan=plan,
        registry=access.registry,
        repository=plan.repository,
        user=access.user,
        user_name=access.user.get_username(),
        address=actor.address[:45],
        reason=reason.replace("\0", "").strip()[:MAX_REASON],
        acted_with=access.acting.acting_with,
        acted_as=access.acting.name,
        created_at=now,
        kept_until=now + dt.timedelta(days=settings.TRASH_DAYS),
        lease_until=now + LEASE,
    )
    _write(access, row, _rows(row, effect, method))
    return row


def _write(access: Access, row: Deletion, items: list[DeletionItem]) -> None:
    if len(items) > FEW:
        row.lease_until = row.created_at  # the worker's to take up
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            if is_collecting(access.registry):
                raise PlanRefused(COLLECTING)
            DeletionItem.objects.bulk_create(items, batch_size=500)
            if len(items) > FEW:
                jobs.ask_for(kind=Job.Kind.DELETION, registry=access.registry, user=access.user, key=str(row.pk))
    except IntegrityError:
        raise PlanRefused(USED if Deletion.objects.filter(plan=row.plan).exists() else BUSY) from None


def _rows(row: Deletion, effect: Effect, method: str) -> list[DeletionItem]:
    """What is removed goes with all its tags at once; names that go alone go one by one."""
    found: list[DeletionItem] = []
    for item in effect.possible:
        removes = effect.can_remove(item) and (method == DeletionItem.Method.REMOVE or not item.tags)
        for tags in [list(item.tags)] if removes else [[tag] for tag in item.tags]:
            found.append(_row(row, item, tags, len(found), removes=removes, frees=effect.frees_by(item, method)))
    return found


def _row(row: Deletion, item: Item, tags: list[str], position: int, *, removes: bool, frees: int) -> DeletionItem:
    return DeletionItem(
        deletion=row,
        position=position,
        digest=item.digest,
        media_type=item.media_type,
        tags=tags,
        method=DeletionItem.Method.REMOVE if removes else DeletionItem.Method.UNTAG,
        children=[child.digest for child in item.children] if removes else [],
        kind=item.kind,
        platforms=" ".join(item.platforms)[:500],
        bytes=item.total,
        frees=frees,
        restorable=item.is_restorable,
        missing=list(item.missing),
        looked_at=row.created_at,
    )
