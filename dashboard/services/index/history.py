"""History of tags: which digest each pointed to, from when to when. Ours, and kept when the index is emptied."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from dashboard.models import Registry, TagPeriod
from dashboard.registry.references import Digest
from dashboard.services import protected_moves
from dashboard.services.protected_moves import Change

from .documents import chunks
from .readings import PastTarget
from .rows import insert_objects

FEW_TAGS = 20
"""Repositories of at most so many tags are looked up together."""


@dataclass(frozen=True, slots=True)
class Move:
    """A tag of a repository points to `digest` since `when`; None: it is gone. `learnt`: where not as the others."""

    repository: str
    tag: str
    digest: Digest | None
    when: dt.datetime
    learnt: TagPeriod.Learnt | None = None


def note(*, registry: Registry, moves: Iterable[Move], learnt: TagPeriod.Learnt) -> None:
    """Closes the open periods of tags that moved or went, and opens those of what they point to now.

    Within the caller's transaction. A move to the digest that the open period has changes nothing. Where clocks
    disagree a period ends no earlier than it began, and the next one begins there. Protected tags that moved or went
    raise their notices here.
    """
    by_tag = {(move.repository, move.tag): move for move in moves}
    open_now = _open_periods(registry, by_tag)
    closed: list[TagPeriod] = []
    opened: list[TagPeriod] = []
    changes: list[Change] = []
    for key, move in by_tag.items():
        period, when = open_now.get(key), move.when
        if period is not None:
            if period.digest == move.digest:
                continue
            period.ended_at = when = max(move.when, period.began_at)
            closed.append(period)
        before, since = (period.digest, period.began_at) if period else ("", when)
        changes.append(Change(*key, before, move.digest or "", when, since))
        if move.digest is not None:
            opened.append(_period(registry, *key, move.digest, when, None, move.learnt or learnt))
    TagPeriod.objects.bulk_update(closed, ["ended_at"], batch_size=500)
    insert_objects(TagPeriod, opened)
    protected_moves.notice(registry=registry, changes=changes)


def remember_past(*, registry: Registry, repository: str, past: Iterable[PastTarget]) -> None:
    """Adds what the storage remembers of tags that we know nothing of: closed periods, each up to the next one.

    Within the caller's transaction, before `note`. What we noted ourselves is truer than what the files tell.
    """
    by_tag: dict[str, list[PastTarget]] = {}
    for target in past:
        by_tag.setdefault(target.tag, []).append(target)
    kept = TagPeriod.objects.filter(registry=registry, repository=repository)
    for part in chunks([tag for tag, targets in by_tag.items() if len(targets) > 1]):
        for tag in set(kept.filter(tag__in=part).values_list("tag", flat=True)):
            del by_tag[tag]
    periods = [
        _period(registry, repository, tag, older.digest, older.pushed_at, newer.pushed_at, TagPeriod.Learnt.STORAGE)
        for tag, targets in by_tag.items()
        for older, newer in pairwise(targets)
    ]
    insert_objects(TagPeriod, periods)


def began(*, registry: Registry, tags: Mapping[tuple[str, str], Digest]) -> dict[tuple[str, str], TagPeriod]:
    """The open period of each (repository, tag) that points to this digest as far as the history knows."""
    found = _open_periods(registry, tags)
    return {key: period for key, period in found.items() if period.digest == tags[key]}


def _open_periods(registry: Registry, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], TagPeriod]:
    wanted = set(keys)
    by_repository: dict[str, list[str]] = {}
    for repository, tag in wanted:
        by_repository.setdefault(repository, []).append(tag)
    found: dict[tuple[str, str], TagPeriod] = {}
    small = [repository for repository, tags in by_repository.items() if len(tags) <= FEW_TAGS]
    rows = TagPeriod.objects.filter(registry=registry, ended_at=None)
    for part in chunks(small, 500):
        tags = {tag for repository in part for tag in by_repository[repository]}
        for period in rows.filter(repository__in=part, tag__in=tags):
            found[period.repository, period.tag] = period
    for repository in by_repository.keys() - set(small):
        for part in chunks(by_repository[repository]):
            for period in rows.filter(repository=repository, tag__in=part):
                found[period.repository, period.tag] = period
    return {key: period for key, period in found.items() if key in wanted}


def _period(
    registry: Registry,
    repository: str,
    tag: str,
    digest: str,
    began: dt.datetime,
    ended: dt.datetime | None,
    learnt: TagPeriod.Learnt,
) -> TagPeriod:
    return TagPeriod(
        registry=registry,
        repository=repository,
        tag=tag,
        digest=digest,
        began_at=began,
        ended_at=ended,
        learnt=learnt,
    )
