"""Removing an emptied repository from the storage, where the mount is writable and an administrator allows it.

No registry forgets the name of a repository that it emptied; only its directory makes it (docs/deletion.md).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from dashboard.models import AuditEntry, Deletion, DeletionItem, IndexedRepository, IndexState
from dashboard.registry.references import RepositoryName
from dashboard.storage import removal
from dashboard.storage.errors import StorageError
from dashboard.storage.reader import Reader
from dashboard.storage.removal import READ_ONLY, RemovalRefused, Removed

from . import audit, connections, untagged
from .access import Access, Visible
from .audit import Actor
from .deletion.survey import listed_tags
from .index import mount, write
from .index.refresh import ask_for_refresh
from .index.update import state_of
from .trash import kept

NOT_ALLOWED, NOT_MOUNTED, BUSY, HAS_TAGS, TYPE = "not-allowed", "not-mounted", "busy", "has-tags", "type-the-name"
CANNOT_TELL = "cannot-tell"
JUDGE_BUDGET = 15.0


@dataclass(frozen=True, slots=True)
class Remains:
    """What remains of a repository without tags. `untagged` revisions are still in it; None: nobody can tell.

    `in_trash` counts what could not be brought back any more without its directories. `offered`: there is a button, for
    administrators who may delete, where the storage is mounted; `impossible` says why it cannot be used ("" if it can).
    """

    untagged: int | None
    in_trash: int
    offered: bool
    impossible: str


def remains(access: Access, repository: RepositoryName, *, just_emptied: bool = False) -> Remains:
    """As the index and the disk tell; asks no registry. `just_emptied`: of all revisions it is known that they went."""
    registry = access.registry
    state = state_of(registry)
    scope = untagged.Scope(registry, state, Visible(Q()), repository)
    return Remains(
        untagged=0 if just_emptied else untagged.count(scope) if scope.exact else None,
        in_trash=kept.in_trash(registry).filter(deletion__repository=repository).count(),
        offered=access.administers and bool(registry.storage_root),
        impossible=_impossible(access, state, repository),
    )


def was_emptied_by(deletion: Deletion) -> bool:
    """Whether this deletion took all that the repository held, and nothing came to it since, as far as is known."""
    if deletion.state != Deletion.State.DONE or deletion.finished_at is None or not deletion.plan.effect.get("whole"):
        return False
    items = deletion.items
    if items.exclude(state=DeletionItem.State.DONE).exists() or items.exclude(restored_at=None).exists():
        return False
    known = IndexedRepository.objects.filter(registry=deletion.registry, name=deletion.repository)
    return known.filter(Q(tags=0) | Q(read_at__lte=deletion.finished_at), read_at__isnull=False).exists()


def _impossible(access: Access, state: IndexState, repository: RepositoryName) -> str:
    if not access.registry.allow_removal:
        return NOT_ALLOWED
    if state.mount != IndexState.Mount.BELONGS:
        return NOT_MOUNTED
    try:
        return "" if removal.is_writable(Path(access.registry.storage_root), repository) else READ_ONLY
    except StorageError:
        return NOT_MOUNTED


def remove(access: Access, repository: RepositoryName, *, typed: str, actor: Actor) -> Removed:
    """Removes the directories of an emptied repository; its name goes from the index, which is then read again.

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
    done = [f"removed {name}" for name in removed.names] + [f"left {name}" for name in removed.left]
    _record(access, repository, actor, AuditEntry.Outcome.DONE, "", done)
    if not Reader(Path(access.registry.storage_root)).has_repository(repository):
        # By us, and seen: no shrink guard has to ask whether a whole volume is missing.
        write.remove(registry=access.registry, names=[repository], began=timezone.now())
    ask_for_refresh(registry=access.registry, user=access.user)
    return removed


def _check(access: Access, repository: RepositoryName, typed: str) -> None:
    registry = access.registry
    if not registry.allow_removal:
        raise RemovalRefused(NOT_ALLOWED)
    if typed.strip() != repository:
        raise RemovalRefused(TYPE)
    refuse_other_storage(access)
    running = Deletion.objects.filter(registry=registry, repository=repository, state=Deletion.State.IN_PROGRESS)
    if running.exists():
        raise RemovalRefused(BUSY)
    if tags := listed_tags(access.session, repository):
        raise RemovalRefused(HAS_TAGS, tags[0])


def refuse_other_storage(access: Access) -> None:
    """Whether the mount belongs is judged anew: what the last refresh said may be old. Raises RemovalRefused."""
    registry = access.registry
    session = connections.background(registry=registry, budget=JUDGE_BUDGET).session
    verdict = mount.judge(registry, session)
    if verdict.mount == IndexState.Mount.UNKNOWN:
        raise RemovalRefused(CANNOT_TELL)
    if verdict.mount != IndexState.Mount.BELONGS:
        raise RemovalRefused(NOT_MOUNTED)


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
