"""Applying readings to the index, so that a later reading always wins and none is half visible.

Repositories are written in transactions under a lock of their rows (SQLite locks the whole database, PostgreSQL the
rows), and everything is decided by what is stored at that moment:

* the names of a reading count only if it began after the one that is stored: then tags that it lacks go, and new ones
  come; else they tell nothing;
* what a tag points at is written only where the tag's own stored reading began earlier.

A reading that comes so late that another was written since, and says something else, is made again: what was found
unchanged leaves its rows as they are, so their times do not tell which of the two is right.

A repository that is too large for one transaction is written in parts at first, while its empty `read_at` hides it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

from django.db import OperationalError, connection, transaction
from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet, Sum

from dashboard.models import IndexedRepository, IndexedTag, IndexState, Registry, RepositoryBlob, TagPeriod

from . import history
from .applied import Applied
from .batch import Batch
from .documents import ROWS_AT_ONCE, chunks
from .history import Move
from .readings import Reader, Reading
from .rows import update_objects
from .stored import Stored

TAGS_AT_ONCE = 1000


def apply(
    *,
    registry: Registry,
    reader: Reader,
    readings: Sequence[Reading],
    learnt: TagPeriod.Learnt | None = None,
    thorough: bool = False,
) -> Applied:
    """Writes readings of one registry. What is new in them is fetched with `reader` first, outside of transactions.

    `learnt`: how the history says that a move became known (default: by the reader's source). `thorough` also looks
    anew at what has not changed: whether children of indexes are still there. Raises RegistryError where the source
    does not answer at all.
    """
    if learnt is None:
        storage = reader.source == IndexState.Source.STORAGE
        learnt = TagPeriod.Learnt.STORAGE if storage else TagPeriod.Learnt.REFRESH
    total = Applied()
    for group in _groups(readings):
        stored = Stored(registry, group)
        changed = _as_of_now(reader, stored, [r for r in group if thorough or not stored.says(r)])
        if changed:
            applied = Batch(registry, reader, changed, learnt, stored).write()
            total.add(applied)
            total.blobs |= applied.blobs
        same = {reading.repository for reading in group} - {reading.repository for reading in changed}
        _touch(registry, [r for r in group if r.repository in same and not stored.is_late(r)])
    return total


def remove(*, registry: Registry, names: Iterable[str], began: dt.datetime) -> int:
    """Removes repositories that a reading of the whole list, begun at `began`, lacked; how many. History stays."""
    removed = 0
    for part in chunks(list(names), 100):
        with transaction.atomic():
            rows = IndexedRepository.objects.select_for_update().filter(registry=registry, name__in=part)
            gone = list(rows.filter(Q(read_at=None) | Q(read_at__lt=began)))
            tags = IndexedTag.objects.filter(repository__in=gone).values_list("repository__name", "name")
            moves = [Move(repository, tag, None, began) for repository, tag in tags]
            history.note(registry=registry, moves=moves, learnt=TagPeriod.Learnt.REFRESH)
            IndexedRepository.objects.filter(pk__in=[row.pk for row in gone]).delete()
            removed += len(gone)
    return removed


def recount_exclusive(registry: Registry) -> None:
    """Counts anew what each repository alone holds."""
    _note_exclusive(IndexedRepository.objects.filter(registry=registry), _exclusive_of_all(registry))


def recount_exclusive_after(registry: Registry, applied: Applied) -> None:
    """The same of those alone that were changed, and of who shared with them, or does now, what nobody else holds."""
    names = applied.changed.copy()
    # Of a blob that more hold than these and one other it was, and is, exclusive to nobody.
    few = len(applied.changed) + 1
    for part in chunks(sorted(applied.blobs)):
        held = RepositoryBlob.objects.filter(repository__registry=registry, blob__in=part).values("blob")
        rare = held.annotate(holders=Count("pk")).filter(holders__lte=few).values("blob")
        holders = IndexedRepository.objects.filter(registry=registry, blobs__blob__in=rare)
        names.update(holders.values_list("name", flat=True).distinct())
    rows = IndexedRepository.objects.filter(registry=registry, name__in=names)
    _note_exclusive(rows, _exclusive_of(registry, rows))


def _note_exclusive(rows: QuerySet[IndexedRepository], sums: Mapping[int, int]) -> None:
    stale = []
    for row in rows.only("pk", "exclusive_bytes"):
        if row.exclusive_bytes != sums.get(row.pk, 0):
            row.exclusive_bytes = sums.get(row.pk, 0)
            stale.append(row)
    for part in chunks(stale):
        with transaction.atomic():
            update_objects(IndexedRepository, part, ["exclusive_bytes"])


def _exclusive_of(registry: Registry, rows: QuerySet[IndexedRepository]) -> dict[int, int]:
    """Bytes that each of these repositories alone holds: what they hold is looked for elsewhere."""
    elsewhere = RepositoryBlob.objects.filter(blob=OuterRef("blob"), repository__registry=registry).exclude(
        repository=OuterRef("repository")
    )
    alone = RepositoryBlob.objects.filter(~Exists(elsewhere), repository__in=rows, tagged=True)
    return dict(alone.values_list("repository").annotate(Sum("blob__bytes")))


def _exclusive_of_all(registry: Registry) -> dict[int, int]:
    """The same for every repository, in one pass over the blobs: a tenth of the time of looking each one up."""
    held = RepositoryBlob.objects.filter(repository__registry=registry).values("blob")
    once = held.annotate(
        holders=Count("pk"),
        of_a_tag=Count("pk", filter=Q(tagged=True)),
        only=Min("repository"),
        size=Min("blob__bytes"),
    ).filter(holders=1, of_a_tag=1)
    sums: dict[int, int] = {}
    for repository, size in once.values_list("only", "size").iterator(ROWS_AT_ONCE):
        sums[repository] = sums.get(repository, 0) + size
    return sums


def _groups(readings: Sequence[Reading]) -> Iterator[list[Reading]]:
    """Readings joined to groups of about TAGS_AT_ONCE tags."""
    group: list[Reading] = []
    room = TAGS_AT_ONCE
    for reading in readings:
        if group and room < len(reading.names):
            yield group
            group, room = [], TAGS_AT_ONCE
        group.append(reading)
        room -= len(reading.names) + 1
    if group:
        yield group


def _as_of_now(reader: Reader, stored: Stored, readings: list[Reading]) -> list[Reading]:
    """Those of `readings` that came too late, and say something else than what was read since, are read again."""
    late = [reading.repository for reading in readings if stored.is_late(reading)]
    if not late:
        return readings
    known = {name: stored.targets(name) for name in late}
    again = [found for found in reader.read(late, known).values() if isinstance(found, Reading)]
    return [*(reading for reading in readings if reading.repository not in late), *again]


def _touch(registry: Registry, readings: list[Reading]) -> None:
    """Notes that these repositories were read and are as they were."""
    for began in {reading.began for reading in readings}:
        names = [reading.repository for reading in readings if reading.began == began]
        rows = IndexedRepository.objects.filter(registry=registry, name__in=names, read_at__lt=began)
        rows.exclude(error_code="").update(error_code="")
        rows.update(read_at=began)


def keep_statistics() -> None:
    """Has SQLite look at tables that changed, so that it chooses indexes well; PostgreSQL does so by itself.

    Where somebody else is writing just now it is left to the next time: SQLite does not wait for a lock here.
    """
    if connection.vendor == "sqlite":
        with contextlib.suppress(OperationalError), connection.cursor() as cursor:
            cursor.execute("PRAGMA analysis_limit = 1000")
            cursor.execute("PRAGMA optimize")
