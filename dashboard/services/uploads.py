"""Unfinished uploads: what is on the disk, what of it is abandoned, and removing that where an administrator allows it.

The API cannot cancel somebody else's upload: its state is signed by the registry and known to the uploader alone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from dashboard.models import AuditEntry, IndexState, Registry
from dashboard.registry.references import RepositoryName
from dashboard.storage import uploads as disk
from dashboard.storage.errors import StorageError
from dashboard.storage.uploads import READ_ONLY, Bounds, RemovalRefused, Upload

from . import access as gate
from . import audit
from .access import Access
from .audit import Actor
from .index.update import state_of
from .repository_removal import NOT_ALLOWED, NOT_MOUNTED, refuse_other_storage

SECONDS = 5.0
"""What a page spends on reading the disk."""
MAX_CHOSEN = 500
FAULT = "fault"
LEFTOVER_SECONDS = 3600
INTERVAL_SECONDS = 24 * 3600
"""How often a registry purges, if it is not told otherwise."""
GRACE_SECONDS = 2 * 3600
"""The first purge after a start comes within the hour."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A number of uploads and their bytes."""

    count: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """The uploads of a registry. Sums are of the whole registry, `uploads` what this person may see, the oldest first.

    `abandoned` of all; `leftovers` of these have no `startedat`, so that the registry never purges them. `overdue`: the
    registry should have purged them by now. `hidden` is how many this person may not see. `by_repository`: of what may
    be seen. `problem`: why the disk could not be read.
    """

    now: float
    bounds: Bounds
    uploads: Sequence[Upload] = ()
    hidden: int = 0
    total: Sum = Sum()
    abandoned: Sum = Sum()
    leftovers: Sum = Sum()
    overdue: Sum = Sum()
    by_repository: Sequence[tuple[str, Sum]] = ()
    foreign: Sequence[str] = ()
    complete: bool = True
    problem: StorageError | None = None
    offered: bool = False
    impossible: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one upload that was to be removed: `code` is "" where it is gone; `upload` what it was."""

    repository: str
    id: str
    code: str = ""
    upload: Upload | None = field(default=None)


def bounds() -> Bounds:
    """When an upload is abandoned."""
    leftover = max(settings.IN_FLIGHT_SECONDS, LEFTOVER_SECONDS)
    return Bounds(age=max(settings.UPLOAD_PURGE_HOURS * 3600, leftover), leftover=leftover)


def listing(access: Access) -> Listing:
    """As the disk says now. Raises RegistryError if the registry turns this person away."""
    registry, now = access.registry, time.time()
    if not registry.storage_root:
        gate.has_rights_per_repository(access)
        return Listing(now, bounds())
    try:
        found = disk.find(Path(registry.storage_root), seconds=SECONDS)
    except StorageError as problem:
        gate.has_rights_per_repository(access)
        return Listing(now, bounds(), problem=problem)
    names = sorted({u.repository for u in found.uploads} | {repository for repository, _ in found.foreign})
    readable = {name for name, answer in gate.readable(access, names).items() if answer is True}
    seen = sorted((u for u in found.uploads if u.repository in readable), key=lambda u: (u.written, u.repository, u.id))
    limits = bounds()
    gone = [upload for upload in found.uploads if disk.is_abandoned(upload, now, limits)]
    overdue = limits.age + INTERVAL_SECONDS + GRACE_SECONDS
    repositories = Counter[str]()
    sizes = Counter[str]()
    for upload in seen:
        repositories[upload.repository] += 1
        sizes[upload.repository] += upload.bytes
    ranked = sorted(repositories, key=lambda name: (-sizes[name], name))
    return Listing(
        now=now,
        bounds=limits,
        uploads=seen,
        hidden=len(found.uploads) - len(seen),
        total=_sum(found.uploads),
        abandoned=_sum(gone),
        leftovers=_sum([upload for upload in gone if upload.started is None]),
        overdue=_sum([u for u in found.uploads if u.started is not None and now - u.started > overdue]),
        by_repository=[(name, Sum(repositories[name], sizes[name])) for name in ranked],
        foreign=[f"{repository}: {name}" for repository, name in found.foreign if repository in readable],
        complete=found.complete,
        offered=_is_offered(access),
        impossible=_impossible(registry, gone),
    )


def remove(access: Access, chosen: Sequence[tuple[str, str]], *, actor: Actor) -> list[Outcome]:
    """Removes uploads, given as repository and id, each if it is abandoned at that moment; one outcome each.

    Raises RemovalRefused where none may be removed at all, RegistryError.
    """
    registry = access.registry
    if not registry.allow_upload_removal:
        raise RemovalRefused(NOT_ALLOWED)
    refuse_other_storage(access)
    chosen = list(dict.fromkeys(chosen))[:MAX_CHOSEN]
    answers = gate.readable(access, sorted({repository for repository, _ in chosen}))
    return [
        _remove(access, repository, upload_id, actor)
        if answers[repository] is True
        else Outcome(repository, upload_id, disk.MISSING)
        for repository, upload_id in chosen
    ]


def abandoned_of(found: Listing, chosen: Sequence[tuple[str, str]]) -> list[Upload]:
    """Those of the chosen ones that are abandoned, as the listing says."""
    wanted = set(chosen)
    return [
        upload
        for upload in found.uploads
        if (upload.repository, upload.id) in wanted and disk.is_abandoned(upload, found.now, found.bounds)
    ][:MAX_CHOSEN]


def _remove(access: Access, repository: str, upload_id: str, actor: Actor) -> Outcome:
    code, subject, upload = "", "", None
    try:
        upload = disk.remove(
            Path(access.registry.storage_root),
            RepositoryName(repository),
            upload_id,
            now=time.time(),
            bounds=bounds(),
        )
    except RemovalRefused as refused:
        code, subject = refused.code, refused.subject
    except (OSError, StorageError) as error:
        code, subject = FAULT, getattr(error, "strerror", "") or ""
    outcome = AuditEntry.Outcome.DONE if upload else AuditEntry.Outcome.REFUSED
    audit.record(
        actor=actor,
        action=AuditEntry.Action.REMOVE_UPLOAD,
        outcome=AuditEntry.Outcome.FAILED if code == FAULT else outcome,
        registry=access.registry.slug,
        repository=repository,
        code=code,
        answers=[text for text in (f"upload {upload_id}", subject) if text],
        freed=upload.bytes if upload else None,
    )
    return Outcome(repository, upload_id, code, upload)


def _is_offered(access: Access) -> bool:
    return access.administers and bool(access.registry.storage_root)


def _impossible(registry: Registry, gone: Sequence[Upload]) -> str:
    if not registry.allow_upload_removal:
        return NOT_ALLOWED
    if state_of(registry).mount != IndexState.Mount.BELONGS:
        return NOT_MOUNTED
    try:
        writable = not gone or disk.is_writable(Path(registry.storage_root), gone[0].repository)
    except StorageError:
        return NOT_MOUNTED
    return "" if writable else READ_ONLY


def _sum(uploads: Sequence[Upload]) -> Sum:
    return Sum(len(uploads), sum(upload.bytes for upload in uploads))
