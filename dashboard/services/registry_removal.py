"""Removing a registry from here: what goes with it, and its going. Content by digest stays; nobody reaches it then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import models

from dashboard.models import (
    ChosenNames,
    Credential,
    Deletion,
    DeletionItem,
    DeletionPlan,
    IndexedRepository,
    IndexedRevision,
    IndexedTag,
    Job,
    LargeBlob,
    MeasuredNamespace,
    MeasuredRepository,
    MeasuredTag,
    Notification,
    ProtectedMove,
    PullDay,
    Registry,
    RegistryEvent,
    RepositoryBlob,
    RepositoryGrowth,
    TagPeriod,
    TagRule,
    TrashedManifest,
    UsageSnapshot,
    User,
)

from . import registries

AT_ONCE = 500


class StillBusy(Exception):
    """Something on this registry is being deleted or put back right now."""


GOES: tuple[type[models.Model], ...] = (
    IndexedTag, IndexedRevision, RepositoryBlob, IndexedRepository, TrashedManifest, DeletionItem, Deletion,
    DeletionPlan, ChosenNames,
    TagPeriod, TagRule, ProtectedMove, Notification, RegistryEvent, PullDay,
    MeasuredTag, MeasuredRepository, MeasuredNamespace, LargeBlob, UsageSnapshot, RepositoryGrowth, Credential, Job,
)  # fmt: skip
"""What goes with a registry and may be long, in an order in which nothing refers to what went before."""
_WAY = {
    IndexedTag: "repository__registry",
    IndexedRevision: "repository__registry",
    RepositoryBlob: "repository__registry",
    TrashedManifest: "deletion__registry",
    DeletionItem: "deletion__registry",
    MeasuredTag: "repository__snapshot__registry",
    MeasuredRepository: "snapshot__registry",
    MeasuredNamespace: "snapshot__registry",
    LargeBlob: "snapshot__registry",
}


@dataclass(frozen=True, slots=True)
class Belongings:
    """What goes with a registry. `trashed` manifests; `people` who signed in first with one of its passwords."""

    repositories: int
    tags: int
    periods: int
    snapshots: int
    trashed: int
    credentials: int
    people: int


def belongings(registry: Registry) -> Belongings:
    """What would go with `registry`."""
    return Belongings(
        repositories=_of(IndexedRepository, registry).count(),
        tags=_of(IndexedTag, registry).count(),
        periods=_of(TagPeriod, registry).count(),
        snapshots=_of(UsageSnapshot, registry).count(),
        trashed=_of(TrashedManifest, registry).count(),
        credentials=_of(Credential, registry).count(),
        people=User.objects.filter(origin_registry=registry).count(),
    )


def remove(registry: Registry) -> None:
    """Removes what is kept here of a registry, its row last; the registry itself is asked nothing.

    In parts, so that others may write meanwhile; broken off, it can be repeated. Raises StillBusy.
    """
    if Deletion.objects.filter(registry=registry, state=Deletion.State.IN_PROGRESS).exists():
        raise StillBusy
    Job.objects.filter(registry=registry, state__in=Job.LIVE).update(cancel_requested=True)
    for model in GOES:
        while part := list(_of(model, registry).order_by().values_list("pk", flat=True)[:AT_ONCE]):
            model._default_manager.filter(pk__in=part).delete()
    registry.delete()
    registries.forget()


def _of(model: type[models.Model], registry: Registry) -> models.QuerySet[Any]:
    return model._default_manager.filter(**{_WAY.get(model, "registry"): registry})
