"""Does the mounted storage belong to this registry? Judged by reading both and comparing.

Of the storage the tags of the repositories that were written last, asked of the registry; of the registry tags from all
over its list, looked for in the storage. One that differs is read again, for somebody may just be pushing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils import timezone

from dashboard.models import IndexState, Registry
from dashboard.registry.client import RegistrySession
from dashboard.registry.errors import NotFound, RegistryError, ServerFault
from dashboard.registry.references import Digest, RepositoryName, Tag, is_repository, is_tag
from dashboard.services import parallel
from dashboard.storage.errors import ContentError, StorageError
from dashboard.storage.reader import Reader

FROM_STORAGE = 20
FROM_REGISTRY = 10
UNSEEN_WRITE = "unseen-write"

Named = tuple[RepositoryName, Tag]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison says; `difference` names the first one, or why it cannot be told."""

    mount: IndexState.Mount
    difference: dict[str, Any] = field(default_factory=dict)


def judge(registry: Registry, session: RegistrySession) -> Verdict:
    """Compares the registry with its mounted storage. Never raises for what either of them answers."""
    if not registry.storage_root:
        return Verdict(IndexState.Mount.NONE)
    try:
        storage = Reader(Path(registry.storage_root))
        newest = _newest(storage)
    except StorageError as error:
        return Verdict(IndexState.Mount.UNKNOWN, {"reason": error.code})
    try:
        listed = _listed(session)
    except RegistryError as error:
        return Verdict(IndexState.Mount.UNKNOWN, {"reason": error.code})
    wanted = list(dict.fromkeys([*_doubted(registry), *newest, *listed]))
    if not wanted:
        return Verdict(IndexState.Mount.UNKNOWN, {"reason": "empty"})
    for _ in range(2):
        try:
            different, compared = _compare(storage, session, wanted)
        except RegistryError as error:
            return Verdict(IndexState.Mount.UNKNOWN, {"reason": error.code})
        if not compared:
            return Verdict(IndexState.Mount.UNKNOWN, {"reason": ServerFault.code})
        if not different:
            return Verdict(IndexState.Mount.BELONGS)
        wanted = different
    repository, tag = wanted[0]
    return Verdict(IndexState.Mount.DIFFERS, {"repository": repository, "tag": tag})


def note(registry: Registry, verdict: Verdict) -> IndexState:
    """Keeps a verdict; the state of the registry's index."""
    state, _ = IndexState.objects.update_or_create(
        registry=registry,
        defaults={
            "mount": verdict.mount,
            "mount_checked_at": timezone.now(),
            "mount_difference": verdict.difference,
        },
    )
    return state


def miss(registry: Registry, repository: RepositoryName, tag: Tag) -> None:
    """Notes that a write of ours did not appear on the disk: the mount is no source until both agree on that tag."""
    note(registry, Verdict(IndexState.Mount.DIFFERS, {"repository": repository, "tag": tag, "reason": UNSEEN_WRITE}))


def _doubted(registry: Registry) -> list[Named]:
    """The tag that they were found not to agree on before: a storage of yesterday agrees on most others."""
    state = IndexState.objects.filter(registry=registry, mount=IndexState.Mount.DIFFERS).first()
    difference = state.mount_difference if state else {}
    repository, tag = str(difference.get("repository", "")), str(difference.get("tag", ""))
    return [(RepositoryName(repository), Tag(tag))] if is_repository(repository) and is_tag(tag) else []


def _newest(storage: Reader) -> list[Named]:
    """Tags of the repositories whose tags changed last, newest first."""
    found: list[tuple[float, Named]] = []
    by_time = sorted(storage.repository_times(), reverse=True)
    for _, name in by_time[:FROM_STORAGE]:
        for tag in storage.tags(name)[:200]:
            try:
                found.append((storage.tag(name, tag).written, (name, tag)))
            except ContentError:
                continue
    return [named for _, named in sorted(found, reverse=True)[:FROM_STORAGE]]


def _listed(session: RegistrySession) -> list[Named]:
    """Some tags of the registry's own list, from all over it."""
    names = [name for name in session.repositories().names if is_repository(name)]
    some = [RepositoryName(name) for name in _spread(names, FROM_REGISTRY)]
    lists = parallel.each(some, session.tags)
    found: list[Named] = []
    for name, tags in lists.items():
        if isinstance(tags, NotFound):
            continue
        if isinstance(tags, RegistryError):
            raise tags
        found += [(name, Tag(tag)) for tag in _spread([tag for tag in tags if is_tag(tag)], 1)]
    return found


def _spread(items: Sequence[str], count: int) -> Sequence[str]:
    step = max(1, len(items) // count)
    return items[::step][:count]


def _compare(storage: Reader, session: RegistrySession, wanted: Iterable[Named]) -> tuple[list[Named], int]:
    """Those that storage and registry do not agree on, and how many could be compared.

    What the registry itself cannot read (a broken link) tells nothing. Raises RegistryError where it could not be
    asked.
    """
    asked = list(wanted)
    answers = parallel.each(asked, lambda named: session.resolve(*named, _target(storage, named)))
    found: list[Named] = []
    compared = 0
    for named, answer in answers.items():
        if isinstance(answer, ServerFault):
            continue
        if isinstance(answer, RegistryError) and not isinstance(answer, NotFound):
            raise answer
        compared += 1
        there = None if isinstance(answer, RegistryError) else answer
        if there != _target(storage, named):
            found.append(named)
    return found, compared


def _target(storage: Reader, named: Named) -> Digest | None:
    try:
        return storage.tag(*named).digest
    except StorageError:
        return None
