"""Reading some repositories again, now: because a notification hinted at them, or because somebody looks at one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from dashboard.models import IndexedRepository, IndexState, Registry, TagPeriod
from dashboard.registry.client import RegistrySession
from dashboard.registry.errors import RegistryError
from dashboard.services import connections
from dashboard.storage.errors import StorageError

from . import guard, write
from .api_reader import ApiReader
from .readings import Reader, Reading
from .storage_reader import StorageReader
from .stored import known_targets

logger = logging.getLogger(__name__)

BUDGET_SECONDS = 60.0
AT_ONCE = 50


def state_of(registry: Registry) -> IndexState:
    """How the index of a registry stands; a state that knows nothing where it was never read."""
    return IndexState.objects.filter(registry=registry).first() or IndexState(registry=registry)


def reads_storage(registry: Registry, state: IndexState) -> bool:
    """Whether readings come from the mounted storage: only where it was found to be this registry's."""
    return bool(registry.storage_root) and state.mount == IndexState.Mount.BELONGS


def knows_revisions(registry: Registry, state: IndexState) -> bool:
    """Whether the index has every revision: all were read on the disk, and what comes is read there too."""
    return state.source == IndexState.Source.STORAGE and reads_storage(registry, state)


def reader_for(registry: Registry, session: RegistrySession, state: IndexState) -> Reader:
    """The closer source. Raises StorageError where the storage is gone since it was judged."""
    if reads_storage(registry, state):
        return StorageReader(Path(registry.storage_root))
    return ApiReader(session)


def read_again(
    *, registry: Registry, names: Iterable[str], learnt: TagPeriod.Learnt = TagPeriod.Learnt.EVENT
) -> dict[str, Exception | None]:
    """Reads these repositories with the background credential and writes them; for each None, or what hindered it.

    What the shrink guard holds back is left to the refresh, which asks an administrator.
    """
    session = connections.background(registry=registry, budget=BUDGET_SECONDS).session
    state = state_of(registry)
    outcomes: dict[str, Exception | None] = {}
    wanted = list(dict.fromkeys(names))
    for start in range(0, len(wanted), AT_ONCE):
        part = wanted[start : start + AT_ONCE]
        try:
            reader = reader_for(registry, session, state)
            found = reader.read(part, known_targets(registry=registry, repositories=part))
            readings = [outcome for outcome in found.values() if isinstance(outcome, Reading)]
            held_back = guard.emptied(registry, readings)
            kept = [reading for reading in readings if reading.repository not in held_back]
            applied = write.apply(registry=registry, reader=reader, readings=kept, learnt=learnt)
        except (StorageError, RegistryError) as error:
            outcomes |= dict.fromkeys(part, error)
            continue
        write.recount_exclusive_after(registry, applied)
        outcomes |= {name: outcome if isinstance(outcome, Exception) else None for name, outcome in found.items()}
    return outcomes


def mark_unreadable(registry: Registry, errors: dict[str, str]) -> None:
    """Notes on known repositories the code of the error that kept them from being read; their tags stay."""
    for code in set(errors.values()):
        names = [name for name, its in errors.items() if its == code]
        IndexedRepository.objects.filter(registry=registry, name__in=names).update(error_code=code)
