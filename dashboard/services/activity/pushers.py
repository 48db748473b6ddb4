"""Who made a tag point to a digest: somebody who pushed it and was notified, or somebody here who put it there."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dashboard.models import AuditEntry, Registry, RegistryEvent

Pair = tuple[str, str]
"""A tag and a digest."""

BEFORE, AFTER = dt.timedelta(hours=1), dt.timedelta(minutes=5)
"""So long before a tag was seen to point to a digest, and (clocks differ) after it, the push of it may have been."""

_PUTS = (AuditEntry.Action.RETAG, AuditEntry.Action.MOVE, AuditEntry.Action.RESTORE)


@dataclass(frozen=True, slots=True)
class Push:
    """Somebody pushed it at this time. `who` is "" where the registry knows no names; `here`: with this dashboard."""

    who: str
    at: dt.datetime
    here: bool = False


def pushes(*, registry: Registry, repository: str, pairs: Iterable[Pair]) -> Mapping[Pair, Sequence[Push]]:
    """Every known push of these pairs of tag and digest, the oldest first; two queries. Who may know is the gate's."""
    wanted = set(pairs)
    digests = {digest for _, digest in wanted}
    found: dict[Pair, list[Push]] = defaultdict(list)
    events = RegistryEvent.objects.filter(
        registry=registry, repository=repository, digest__in=digests, action=RegistryEvent.Action.PUSH
    ).exclude(tag="")
    for tag, digest, actor, at in events.values_list("tag", "digest", "actor", "at"):
        if (tag, digest) in wanted:
            found[tag, digest].append(Push(actor, at))
    entries = AuditEntry.objects.filter(
        registry=registry.slug,
        repository=repository,
        digest_after__in=digests,
        action__in=_PUTS,
        outcome=AuditEntry.Outcome.DONE,
    )
    for tags, digest, user, at in entries.values_list("tags", "digest_after", "user", "at"):
        for tag in tags:
            if (tag, digest) in wanted:
                found[tag, digest].append(Push(user, at, here=True))
    return {pair: sorted(each, key=lambda push: push.at) for pair, each in found.items()}


def pushers(*, registry: Registry, repository: str, pairs: Iterable[Pair]) -> Mapping[Pair, Push]:
    """The last known push of each of these pairs of tag and digest."""
    return {pair: found[-1] for pair, found in pushes(registry=registry, repository=repository, pairs=pairs).items()}


def began(found: Sequence[Push], began_at: dt.datetime, *, patience: dt.timedelta = BEFORE) -> Push | None:
    """The push that made a tag point to a digest at `began_at`, `patience` before it was seen at most; None if none."""
    near = [push for push in found if began_at - patience <= push.at <= began_at + AFTER]
    return near[-1] if near else None
