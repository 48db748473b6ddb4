"""Writing the audit: who did what to which registry, and how it ended."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from dashboard.models import AuditEntry

MAX_TAGS, MAX_ANSWERS, MAX_ANSWER, MAX_REASON = 100, 50, 200, 200


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the signed-in person, from where, and the registry user that is sent ("" for nobody)."""

    user: str
    address: str = ""
    acted_as: str = ""


def record(
    *,
    actor: Actor,
    action: AuditEntry.Action,
    outcome: AuditEntry.Outcome,
    registry: str = "",
    repository: str = "",
    tags: Sequence[str] = (),
    before: str = "",
    after: str = "",
    method: str = "",
    code: str = "",
    answers: Sequence[str] = (),
    freed: int | None = None,
    batch: uuid.UUID | None = None,
    reason: str = "",
) -> AuditEntry:
    """Adds an entry. `registry` is its slug; `before` and `after` are digests; `freed` in bytes; long lists are cut."""
    return AuditEntry.objects.create(
        at=timezone.now(),
        user=actor.user[:150],
        address=actor.address[:45],
        registry=registry,
        acted_as=actor.acted_as[:255],
        action=action,
        outcome=outcome,
        code=code[:60],
        repository=repository,
        tags=list(tags[:MAX_TAGS]),
        digest_before=before,
        digest_after=after,
        method=method,
        answers=[text[:MAX_ANSWER] for text in answers[:MAX_ANSWERS]],
        bytes=freed,
        batch=batch,
        reason=reason[:MAX_REASON],
    )
