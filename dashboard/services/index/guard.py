"""The shrink guard: what would vanish all at once is left as it is until an administrator says that it is gone.

A registry whose volume is not mounted answers 200 and an empty list. What we deleted ourselves explains itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dashboard.models import DeletionItem, IndexedRepository, IndexedTag, Registry

from .documents import chunks
from .readings import Reading

GUARD_REPOSITORIES = 5
GUARD_TAGS = 20


def emptied(registry: Registry, readings: Sequence[Reading]) -> set[str]:
    """Those repositories that would lose all of more than GUARD_TAGS tags by these readings."""
    return too_large(registry, [reading.repository for reading in readings if not reading.names])


def too_large(registry: Registry, names: Iterable[str]) -> set[str]:
    """Those of the repositories that have more than GUARD_TAGS tags, those that we deleted not counted."""
    return {name for name, tags in _unexplained(registry, names).items() if tags > GUARD_TAGS}


def too_many(registry: Registry, gone: Sequence[str], known: int) -> bool:
    """Whether more than half of at least GUARD_REPOSITORIES would go, those that we emptied not counted."""
    if known < GUARD_REPOSITORIES or len(gone) * 2 <= known:
        return False
    ours = sum(1 for tags in _unexplained(registry, gone, only_deleted=True).values() if not tags)
    return (len(gone) - ours) * 2 > known


def _unexplained(registry: Registry, names: Iterable[str], *, only_deleted: bool = False) -> dict[str, int]:
    """How many tags of each repository are in the index and were not deleted by us since it was read.

    `only_deleted`: of those repositories alone from which we deleted something.
    """
    found: dict[str, int] = {}
    for part in chunks(list(names), 500):
        rows = IndexedRepository.objects.filter(registry=registry, name__in=part)
        read_at = dict(rows.values_list("name", "read_at"))
        ours: dict[str, set[str]] = {}
        oldest = min((when for when in read_at.values() if when), default=None)
        done = DeletionItem.objects.filter(deletion__registry=registry, deletion__repository__in=part)
        done = done.filter(state=DeletionItem.State.DONE, finished_at__gt=oldest) if oldest else done.none()
        for name, tags, finished_at in done.values_list("deletion__repository", "tags", "finished_at"):
            since = read_at.get(name)
            if since is not None and finished_at is not None and finished_at > since:
                ours.setdefault(name, set()).update(tags)
        wanted = list(ours) if only_deleted else part
        indexed = IndexedTag.objects.filter(repository__registry=registry, repository__name__in=wanted)
        found |= dict.fromkeys((name for name in wanted if name in read_at), 0)
        for name, tag in indexed.values_list("repository__name", "name").iterator():
            found[name] += tag not in ours.get(name, ())
    return found
