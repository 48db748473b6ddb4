"""Freshness: a repository's page asks its source at each view whether the index still tells the truth.

The names of its tags, and what the rows shown point at: from the storage by a `stat` of each link (up to MAX_LINKS),
else over the API with the person's own credential, each by a conditional HEAD. What is new is written at once if the
database is free within a moment; a page never waits for it. Without an answer in time the page shows the index as it
was.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from django.db import OperationalError
from django.utils import timezone

from dashboard.models import IndexedRepository, IndexedTag, Registry
from dashboard.registry.errors import Forbidden, RegistryError, RepositoryUnknown, Unauthorized
from dashboard.registry.references import RepositoryName, Tag, is_tag
from dashboard.services import access as gate
from dashboard.services.access import Access
from dashboard.services.quick_writes import patience
from dashboard.storage.errors import ContentError, StorageError

from . import guard, write
from .api_reader import ApiReader
from .readings import Reader, Reading, TagReading
from .storage_reader import StorageReader, time_of
from .stored import Stored, known_targets
from .update import reads_storage, state_of

logger = logging.getLogger(__name__)

BUDGET_SECONDS = 2.0
MAX_LINKS = 20_000
MAX_NEW = 200
"""Tags that a page reads for the first time; more are left to the refresh."""
LOCK_WAIT_MS = 200


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check found out.

    `at`: when the source was asked, None if it did not answer (`error`). `whole`: every tag was checked, not only those
    shown. `as_of`: when what the index says was read. `unwritten`: something is new and could not be written.
    """

    at: dt.datetime | None
    whole: bool = False
    error: RegistryError | StorageError | None = None
    as_of: dt.datetime | None = None
    unwritten: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """What the source says: None for `reading` where nothing is new."""

    reader: Reader
    reading: Reading | None
    whole: bool


class _Absent(Exception):
    """The source has no such repository."""


def check(access: Access, repository: RepositoryName, shown: Sequence[str]) -> Checked:
    """Checks the index of `repository` against its source; `shown` are the names of the tags on the page.

    Raises RepositoryUnknown where the source has no such repository, and Unauthorized or Forbidden where this person's
    credential may not read it; any other error is in the result, unless the index knows nothing either.
    """
    registry = access.registry
    gate.require(access, repository)
    row = IndexedRepository.objects.filter(registry=registry, name=repository).exclude(read_at=None).first()
    began = timezone.now()
    try:
        if reads_storage(registry, state_of(registry)):
            found = _by_storage(registry, repository, row, shown)
        else:
            found = _by_api(access, repository, row, shown)
        written = found.reading is None or _write(registry, found.reader, found.reading)
    except _Absent:
        # The list still has it: one answer for one page does not tell a repository that is gone from a volume that is
        # not mounted. The refresh, which sees all of them, removes it.
        raise RepositoryUnknown(
            "tags", registry.public_host, user=access.acting.name, status=404, subject=repository
        ) from None
    except (Unauthorized, Forbidden):
        raise
    except (RegistryError, StorageError) as error:
        if row is None:
            raise
        logger.info("%s is shown as it was read: %s", repository, error)
        return Checked(None, error=error, as_of=row.read_at)
    before = row.read_at if row else None
    return Checked(began, whole=found.whole, as_of=began if written else before, unwritten=not written)


def _by_storage(
    registry: Registry, repository: RepositoryName, row: IndexedRepository | None, shown: Sequence[str]
) -> _Found:
    reader = StorageReader(Path(registry.storage_root))
    began = timezone.now()
    if row is None:
        outcome = reader.read([repository], {})[repository]
        if outcome is None:
            raise _Absent
        if isinstance(outcome, Exception):
            raise outcome
        return _Found(reader, outcome, whole=True)
    if not reader.storage.has_repository(repository):
        raise _Absent
    known = dict(IndexedTag.objects.filter(repository=row).values_list("name", "stamp"))
    names = [Tag(name) for name in reader.storage.tag_names(repository) if name in known or is_tag(name)]
    whole = len(names) <= MAX_LINKS
    looked = names if whole else _some(names, shown, known)
    written = reader.storage.written(repository, looked)
    there = set(names) - (set(looked) - written.keys())
    new = [name for name in looked if name in written and written[name] != known.get(name)]
    if not new and there == known.keys():
        return _Found(reader, None, whole)
    tags: dict[str, TagReading] = {
        name: found for name in new if (found := _link(reader, repository, name)) is not None
    }
    reading = Reading(repository, began, frozenset(there - (set(new) - tags.keys())), tags)
    if Stored(registry, [reading]).says(reading, retry=False):
        return _Found(reader, None, whole)
    pushed = reader.pushed(repository)
    return _Found(reader, replace(reading, revisions=frozenset(pushed), pushed=pushed), whole)


def _some(names: Sequence[Tag], shown: Sequence[str], known: Container[str]) -> list[Tag]:
    """Of a repository too large to look at every link: the tags on the page, and some that the index does not know."""
    on_page = set(shown)
    return [name for name in names if name in on_page] + [name for name in names if name not in known][:MAX_NEW]


def _link(reader: StorageReader, repository: RepositoryName, tag: Tag) -> TagReading | None:
    try:
        link = reader.storage.tag(repository, tag)
    except ContentError as error:
        return None if error.code == "storage-link-missing" else TagReading(None, error_code=error.code)
    return TagReading(link.digest, time_of(link.written), stamp=link.written)


def _by_api(access: Access, repository: RepositoryName, row: IndexedRepository | None, shown: Sequence[str]) -> _Found:
    session = access.session if row is None else access.session.within(BUDGET_SECONDS)
    reader = ApiReader(session, shown=shown, most_new=MAX_NEW)
    outcome = reader.read([repository], known_targets(registry=access.registry, repositories=[repository]))[repository]
    if outcome is None:
        raise _Absent
    if isinstance(outcome, Exception):
        raise outcome
    whole = outcome.names == outcome.tags.keys()
    if row is not None and Stored(access.registry, [outcome]).says(outcome, retry=False):
        return _Found(reader, None, whole)
    return _Found(reader, outcome, whole)


def _write(registry: Registry, reader: Reader, reading: Reading) -> bool:
    """Writes what is new, if the guard allows it and the database is free; else the refresh will."""
    if guard.emptied(registry, [reading]):
        return False
    try:
        with patience(LOCK_WAIT_MS):
            applied = write.apply(registry=registry, reader=reader, readings=[reading])
            write.recount_exclusive_after(registry, applied)
    except OperationalError:
        logger.info("what is new in %s was not written: the database was busy", reading.repository)
        return False
    return True
