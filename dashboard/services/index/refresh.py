"""Refresh: the whole index of one registry brought up to date, as a job.

One at a time for each registry (by the job). Killed and taken up again it goes on with the repositories that it had not
written: each row tells when it was read. What vanished goes from the index, never from the history; where too much
would go at once nothing goes, and an administrator is asked (an unmounted registry answers 200 and an empty list).
Once a day what has not changed is looked at anew, too.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from dashboard.models import IndexedRepository, IndexState, Job, Registry, User
from dashboard.registry.errors import RegistryError, TimedOut, Unavailable
from dashboard.registry.references import is_repository, namespace_of
from dashboard.services import connections, jobs, parallel
from dashboard.services.notifications import pulls
from dashboard.storage.errors import StorageError

from . import guard, mount, write
from .applied import Applied
from .documents import chunks, storable
from .readings import UNSUPPORTED_NAME, Reader, Reading
from .sort_keys import MAX_NAME_KEY, name_key, tree_key
from .stored import known_targets
from .update import mark_unreadable, reader_for

logger = logging.getLogger(__name__)

RECONCILE_AFTER = dt.timedelta(hours=24)
AT_ONCE = 100
TAGS_AT_ONCE = 2000
MAX_NOTICES = 100
SHRINK_OF_REPOSITORIES = "shrink-of-repositories"
SHRINK_OF_TAGS = "shrink-of-tags"
NOT_READ = "repository-not-read"

Beat = Callable[[int, int], None]


@dataclass(slots=True)
class Outcome:
    """What a refresh did. `notices` as in IndexState."""

    repositories: int = 0
    applied: Applied = field(default_factory=Applied)
    removed: int = 0
    notices: list[dict[str, Any]] = field(default_factory=list)

    def notice(self, code: str, **parameters: Any) -> None:
        """Adds something that people should know, up to a bound."""
        if len(self.notices) < MAX_NOTICES:
            self.notices.append({"code": code, **parameters})


class Halted(Exception):
    """The refresh stopped before its end: `code` says why."""

    def __init__(self, code: str, **parameters: Any) -> None:
        super().__init__(code)
        self.code = code
        self.parameters = parameters


def ask_for_refresh(*, registry: Registry, user: User | None) -> Job:
    """The refresh that is waiting or running, else a new one."""
    return jobs.ask_for(kind=Job.Kind.REFRESH, registry=registry, user=user)


def last_refresh(registry: Registry) -> Job | None:
    """The refresh that was asked for last, however it stands."""
    return Job.objects.filter(registry=registry, kind=Job.Kind.REFRESH).order_by("-requested_at").first()


def ask_for_due_refreshes() -> None:
    """Asks for a refresh of each registry whose last one was asked for long enough ago."""
    for registry in Registry.objects.all():
        job = last_refresh(registry)
        if job is None or timezone.now() - job.requested_at >= dt.timedelta(minutes=registry.refresh_minutes):
            ask_for_refresh(registry=registry, user=None)


def run_refresh(job: Job, progress: Beat | None = None) -> None:
    """Refreshes the index of the job's registry; ends the job however it goes. `progress(done, total)` is told too."""
    heart = jobs.Heart(job)

    def beat(done: int, total: int) -> None:
        heart.beat(done, total)
        if progress is not None:
            progress(done, total)
        if heart.cancelled:
            raise Halted("cancelled")

    began = time.monotonic()
    try:
        outcome = refresh(job.registry, since=job.requested_at, beat=beat)
    except Halted as halt:
        state = Job.State.CANCELLED if halt.code == "cancelled" else Job.State.FAILED
        jobs.finish(job, state, halt.code, **halt.parameters)
        return
    except (RegistryError, StorageError) as error:
        logger.warning("refresh of %s: %s", job.registry.slug, error)
        jobs.finish(job, Job.State.FAILED, error.code, **error.parameters)
        return
    for notice in outcome.notices:
        heart.note(**notice)
    jobs.finish(
        job,
        Job.State.DONE,
        repositories=outcome.repositories,
        changed=len(outcome.applied.changed),
        removed=outcome.removed,
        notices=len(outcome.notices),
        seconds=round(time.monotonic() - began, 3),
    )


def refresh(registry: Registry, *, since: dt.datetime, beat: Beat) -> Outcome:
    """Brings the index up to date; repositories read after `since` are left as they are.

    Raises RegistryError or StorageError where the source as a whole fails, Halted, and whatever `beat` raises.
    """
    began, clock = timezone.now(), time.monotonic()
    session = connections.background(registry=registry).session
    state = mount.note(registry, mount.judge(registry, session))
    reader = reader_for(registry, session, state)
    names, complete = reader.repositories()
    outcome = Outcome()
    if not complete:
        outcome.notice("list-incomplete")
    thorough = state.reconciled_at is None or began - state.reconciled_at >= RECONCILE_AFTER
    rows = IndexedRepository.objects.filter(registry=registry).exclude(read_at=None)
    known = dict(rows.values_list("name", "read_at"))
    unsupported = _note_unsupported(registry, [name for name in names if not is_repository(name)])
    write.remove(registry=registry, names=_forbidden(known) - unsupported, began=began)
    unlisted = sorted(known.keys() - set(names) - _forbidden(known))
    asked = [name for name in dict.fromkeys([*names, *unlisted]) if is_repository(name)]
    wanted = [name for name in asked if not _is_done(known.get(name), since)]
    gone = _read_all(registry, reader, wanted, thorough=thorough, outcome=outcome, beat=beat, state=state)
    _remove(registry, [name for name in unlisted if name in gone], known.keys(), began, outcome, state)
    write.recount_exclusive(registry)  # of what others than this refresh wrote, too
    write.keep_statistics()
    if state.refreshed_at is None:
        pulls.restore_all(registry=registry)
    outcome.repositories = rows.count()
    state.refreshed_at, state.seconds, state.source = began, time.monotonic() - clock, reader.source
    state.notices = outcome.notices
    fields = ["refreshed_at", "seconds", "source", "notices"]
    if state.shrink_accepted:
        state.shrink_accepted = False
        fields.append("shrink_accepted")
    if thorough:
        state.reconciled_at = began
        fields.append("reconciled_at")
    state.save(update_fields=fields)
    return outcome


