"""Carrying a confirmed deletion out, item after item, under its lease; at the end a last look at what it left behind.

Whoever runs this may die anywhere: the next one goes on with what is still waiting.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import Count
from django.utils import timezone

from dashboard.models import AuditEntry, Deletion, DeletionItem, TrashedManifest
from dashboard.registry.client import RegistrySession
from dashboard.registry.references import Digest, RepositoryName
from dashboard.services import audit, protection
from dashboard.services.audit import Actor

from .lease import Lease
from .plan import effect_in
from .steps import Machine
from .survey import Ground

FEW = 3
"""So many items are carried out while the person waits, each on a survey of its own."""
GROUND_GOOD_FOR = 10.0
"""Seconds that a survey is stood on where there are many items; see docs/deletion.md for what can happen meanwhile."""

_AUDITED = {
    DeletionItem.State.DONE: AuditEntry.Outcome.DONE,
    DeletionItem.State.REFUSED: AuditEntry.Outcome.REFUSED,
    DeletionItem.State.ROLLED_BACK: AuditEntry.Outcome.FAILED,
    DeletionItem.State.FAILED: AuditEntry.Outcome.FAILED,
}


def carry_out(row: Deletion, session: RegistrySession, *, beat: Callable[[int, int], None] | None = None) -> None:
    """Goes through what is waiting, to the end. The caller holds the lease, `row.lease_until`.

    `beat(done, total)` is called before each item. Raises LeaseLost; RegistryError where an answer never came, then the
    deletion stays in progress.
    """
    lease = Lease(row)
    total = row.items.count()
    few = total <= FEW
    ground = Ground(session, row.registry, RepositoryName(row.repository), good_for=0.0 if few else GROUND_GOOD_FOR)
    ability = effect_in(row.plan).ability
    rules = protection.rules_of(row.registry)
    waiting = list(row.items.filter(state=DeletionItem.State.WAITING).order_by("position"))
    for done, item in enumerate(waiting, start=total - len(waiting)):
        if beat is not None:
            beat(done, total)
        item.deletion = row
        if not item.step and _is_abandoned(row):
            row.items.filter(pk=item.pk).update(state=DeletionItem.State.LEFT)
            continue
        ruled = (
            None
            if item.step
            else next((rule for tag in item.tags if (rule := protection.rule_for(rules, row.repository, tag))), None)
        )
        if ruled is not None:
            _refuse(item, "protected", rule=str(ruled))
        else:
            Machine(item, session, ground, lease, ability).run()
        _record(row, item)
    put_back = _settle(row, session, ground, lease)
    lease.renew(outcome=row.outcome | ({"put_back": put_back} if put_back else {}), outcome_code="")
    lease.end()
    row.refresh_from_db()


def counts(row: Deletion) -> dict[str, int]:
    """How many items stand how."""
    return dict(row.items.order_by().values_list("state").annotate(Count("pk")))


def _settle(row: Deletion, session: RegistrySession, ground: Ground, lease: Lease) -> list[str]:
    """What an index that was pushed in the meantime lists, and we removed, is put back; its digests."""
    removed = row.items.filter(state=DeletionItem.State.DONE, method=DeletionItem.Method.REMOVE, restored_at=None)
    gone = {
        Digest(text) for digest, children in removed.values_list("digest", "children") for text in [digest, *children]
    }
    if not gone:
        return []
    lease.renew()
    seen = ground.look_just_before()
    needed = [digest for digest in sorted(gone) if seen.needed_elsewhere(digest, going=gone)]
    put_back = []
    for digest in needed:
        if session.has_manifest(RepositoryName(row.repository), digest):
            continue
        kept = TrashedManifest.objects.filter(deletion=row, digest=digest).first()
        if kept is not None:
            lease.renew()
            session.put_manifest(RepositoryName(row.repository), digest, kept.media_type, bytes(kept.raw))
            put_back.append(str(digest))
    return put_back


def _is_abandoned(row: Deletion) -> bool:
    return Deletion.objects.filter(pk=row.pk, abandoned=True).exists()


def _refuse(item: DeletionItem, code: str, **outcome: object) -> None:
    item.state = DeletionItem.State.REFUSED
    item.outcome_code = code
    item.outcome = item.outcome | outcome
    item.finished_at = timezone.now()
    item.save(update_fields=["state", "outcome_code", "outcome", "finished_at"])


def _record(row: Deletion, item: DeletionItem) -> None:
    removes = item.method == DeletionItem.Method.REMOVE
    audit.record(
        actor=Actor(row.user_name, row.address, row.acted_as),
        action=AuditEntry.Action.DELETE if removes else AuditEntry.Action.UNTAG,
        outcome=_AUDITED[DeletionItem.State(item.state)],
        registry=row.registry.slug,
        repository=row.repository,
        tags=item.tags,
        before=item.digest,
        after="" if item.state == DeletionItem.State.DONE else item.digest,
        method=item.method,
        code=item.outcome_code,
        answers=item.outcome.get("answers", []),
        freed=item.frees if removes and item.state == DeletionItem.State.DONE else None,
        batch=row.pk,
        reason=row.reason,
    )
