"""Some repositories written together: what is new is fetched first, then one transaction decides and writes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from django.db import transaction

from dashboard.models import (
    IndexedRepository,
    IndexedRevision,
    IndexedTag,
    Registry,
    RepositoryBlob,
    TagPeriod,
)
from dashboard.registry.references import Digest, namespace_of

from . import content_rows, history
from .applied import Applied
from .content_rows import Loaded
from .documents import ROWS_AT_ONCE, chunks, learn
from .history import Move
from .readings import NOT_READ_YET, Held, PastTarget, Reader, Reading, TagReading
from .rows import insert, insert_objects, update_objects
from .sort_keys import MAX_TAG_KEY, name_key, tree_key
from .stored import Stored
from .tag_changes import TagChanges, changes

MAX_PLATFORMS = 500
MAX_KINDS = 100
Since = dict[tuple[str, str], TagPeriod]
Pair = tuple[int, int]
"""Ids of a repository and of what it holds."""
Holding = TypeVar("Holding", IndexedRevision, RepositoryBlob)
_NOT_READ = TagReading(None, error_code=NOT_READ_YET)
_TAG_COLUMNS = (
    "digest", "manifest_id", "read_at", "since", "since_is_push", "stamp", "created_at", "bytes", "is_partial",
    "platforms", "about", "error_code",
)  # fmt: skip


class Batch:
    """Some repositories being written together: loaded before the transaction, decided within it."""

    def __init__(
        self, registry: Registry, reader: Reader, readings: list[Reading], learnt: TagPeriod.Learnt, stored: Stored
    ) -> None:
        self._registry = registry
        self._readings = readings
        self._learnt = learnt
        self._applied = Applied()
        wanted: list[Held] = []
        revisions: dict[str, frozenset[Digest]] = {}
        self._pasts: dict[str, Sequence[PastTarget]] = {}
        for reading in readings:
            digests = dict.fromkeys(t.digest for t in reading.tags.values() if t.digest is not None)
            digests |= dict.fromkeys(reading.revisions or ())
            wanted += [(reading.repository, digest) for digest in digests]
            if reading.revisions is not None:
                revisions[reading.repository] = reading.revisions
            before = stored.tags.get(reading.repository, {})
            new = [tag for tag, t in reading.tags.items() if t.digest is not None and tag not in before]
            self._pasts[reading.repository] = reader.past(reading.repository, new)
        found = learn(reader, wanted, revisions=revisions)
        self._errors = found.errors
        self._held: dict[str, set[str]] = {reading.repository: set() for reading in readings}
        for repository, digest in found.held:
            self._held[repository].add(digest)
        self._loaded = content_rows.load([digest for _, digest in found.held])

    def write(self) -> Applied:
        """Writes them all; what changed."""
        self._write_first_parts()
        with transaction.atomic():
            rows = self._lock()
            tags = self._write_tags(rows)
            self._write_content(rows, tags)
        return self._applied

    def _lock(self) -> dict[str, IndexedRepository]:
        names = sorted(reading.repository for reading in self._readings)
        if len(rows := self._locked(names)) == len(names):
            return rows
        IndexedRepository.objects.bulk_create(
            [
                IndexedRepository(
                    registry=self._registry,
                    name=name,
                    namespace=namespace_of(name),
                    sort_key=name_key(name),
                    tree_key=tree_key(name),
                )
                for name in names
            ],
            ignore_conflicts=True,
        )
        return self._locked(names)

    def _locked(self, names: list[str]) -> dict[str, IndexedRepository]:
        rows = IndexedRepository.objects.select_for_update().filter(registry=self._registry, name__in=names)
        return {row.name: row for row in rows.order_by("pk")}

    def _write_first_parts(self) -> None:
        """The tags of a large repository that is seen for the first time, in transactions of their own."""
        for reading in self._readings:
            if len(reading.tags) <= ROWS_AT_ONCE:
                continue
            with transaction.atomic():
                row = self._lock()[reading.repository]
            if row.read_at is not None:
                continue
            since = self._since()
            past: dict[str, list[PastTarget]] = {}
            for target in self._pasts[reading.repository]:
                past.setdefault(target.tag, []).append(target)
            for part in chunks([self._tag(row, reading, since, tag) for tag in sorted(reading.tags)]):
                made = TagChanges(names_count=True, after={}, come=list(part))
                moves = made.moves(reading.repository, reading.began, self._how_learnt(row))
                with transaction.atomic():
                    insert_objects(IndexedTag, part)
                    remembered = [target for tag in part for target in past.get(tag.name, ())]
                    history.remember_past(registry=self._registry, repository=reading.repository, past=remembered)
                    history.note(registry=self._registry, moves=moves, learnt=self._learnt)

    def _write_tags(self, rows: dict[str, IndexedRepository]) -> dict[int, dict[str, IndexedTag]]:
        """Tags come, move and go, and the history notes it. The tags of each repository as they are then."""
        stored: dict[int, dict[str, IndexedTag]] = {row.pk: {} for row in rows.values()}
        for tag in IndexedTag.objects.filter(repository__in=list(stored)):
            stored[tag.repository_id][tag.name] = tag
        since = self._since()
        made: list[TagChanges] = []
        moves: list[Move] = []
        for reading in self._readings:
            row = rows[reading.repository]
            fresh = partial(self._tag, row, reading, since)
            found = changes(read_at=row.read_at, stored=stored[row.pk], reading=reading, fresh=fresh)
            made.append(found)
            moves += found.moves(reading.repository, reading.began, self._how_learnt(row))
            stored[row.pk] = found.after
            if found.names_count:
                row.read_at, row.error_code = reading.began, ""
            if found.is_change:
                self._applied.changed.add(reading.repository)
        self._store(made)
        for repository, past in self._pasts.items():
            history.remember_past(registry=self._registry, repository=repository, past=past)
        history.note(registry=self._registry, moves=moves, learnt=self._learnt)
        return stored

    def _store(self, made: list[TagChanges]) -> None:
        come = [tag for found in made for tag in found.come]
        moved = [tag for found in made for tag in found.moved]
        reread = [tag for found in made for tag in found.reread]
        gone = [tag.pk for found in made for tag in found.gone]
        for part in chunks(gone):
            IndexedTag.objects.filter(pk__in=part).delete()
        insert_objects(IndexedTag, come)
        update_objects(IndexedTag, [*moved, *reread], _TAG_COLUMNS)
        self._applied.came += len(come)
        self._applied.moved += len(moved)
        self._applied.went += len(gone)

    def _since(self) -> Since:
        """What the history knows of targets whose push the source does not tell."""
        asked = {
            (reading.repository, tag): found.digest
            for reading in self._readings
            for tag, found in reading.tags.items()
            if found.digest is not None and found.pushed_at is None
        }
        return history.began(registry=self._registry, tags=asked) if asked else {}

    def _tag(self, row: IndexedRepository, reading: Reading, since: Since, name: str) -> IndexedTag:
        """The row of a tag as the reading has it."""
        found = reading.tags.get(name, _NOT_READ)
        period = since.get((reading.repository, name))
        tag = IndexedTag(
            repository=row,
            name=name[:128],
            sort_key=name_key(name)[:MAX_TAG_KEY],
            digest=found.digest or "",
            read_at=reading.began,
            since=found.pushed_at or (period.began_at if period else reading.began),
            since_is_push=found.pushed_at is not None
            or (period is not None and period.learnt != TagPeriod.Learnt.REFRESH)
            or (period is None and self._how_learnt(row) == TagPeriod.Learnt.EVENT),
            error_code=found.error_code,
            stamp=found.stamp,
            about=content_rows.about(name, ""),
        )
        if found.digest is None:
            return tag
        held = self._held[reading.repository]
        target = content_rows.target_of(self._loaded, name, found.digest, held) if found.digest in held else None
        if target is None:
            tag.error_code = self._errors.get((reading.repository, found.digest), "manifest-unknown")
            return tag
        tag.manifest = target.manifest
        tag.created_at = target.created_at
        tag.bytes = target.bytes
        tag.is_partial = target.is_partial
        tag.platforms = target.platforms
        tag.about = target.about
        doubtful = sorted(self._loaded.listed(found.digest)) if self._errors else []
        unread = [error for child in doubtful if (error := self._errors.get((reading.repository, Digest(child))))]
        tag.error_code = unread[0] if unread else ""
        return tag

    def _how_learnt(self, row: IndexedRepository) -> TagPeriod.Learnt:
        """A notification told of some push; of a repository that is read for the first time nobody knows of which."""
        if self._learnt == TagPeriod.Learnt.EVENT and row.read_at is None:
            return TagPeriod.Learnt.REFRESH
        return self._learnt

    def _write_content(self, rows: dict[str, IndexedRepository], tags: dict[int, dict[str, IndexedTag]]) -> None:
        """Which manifests and blobs each repository holds, and its sums."""
        revisions: dict[Pair, bool] = {}
        pushed: dict[Pair, dt.datetime] = {}
        blobs: dict[Pair, bool] = {}
        loaded = self._loaded
        for reading in self._readings:
            row = rows[reading.repository]
            held = self._held_after(row, reading)
            roots = {tag.digest for tag in tags[row.pk].values()}
            tagged = content_rows.tagged_digests(loaded, roots, held)
            if reading.revisions is None:
                held = tagged  # whether the rest is still there was not asked
            for digest in held:
                manifest = loaded.manifests.get(digest)
                if manifest is None:
                    continue
                revisions[row.pk, manifest.pk] = digest in tagged
                if (pushed_at := reading.pushed.get(Digest(digest))) is not None:
                    pushed[row.pk, manifest.pk] = pushed_at
                for blob in loaded.blobs.get(manifest.pk, ()):
                    blobs[row.pk, blob] = blobs.get((row.pk, blob), False) or digest in tagged
            _sum_up(row, tags[row.pk].values(), loaded, tagged)
        _note_pushes(list(tags), pushed)
        _replace(IndexedRevision, "manifest_id", list(tags), revisions, {"pushed_at": pushed})
        self._applied.blobs = _replace(RepositoryBlob, "blob_id", list(tags), blobs)
        fields = ["read_at", "tags", "bytes", "platforms", "kinds", "pushed_at", "error_code"]
        update_objects(IndexedRepository, rows.values(), fields)

    def _held_after(self, row: IndexedRepository, reading: Reading) -> set[str]:
        """What the repository holds: as listed, else what was learnt now and what was known of the other tags."""
        held = self._held[reading.repository]
        if reading.revisions is None and len(reading.tags) < len(reading.names):
            known = IndexedRevision.objects.filter(repository=row, tagged=True)
            before = set(known.values_list("manifest__digest", flat=True)) - held
            more = content_rows.load(before)
            self._loaded.manifests.update(more.manifests)
            self._loaded.entries.update(more.entries)
            self._loaded.blobs.update(more.blobs)
            return held | before
        return held


def _sum_up(row: IndexedRepository, tags: Iterable[IndexedTag], loaded: Loaded, tagged: set[str]) -> None:
    listed = list(tags)
    row.tags = len(listed)
    row.bytes = loaded.bytes_of(loaded.manifests[digest] for digest in tagged if digest in loaded.manifests)
    row.pushed_at = max((tag.since for tag in listed), default=None)
    platforms = {word.lstrip("!") for tag in listed for word in tag.platforms.split() if not word.startswith("!")}
    row.platforms = " ".join(sorted(platforms))[:MAX_PLATFORMS]
    kinds = {loaded.manifests[tag.digest].kind for tag in listed if tag.digest in loaded.manifests and not tag.about}
    row.kinds = " ".join(sorted(kinds))[:MAX_KINDS]


def _note_pushes(repositories: list[int], pushed: Mapping[Pair, dt.datetime]) -> None:
    """Writes when the revisions that are known were pushed last, as far as that was told now."""
    rows = IndexedRevision.objects.filter(repository__in=repositories) if pushed else IndexedRevision.objects.none()
    stale = []
    for row in rows:
        now = pushed.get((row.repository_id, row.manifest_id))
        if now is not None and row.pushed_at != now:
            row.pushed_at = now
            stale.append(row)
    update_objects(IndexedRevision, stale, ["pushed_at"])


def _replace(
    model: type[Holding],
    column: str,
    repositories: list[int],
    wanted: dict[Pair, bool],
    more: Mapping[str, Mapping[Pair, object]] | None = None,
) -> set[int]:
    """Makes the rows of these repositories what is wanted: (repository, other) to whether it is tagged.

    New ones get the values of `more`, column by column. Returns the others that came or went.
    """
    moved: set[int] = set()
    manager = model._default_manager
    stale: list[int] = []
    turned: dict[bool, list[int]] = {True: [], False: []}
    stored = manager.filter(repository__in=repositories)
    for pk, repository, other, tagged in stored.values_list("pk", "repository_id", column, "tagged"):
        want = wanted.pop((repository, other), None)
        if want is None:
            stale.append(pk)
            moved.add(other)
        elif want != tagged:
            turned[want].append(pk)
    for part in chunks(stale):
        manager.filter(pk__in=part).delete()
    for want, ids in turned.items():
        for part in chunks(ids):
            manager.filter(pk__in=part).update(tagged=want)
    insert(model, ("repository_id", column, "tagged", *(more or ())), _with_more(wanted, more or {}))
    return moved | {other for _, other in wanted}


def _with_more(wanted: Mapping[Pair, bool], more: Mapping[str, Mapping[Pair, object]]) -> list[tuple[object, ...]]:
    return [(*pair, tagged, *(values.get(pair) for values in more.values())) for pair, tagged in wanted.items()]
