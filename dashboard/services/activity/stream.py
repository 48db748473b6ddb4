"""The stream: a page of it, and all of it for a file. The number of queries does not depend on the rows.

A page is asked of each table by its place, never by counting, and cut after they are merged.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from django.db.models import Case, Count, F, Func, IntegerField, Q, QuerySet, Sum, Value, When, Window
from django.db.models.fields import BooleanField
from django.db.models.functions import RowNumber

from dashboard.models import (
    AuditEntry,
    IndexedRepository,
    IndexedRevision,
    IndexedTag,
    NotificationState,
    PullDay,
    RegistryEvent,
)
from dashboard.services.index.lists import MAX_EXPORTED, PAGE_SIZE

from . import rows
from .asked import AUDIT, EVENTS, PULLS, Asked, Place, Source
from .seen import Seen

MAX_IN_FOLD = 50
"""Entries of one batch that a page holds; a file has them all."""
ONE_ACTION = dt.timedelta(minutes=1)
"""So far apart what one client does to a repository belongs together: the manifests of a push, the tags of a digest."""

Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done here: `entries`, the last first, and the sums over all of their batch.

    `count` entries with `tags` tags; `bad` and `bad_tags` of these were refused or failed. `bytes` None: not known.
    """

    place: Place
    entries: Sequence[AuditEntry]
    count: int
    tags: int
    bytes: int | None
    bad: int
    bad_tags: int


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody else pushed or deleted, the last first."""

    place: Place
    events: Sequence[RegistryEvent]


@dataclass(frozen=True, slots=True)
class Pulls:
    """Pulls of one digest on one day (UTC), by whatever tags."""

    place: Place
    repository: str
    digest: str
    tags: Sequence[str]
    day: dt.date
    gets: int
    heads: int


Row = Deed | Change | Pulls
Raw = AuditEntry | RegistryEvent | PullDay


@dataclass(frozen=True, slots=True)
class Known:
    """What of the names in the rows the index knows, so that it leads somewhere: repositories, tags and digests."""

    repositories: frozenset[str] = frozenset()
    tags: frozenset[Name] = frozenset()
    digests: frozenset[Name] = frozenset()


@dataclass(frozen=True, slots=True)
class Stream:
    """A page: its rows, the place where the next begins (None: this is the last), and what the index knows of them.

    `is_notified` tells whether the registry ever notified anything.
    """

    rows: Sequence[Row]
    older: Place | None
    known: Known
    is_notified: bool


class _Batch(NamedTuple):
    """What is done together: a deletion, or its restoration, by one person."""

    batch: UUID | None
    user: str
    is_restoration: bool


@dataclass(slots=True)
class _Sums:
    count: int = 1
    tags: int = 0
    bytes: int | None = None
    bad: int = 0
    bad_tags: int = 0
    members: list[AuditEntry] = field(default_factory=list)


class _Length(Func):
    """The length of a JSON list."""

    function = "JSON_ARRAY_LENGTH"
    output_field = IntegerField()

    def as_postgresql(self, compiler: object, connection: object, **extra: object) -> object:
        return self.as_sql(compiler, connection, function="JSONB_ARRAY_LENGTH", **extra)  # type: ignore[arg-type]


def page(seen: Seen, asked: Asked) -> Stream:
    """The page of the stream that begins at `asked.before`."""
    audited, pulled = rows.audited(seen, asked), rows.pulled(seen, asked)
    found = list(
        islice(
            _merged(
                rows.below(rows.last_of_batches(audited), AUDIT, asked.before)[: PAGE_SIZE + 1],
                rows.below(rows.notified(seen, asked), EVENTS, asked.before)[: PAGE_SIZE + 1],
                rows.below(rows.last_of_days(pulled), PULLS, asked.before)[: PAGE_SIZE + 1],
            ),
            PAGE_SIZE + 1,
        )
    )
    shown = found[:PAGE_SIZE]
    batches = _batches(audited, [row for _, row in shown if isinstance(row, AuditEntry) and row.batch])
    days = _days(pulled, [row for _, row in shown if isinstance(row, PullDay)])
    made: list[Row] = []
    open_changes: dict[tuple[str, ...], int] = {}
    for at, row in shown:
        if isinstance(row, AuditEntry):
            made.append(_deed(at, row, batches))
        elif isinstance(row, PullDay):
            made.append(_pulls(at, row, days))
        else:
            _add_change(made, open_changes, at, row)
    return Stream(
        made,
        older=shown[-1][0] if len(found) > PAGE_SIZE else None,
        known=_known(seen, made),
        is_notified=NotificationState.objects.filter(registry=seen.registry).exists(),
    )


def exported(seen: Seen, asked: Asked) -> Iterator[Raw]:
    """Every row of the filter for itself, at most MAX_EXPORTED, a few at a time."""
    asked = replace(asked, before=None)
    merged = _merged(
        rows.below(rows.audited(seen, asked), AUDIT, None)[:MAX_EXPORTED].iterator(500),
        rows.below(rows.notified(seen, asked), EVENTS, None)[:MAX_EXPORTED].iterator(500),
        rows.below(rows.pulled(seen, asked), PULLS, None)[:MAX_EXPORTED].iterator(500),
    )
    return (row for _, row in islice(merged, MAX_EXPORTED))


def _merged(
    audited: Iterable[AuditEntry], notified: Iterable[RegistryEvent], pulled: Iterable[PullDay]
) -> Iterator[tuple[Place, Raw]]:
    placed = (_placed(audited, AUDIT), _placed(notified, EVENTS), _placed(pulled, PULLS))
    return heapq.merge(*placed, key=lambda pair: pair[0], reverse=True)


def _placed(table: Iterable[Raw], source: Source) -> Iterator[tuple[Place, Raw]]:
    return ((rows.place(row, source), row) for row in table)


def _deed(at: Place, row: AuditEntry, batches: Mapping[_Batch, _Sums]) -> Deed:
    sums = batches.get(_batch(row))
    if sums is None or sums.count == 1:
        bad, tags = row.outcome != AuditEntry.Outcome.DONE, len(row.tags)
        return Deed(at, [row], 1, tags, row.bytes, int(bad), tags if bad else 0)
    return Deed(at, sums.members, sums.count, sums.tags, sums.bytes, sums.bad, sums.bad_tags)


def _batch(row: AuditEntry) -> _Batch:
    return _Batch(row.batch, row.user, row.action == AuditEntry.Action.RESTORE)


def _batches(audited: QuerySet[AuditEntry], last: Sequence[AuditEntry]) -> Mapping[_Batch, _Sums]:
    """The sums and the last entries of the batches that these entries are the last of; two queries."""
    wanted = {_batch(row): _Sums() for row in last}
    restoration = Case(When(action=AuditEntry.Action.RESTORE, then=Value(True)), default=Value(False))
    restoration.output_field = BooleanField()
    of_batches = audited.filter(batch__in={key.batch for key in wanted}).annotate(is_restoration=restoration)
    key = ("batch", "user", "is_restoration")
    not_done = ~Q(outcome=AuditEntry.Outcome.DONE)
    counted = (
        of_batches.order_by()
        .values_list(*key)
        .annotate(
            all_entries=Count("pk"),
            all_tags=Sum(_Length("tags")),
            all_bytes=Sum("bytes"),
            bad_entries=Count("pk", filter=not_done),
            bad_tags=Sum(_Length("tags"), filter=not_done),
        )
    )
    for batch, user, is_restoration, count, tags, freed, bad, bad_tags in counted:
        if (sums := wanted.get(_Batch(batch, user, bool(is_restoration)))) is not None:
            sums.count, sums.tags, sums.bytes, sums.bad, sums.bad_tags = count, tags, freed, bad, bad_tags or 0
    number = Window(RowNumber(), partition_by=[F(name) for name in key], order_by=F("pk").desc())
    for row in of_batches.annotate(number=number).filter(number__lte=MAX_IN_FOLD).order_by("-pk"):
        if (sums := wanted.get(_batch(row))) is not None:
            sums.members.append(row)
    return wanted


def _days(pulled: QuerySet[PullDay], last: Sequence[PullDay]) -> Mapping[tuple[str, str, dt.date], list[PullDay]]:
    """All rows of the digests' days that these rows are the last of; one query."""
    found: dict[tuple[str, str, dt.date], list[PullDay]] = defaultdict(list)
    same = pulled.filter(
        repository__in={row.repository for row in last},
        digest__in={row.digest for row in last},
        day__in={row.day for row in last},
    )
    for row in same.order_by("-last_at", "-pk"):
        found[row.repository, row.digest, row.day].append(row)
    return found


