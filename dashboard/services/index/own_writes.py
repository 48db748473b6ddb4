"""Does the disk show what was written through the registry? A mount that does not is another registry's, or a copy of
yesterday: it is then no source of the index any more (mount.py).

What is undone before anybody looked shows nothing, so whoever sees nothing asks the registry what holds now.
"""

from __future__ import annotations

import time
from pathlib import Path

from dashboard.models import Registry
from dashboard.registry.errors import NotFound, RegistryError
from dashboard.registry.references import Digest, parse_repository, parse_tag
from dashboard.services import connections
from dashboard.storage.errors import ContentError, StorageError
from dashboard.storage.reader import Reader

from . import mount
from .update import reads_storage, state_of

SEEN_WITHIN_SECONDS = 5.0
POLL_SECONDS = 0.25
BUDGET_SECONDS = 10.0


def look_for(*, registry: Registry, repository: str, tag: str, before: str) -> None:
    """Looks on the disk for a write after which `tag` points elsewhere than `before` ("": to nothing).

    Waits for it SEEN_WITHIN_SECONDS at most; where the disk then says something else than the registry, or the registry
    cannot be asked, the mount is noted as differing.
    """
    if not reads_storage(registry, state_of(registry)):
        return
    until = time.monotonic() + SEEN_WITHIN_SECONDS
    try:
        while (shown := _on_disk(registry, repository, tag)) == before and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
        if shown != before or shown == _at_registry(registry, repository, tag):
            return
    except (StorageError, RegistryError):
        pass  # nothing vouches for the disk
    mount.miss(registry, parse_repository(repository), parse_tag(tag))


def _on_disk(registry: Registry, repository: str, tag: str) -> str:
    """What the tag points at; "" for nothing. Raises StorageError."""
    try:
        return Reader(Path(registry.storage_root)).tag(parse_repository(repository), parse_tag(tag)).digest
    except ContentError:
        return ""


def _at_registry(registry: Registry, repository: str, tag: str) -> Digest | str:
    """What the tag points at; "" for nothing. Raises RegistryError."""
    session = connections.background(registry=registry, budget=BUDGET_SECONDS).session
    try:
        return session.resolve(parse_repository(repository), parse_tag(tag))
    except NotFound:
        return ""
