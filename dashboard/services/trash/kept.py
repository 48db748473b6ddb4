"""What is in the trash of a registry: deleted here, not brought back, and not older than it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.utils import timezone

from dashboard.models import Deletion, DeletionItem, DeletionPlan, Registry, TrashedManifest
from dashboard.registry.errors import RegistryError
from dashboard.services import access as gate
from dashboard.services.access import Access

PAGE_SIZE = 50
PRUNED_AT_ONCE = 1000
MAX_REPOSITORIES = 5000


@dataclass(frozen=True, slots=True)
class TrashPage:
    """A page of the trash, what was deleted last first; `older` continues after its last row, None for no more."""

    items: Sequence[DeletionItem]
    older: int | None
    refused: RegistryError | None = None


def in_trash(registry: Registry) -> QuerySet[DeletionItem]:
    """Everything in the trash of a registry. Who may know of it is the gate's to say."""
    rows = DeletionItem.objects.filter(deletion__registry=registry, deletion__kept_until__gt=timezone.now())
    return rows.filter(state=DeletionItem.State.DONE, restored_at=None)


def page(access: Access, *, contains: str = "", repository: str = "", before: int | None = None) -> TrashPage:
    """What this person may see of the trash. `contains`: a part of a tag's or repository's name, or of a digest.

    Raises RegistryError if the registry turns this person away.
    """
    rows = in_trash(access.registry).select_related("deletion", "deletion__registry").order_by("-pk")
    if repository:
        rows = rows.filter(deletion__repository=repository)
    if contains:
        rows = rows.filter(
            Q(deletion__repository__icontains=contains)
            | Q(digest__icontains=contains)
            | Q(tags__icontains=contains)
            | Q(deletion__user_name__icontains=contains)
        )
    if before is not None:
        rows = rows.filter(pk__lt=before)
    if gate.has_rights_per_repository(access):
        names = list(rows.order_by().values_list("deletion__repository", flat=True).distinct()[:MAX_REPOSITORIES])
        answers = gate.readable(access, names)
        rows = rows.filter(deletion__repository__in=[name for name, answer in answers.items() if answer is True])
    found = list(rows[: PAGE_SIZE + 1])
    return TrashPage(found[:PAGE_SIZE], found[PAGE_SIZE - 1].pk if len(found) > PAGE_SIZE else None)


def prune() -> int:
    """Forgets the bytes of what was kept long enough; how many manifests."""
    old = TrashedManifest.objects.filter(deletion__kept_until__lt=timezone.now())
    ids = list(old.values_list("pk", flat=True)[:PRUNED_AT_ONCE])
    TrashedManifest.objects.filter(pk__in=ids).delete()
    emptied = Deletion.objects.filter(kept_until__lt=timezone.now(), trash=None, state=Deletion.State.DONE)
    plans = DeletionPlan.objects.filter(deletion__in=emptied).exclude(effect={})
    DeletionPlan.objects.filter(pk__in=list(plans.values_list("pk", flat=True)[:PRUNED_AT_ONCE])).update(effect={})
    return len(ids)