def _pulls(at: Place, row: PullDay, days: Mapping[tuple[str, str, dt.date], list[PullDay]]) -> Pulls:
    same = days.get((row.repository, row.digest, row.day), [row])
    return Pulls(
        at,
        row.repository,
        row.digest,
        tags=[each.tag for each in same if each.tag],
        day=row.day,
        gets=sum(each.gets for each in same),
        heads=sum(each.heads for each in same),
    )


def _add_change(made: list[Row], open_changes: dict[tuple[str, ...], int], at: Place, row: RegistryEvent) -> None:
    """Adds the event to the change that it belongs to, or as a new one; `open_changes`: where each client's last is."""
    client = (row.action, row.repository, row.actor, row.address, row.user_agent)
    index = open_changes.get(client)
    if index is not None:
        change = made[index]
        if isinstance(change, Change) and change.events[-1].at - row.at <= ONE_ACTION:
            made[index] = replace(change, events=[*change.events, row])
            return
    open_changes[client] = len(made)
    made.append(Change(at, [row]))


def _known(seen: Seen, made: Sequence[Row]) -> Known:
    """Three queries. Of a fold only what stands outside it leads somewhere."""
    repositories: set[str] = set()
    tags: set[str] = set()
    digests: set[str] = set()
    for row in made:
        named = row.entries[:1] if isinstance(row, Deed) else row.events if isinstance(row, Change) else [row]
        for each in named:
            repositories.add(each.repository)
            if isinstance(each, AuditEntry):
                tags.update(each.tags)
                digests.update((each.digest_before, each.digest_after))
            else:
                tags.update(each.tags if isinstance(each, Pulls) else [each.tag])
                digests.add(each.digest)
    ours = {"repository__registry": seen.registry, "repository__name__in": repositories}
    known = IndexedRepository.objects.filter(registry=seen.registry, name__in=repositories, read_at__isnull=False)
    return Known(
        frozenset(known.values_list("name", flat=True)),
        frozenset(IndexedTag.objects.filter(**ours, name__in=tags).values_list("repository__name", "name")),
        frozenset(
            IndexedRevision.objects.filter(**ours, manifest__digest__in=digests).values_list(
                "repository__name", "manifest__digest"
            )
        ),
    )
