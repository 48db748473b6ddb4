"""Whether a collection and something else that changes the registry would be in each other's way.

Each side writes its row before it looks for the other's, so that of two that begin together at least one sees both.
"""

from __future__ import annotations

from dashboard.models import Deletion, Job, Registry

COLLECTING = "collecting"
"""Code of whatever is refused, or waits, because a collection is running."""


def is_collecting(registry: Registry) -> bool:
    """Whether a collection of this registry is asked for or running."""
    return Job.objects.filter(registry=registry, kind=Job.Kind.COLLECTION, state__in=Job.LIVE).exists()


def is_changing(registry: Registry) -> bool:
    """Whether a deletion of this registry is in progress, even one that waits, or something is being brought back."""
    deleting = Deletion.objects.filter(registry=registry, state=Deletion.State.IN_PROGRESS)
    kinds = (Job.Kind.DELETION, Job.Kind.RESTORE)
    return deleting.exists() or Job.objects.filter(registry=registry, kind__in=kinds, state__in=Job.LIVE).exists()
