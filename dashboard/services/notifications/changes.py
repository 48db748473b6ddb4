"""Pushes and deletions by others, kept: who did what, when, from where. What tags point to is not taken from them.

Our own are left out, because they stand in the audit with more than a notification tells; so are layers and configs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from dashboard.models import IndexedBlob, IndexedManifest, Registry, RegistryEvent
from dashboard.registry.references import is_digest, is_repository, is_tag

from .envelope import Event

_ACTIONS = frozenset(RegistryEvent.Action.values)


def change_of(registry: Registry, event: Event, received_at: dt.datetime) -> RegistryEvent | None:
    """The push or deletion that an event tells of, not saved; None for our own and for what names no manifest."""
    if event.action not in _ACTIONS or event.is_own or not is_repository(event.repository):
        return None
    if (event.tag and not is_tag(event.tag)) or (event.digest and not is_digest(event.digest)):
        return None
    if not event.tag and not event.digest:
        return None
    return RegistryEvent(
        registry=registry,
        event_id=event.id,
        at=event.happened_at(received_at),
        action=event.action,
        repository=event.repository,
        tag=event.tag,
        digest=event.digest,
        actor=event.actor,
        address=event.host,
        user_agent=event.user_agent,
    )


def keep(changes: Sequence[RegistryEvent]) -> None:
    """Adds them, each event once. The caller's transaction marks their notifications as used."""
    blobs = _blobs({change.digest for change in changes if _may_be_a_blob(change)})
    rows = [change for change in changes if not (_may_be_a_blob(change) and change.digest in blobs)]
    if rows:
        RegistryEvent.objects.bulk_create(rows, ignore_conflicts=True)


def _may_be_a_blob(change: RegistryEvent) -> bool:
    """A deletion by digest does not tell what the digest was."""
    return change.action == RegistryEvent.Action.DELETE and not change.tag


def _blobs(digests: Iterable[str]) -> frozenset[str]:
    """Those that the index knows as layers or configs and not as manifests."""
    blobs = frozenset(IndexedBlob.objects.filter(digest__in=digests).values_list("digest", flat=True))
    return blobs - frozenset(IndexedManifest.objects.filter(digest__in=blobs).values_list("digest", flat=True))
