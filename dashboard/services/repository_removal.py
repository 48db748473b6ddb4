"""Removing an emptied repository from the storage, where the mount is writable and an administrator allows it.

No registry forgets the name of a repository that it emptied; only its directory makes it (docs/deletion.md).
"""

from __future__ import annotations

import time
from pathlib import Path

from django.conf import settings

from dashboard.models import AuditEntry, Deletion, IndexState
from dashboard.registry.references import RepositoryName
from dashboard.storage import removal
from dashboard.storage.removal import RemovalRefused, Removed

from . import audit
from .access import Access
from .audit import Actor
from .deletion.survey import listed_tags
from .index.refresh import ask_for_refresh
from .index.update import state_of

NOT_ALLOWED, NOT_MOUNTED, BUSY, HAS_TAGS, TYPE = "not-allowed", "not-mounted", "busy", "has-tags", "type-the-name"


def may_remove(access: Access) -> bool:
    """Whether the button is there: for administrators who may delete, where it is allowed and the storage belongs."""
    registry = access.registry
    belongs = bool(registry.storage_root) and state_of(registry).mount == IndexState.Mount.BELONGS
    return access.may_delete and access.user.is_staff and registry.allow_removal and belongs


def remove(access: Access, repository: RepositoryName, *, typed: str, actor: Actor) -> Removed:
    """Removes the directories of an emptied repository, and has the index read again.

    Raises RemovalRefused where nothing was removed; RegistryError, StorageError, OSError.
    """
    try:
        _check(access, repository, typed)
        removed = removal.remove(
            Path(access.registry.storage_root),
            repository,
            now=time.time(),
            in_flight_seconds=settings.IN_FLIGHT_SECONDS,
        )
    except RemovalRefused as refused:
        _record(access, repository, actor, AuditEntry.Outcome.REFUSED, refused.code, [refused.subject])
        raise
    except OSError as error:
        _record(access, repository, actor, AuditEntry.Outcome.FAILED, "fault", [error.strerror or ""])
        raise
    _record(access, repository, actor, AuditEntry.Outcome.DONE, "", [f"removed {name}" for name in removed.names])
    ask_for_refresh(registry=access.registry, user=access.user)
    return removed


def _check(access: Access, repository: RepositoryName, typed: str) -> None:
    registry = access.registry
    if not registry.allow_removal:
        raise RemovalRefused(NOT_ALLOWED)
    if not registry.storage_root or state_of(registry).mount != IndexState.Mount.BELONGS:
        raise RemovalRefused(NOT_MOUNTED)
    if typed.strip() != repository:
        raise RemovalRefused(TYPE)
    running = Deletion.objects.filter(registry=registry, repository=repository, state=Deletion.State.IN_PROGRESS)
    if running.exists():
        raise RemovalRefused(BUSY)
    if tags := listed_tags(access.session, repository):
        raise RemovalRefused(HAS_TAGS, tags[0])


def _record(
    access: Access, repository: str, actor: Actor, outcome: AuditEntry.Outcome, code: str, answers: list[str]
) -> None:
    audit.record(
        actor=actor,
        action=AuditEntry.Action.REMOVE_DIRECTORY,
        outcome=outcome,
        registry=access.registry.slug,
        repository=repository,
        code=code,
        answers=[text for text in answers if text],
    )
