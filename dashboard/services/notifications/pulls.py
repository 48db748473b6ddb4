"""Pulls, counted: by repository, tag, digest and day, and when each was pulled last.

A client that pulls an index asks for the index and then, by digest, for the child of its platform. Both together are
one pull, of the index: a child's pull is credited to the indexes that list it, and not counted where the same client
has just pulled one of them. A HEAD tells that somebody uses an image (a client asks so whether it has the newest), so
it moves the last pull as a GET does; the counts tell them apart.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db.models import F, Max, Q, QuerySet, Value
from django.db.models.functions import Greatest

from dashboard.models import IndexedRepository, IndexedRevision, IndexedTag, Notification, PullDay, Registry
from dashboard.registry.references import is_digest, is_repository, is_tag

from .envelope import Event

ONE_PULL = dt.timedelta(minutes=1)
"""So long after an index its children are asked for, if they belong to the same pull; clocks of replicas included."""
MAX_AROUND = 2000


@dataclass(frozen=True, slots=True)
class Pull:
    """A manifest that somebody else asked for; `tag` is "" where it was asked for by digest, `client` who asked."""

    repository: str
    tag: str
    digest: str
    at: dt.datetime
    is_head: bool
    client: tuple[str, str]


class Key(NamedTuple):
    """What is counted together."""

    repository: str
    tag: str
    digest: str
    day: dt.date


@dataclass(slots=True)
class Count:
    """What came together under one key."""

    last_at: dt.datetime
    gets: int = 0
    heads: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What the index says of pulled digests: which are tagged themselves, and which indexes list them."""

    tagged: frozenset[tuple[str, str]]
    parents: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)


def pull_of(event: Event, received_at: dt.datetime) -> Pull | None:
    """The pull that an event tells of; None for our own requests and for what names no manifest.

    A time that cannot be (in the future, or very old) gives way to that of receipt.
    """
    if event.action != "pull" or event.is_own_pull:
        return None
    if not is_repository(event.repository) or not is_digest(event.digest) or (event.tag and not is_tag(event.tag)):
        return None
    return Pull(
        repository=event.repository,
        tag=event.tag,
        digest=event.digest,
        at=event.happened_at(received_at),
        is_head=event.method == "HEAD",
        client=(event.host, event.user_agent),
    )


def count(*, registry: Registry, pulls: Sequence[Pull], ids: tuple[int, int]) -> None:
    """Counts pulls. The caller's transaction marks them as counted.

    `ids`: of the first and the last of their notifications; the index of a child may have been pulled in another.
    """
    if not pulls:
        return
    known = _known(registry, pulls)
    children = [pull for pull in pulls if not pull.tag and (pull.repository, pull.digest) in known.parents]
    of_indexes = _pulls_of_indexes(registry, pulls, children, known, ids)
    counts: dict[Key, Count] = {}
    for pull in pulls:
        _credit(pull, known, of_indexes, counts)
    for key, counted in counts.items():
        _add(registry, key, counted)
    _move_last_pulls(registry, counts)


def _credit(
    pull: Pull, known: Known, of_indexes: Mapping[tuple[object, ...], list[dt.datetime]], counts: dict[Key, Count]
) -> None:
    place = (pull.repository, pull.digest)
    parents = known.parents.get(place, ()) if not pull.tag and place not in known.tagged else ()
    day = pull.at.astimezone(dt.UTC).date()
    if any(
        abs(pull.at - at) <= ONE_PULL
        for parent in parents
        for at in of_indexes.get((pull.repository, parent, pull.client), ())
    ):
        return
    for digest in parents or (pull.digest,):
        counted = counts.setdefault(Key(pull.repository, pull.tag, digest, day), Count(pull.at))
        if pull.is_head:
            counted.heads += 1
        else:
            counted.gets += 1
        counted.last_at = max(counted.last_at, pull.at)


def _known(registry: Registry, pulls: Iterable[Pull]) -> Known:
    """Only what was asked for by digest matters: a tag is credited itself."""
    by_digest = {(pull.repository, pull.digest) for pull in pulls if not pull.tag}
    repositories, digests = {name for name, _ in by_digest}, {digest for _, digest in by_digest}
    tagged = frozenset(
        IndexedTag.objects.filter(
            repository__registry=registry, repository__name__in=repositories, digest__in=digests
        ).values_list("repository__name", "digest")
    )
    parents: dict[tuple[str, str], list[str]] = defaultdict(list)
    for repository, child, parent in (
        IndexedRevision.objects.filter(
            repository__registry=registry,
            repository__name__in=repositories,
            manifest__entries__digest__in=digests,
        )
        .values_list("repository__name", "manifest__entries__digest", "manifest__digest")
        .distinct()
    ):
        if (repository, child) in by_digest:
            parents[repository, child].append(parent)
    return Known(tagged, dict(parents))