def empty(registry: Registry) -> None:
    """Empties the index of a registry; what it is made of by digest, and the history, stay."""
    IndexedRepository.objects.filter(registry=registry).delete()
    IndexState.objects.filter(registry=registry).delete()


def _is_done(read_at: dt.datetime | None, since: dt.datetime) -> bool:
    return read_at is not None and read_at >= since


def _read_all(
    registry: Registry,
    reader: Reader,
    names: Sequence[str],
    *,
    thorough: bool,
    outcome: Outcome,
    beat: Beat,
    state: IndexState,
) -> set[str]:
    """Reads and writes repositories, some at a time; those that are not there."""
    gone: set[str] = set()
    done = 0
    asked = ((part, known_targets(registry=registry, repositories=part)) for part in _parts(registry, names))
    for (part, _), outcomes in parallel.ahead(asked, lambda asking: reader.read(*asking)):
        beat(done, len(names))
        done += len(part)
        readings: list[Reading] = []
        errors: dict[str, str] = {}
        _stop_if_gone(outcomes.values())
        for name, found in outcomes.items():
            if isinstance(found, Exception):
                errors[name] = getattr(found, "code", "fault")
                outcome.notice(NOT_READ, repository=name, error=errors[name])
            elif found is None:
                gone.add(name)
            else:
                readings.append(found)
        held_back = set() if state.shrink_accepted else guard.emptied(registry, readings)
        for name in sorted(held_back):
            outcome.notice(SHRINK_OF_TAGS, repository=name)
        kept = [reading for reading in readings if reading.repository not in held_back]
        outcome.applied.add(write.apply(registry=registry, reader=reader, readings=kept, thorough=thorough))
        mark_unreadable(registry, errors)
    beat(len(names), len(names))
    return gone


def _parts(registry: Registry, names: Sequence[str]) -> Iterator[list[str]]:
    """Repositories to read together: at most AT_ONCE, and not many more than TAGS_AT_ONCE tags as far as is known.

    What is asked of the registry between two beats must not outlast the job's lease.
    """
    for several in chunks(names, AT_ONCE):
        rows = IndexedRepository.objects.filter(registry=registry, name__in=several)
        tags = dict(rows.values_list("name", "tags"))
        part: list[str] = []
        room = TAGS_AT_ONCE
        for name in several:
            part.append(name)
            room -= tags.get(name, 0)
            if room <= 0:
                yield part
                part, room = [], TAGS_AT_ONCE
        if part:
            yield part


def _stop_if_gone(outcomes: Iterable[object]) -> None:
    """Raises the error of a registry that does not answer: each further repository would only say so again.

    One repository may be too slow for ever; that must not keep the others from being read.
    """
    failures = [found if isinstance(found, Unavailable) else None for found in outcomes]
    for failure in failures:
        if failure is not None and (not isinstance(failure, TimedOut) or (all(failures) and len(failures) > 1)):
            raise failure


def _remove(
    registry: Registry, gone: list[str], known: Set[str], began: dt.datetime, outcome: Outcome, state: IndexState
) -> None:
    """Removes what is neither listed nor there, unless that is too much at once."""
    if not state.shrink_accepted:
        count = sum(map(is_repository, known))
        if guard.too_many(registry, gone, count):
            outcome.notice(SHRINK_OF_REPOSITORIES, gone=len(gone), known=count)
            return
        held_back = guard.too_large(registry, gone)
        for name in sorted(held_back):
            outcome.notice(SHRINK_OF_TAGS, repository=name)
        gone = [name for name in gone if name not in held_back]
    outcome.removed = write.remove(registry=registry, names=gone, began=began)


def _forbidden(names: Iterable[str]) -> set[str]:
    return {name for name in names if not is_repository(name)}


def _note_unsupported(registry: Registry, names: Sequence[str]) -> set[str]:
    """Names that the registry lists and the grammar forbids: a row that says so, and is never asked for."""
    now = timezone.now()
    noted = {label if not is_repository(label := storable(name, 255)) else f"{label[:254]}…" for name in names}
    for name in sorted(noted):
        IndexedRepository.objects.update_or_create(
            registry=registry,
            name=name,
            defaults={
                "namespace": namespace_of(name),
                "sort_key": name_key(name)[:MAX_NAME_KEY],
                "tree_key": tree_key(name)[: 2 * MAX_NAME_KEY],
                "error_code": UNSUPPORTED_NAME,
                "read_at": now,
            },
        )
    return noted