def _pulls_of_indexes(
    registry: Registry, pulls: Iterable[Pull], children: Sequence[Pull], known: Known, ids: tuple[int, int]
) -> Mapping[tuple[object, ...], list[dt.datetime]]:
    """When which client GOT which index: among these pulls, and among those notified about then."""
    found: dict[tuple[object, ...], list[dt.datetime]] = defaultdict(list)
    if not children:
        return found
    indexes = {
        (child.repository, parent) for child in children for parent in known.parents[child.repository, child.digest]
    }
    for pull in [*pulls, *_around(registry, ids)]:
        if not pull.is_head and (pull.repository, pull.digest) in indexes:
            found[pull.repository, pull.digest, pull.client].append(pull.at)
    return found


def _around(registry: Registry, ids: tuple[int, int]) -> Iterator[Pull]:
    """The pulls of notifications received shortly before and after these, used or not."""
    rows = Notification.objects.filter(registry=registry)
    yield from _near(rows.filter(pk__lt=ids[0]).order_by("-pk"))
    yield from _near(rows.filter(pk__gt=ids[1]).order_by("pk"))


def _near(rows: QuerySet[Notification]) -> Iterator[Pull]:
    """From the nearest on, until they are too far apart in time."""
    nearest: dt.datetime | None = None
    for event_id, payload, received_at in rows.values_list("event_id", "payload", "received_at")[:MAX_AROUND]:
        nearest = nearest or received_at
        if abs(received_at - nearest) > 2 * ONE_PULL:
            return
        if (pull := pull_of(Event.stored(event_id, payload), received_at)) is not None:
            yield pull


def _add(registry: Registry, key: Key, counted: Count) -> None:
    same = PullDay.objects.filter(registry=registry, **key._asdict())
    values = {
        "gets": F("gets") + counted.gets,
        "heads": F("heads") + counted.heads,
        "last_at": Greatest(F("last_at"), Value(counted.last_at)),
    }
    if not same.update(**values):
        PullDay.objects.create(
            registry=registry, **key._asdict(), gets=counted.gets, heads=counted.heads, last_at=counted.last_at
        )


def _move_last_pulls(registry: Registry, counts: Mapping[Key, Count]) -> None:
    """Forwards only: of the tag that was named, of every tag of a digest that was asked for, and of the repository."""
    repositories: dict[str, dt.datetime] = {}
    names: dict[tuple[str, str, str], dt.datetime] = {}
    for key, counted in counts.items():
        repositories[key.repository] = max(repositories.get(key.repository, counted.last_at), counted.last_at)
        place = (key.repository, key.tag, "" if key.tag else key.digest)
        names[place] = max(names.get(place, counted.last_at), counted.last_at)
    for (repository, tag, digest), at in names.items():
        tags = IndexedTag.objects.filter(repository__registry=registry, repository__name=repository)
        tags = tags.filter(name=tag) if tag else tags.filter(digest=digest)
        tags.filter(_earlier(at)).update(pulled_at=at)
    for repository, at in repositories.items():
        IndexedRepository.objects.filter(_earlier(at), registry=registry, name=repository).update(pulled_at=at)


def restore(*, registry: Registry, repository: str) -> None:
    """Sets the last pulls of a repository's rows in the index, new or rebuilt, from what was counted."""
    days = PullDay.objects.filter(registry=registry, repository=repository)
    by_tag = dict(days.exclude(tag="").values_list("tag").annotate(last=Max("last_at")))
    by_digest = dict(days.filter(tag="").values_list("digest").annotate(last=Max("last_at")))
    tags = IndexedTag.objects.filter(repository__registry=registry, repository__name=repository)
    for tag, at in by_tag.items():
        tags.filter(_earlier(at), name=tag).update(pulled_at=at)
    for digest, at in by_digest.items():
        tags.filter(_earlier(at), digest=digest).update(pulled_at=at)
    if last := max([*by_tag.values(), *by_digest.values()], default=None):
        IndexedRepository.objects.filter(_earlier(last), registry=registry, name=repository).update(pulled_at=last)


def restore_all(*, registry: Registry) -> None:
    """Sets the last pulls of a whole index that was built anew."""
    pulled = PullDay.objects.filter(registry=registry).values_list("repository", flat=True).distinct()
    for repository in list(pulled):
        restore(registry=registry, repository=repository)


def _earlier(at: dt.datetime) -> Q:
    return Q(pulled_at=None) | Q(pulled_at__lt=at)
