"""What there is to clean up, by repository: images without a tag for some days, and the bytes that only they need.

Bytes are those of layers and configurations, as in the list. What of it other repositories need, or untagged images
that stay, is not among them, as in a plan; so several repositories together can free more than the sum of theirs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from dashboard.models import IndexedBlob, IndexedRevision, RepositoryBlob

from . import untagged, untagged_age
from .index.lists import MAX_EXPORTED, Kept, ListQuery
from .untagged import Scope

SHOWN = 20
_counted = Kept()


@dataclass(frozen=True, slots=True)
class Amount:
    """Untagged images, and the bytes that only they need; None where nobody can tell."""

    images: int
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Share:
    """What one repository has of them."""

    repository: str
    amount: Amount


@dataclass(frozen=True, slots=True)
class Summary:
    """The repositories with most of it, the worst first; `repositories` counts all that have any."""

    shares: list[Share]
    repositories: int


def amount(scope: Scope, query: ListQuery) -> Amount:
    """What the filter and age of a list mean together. The bytes are kept until the index or the number changes."""
    images = untagged.listed(scope, query).count()
    if not scope.exact:
        return Amount(images, None)
    if not images:
        return Amount(0, 0)
    where = scope.registry.pk, scope.state.refreshed_at, scope.visible.filter, scope.repository
    key = (*where, query.contains, query.older, images)
    return Amount(images, _counted.get(key, lambda: _together(scope, query)))


def summary(scope: Scope, query: ListQuery) -> Summary:
    """The same by repository. The number of queries does not depend on how many there are."""
    if not scope.exact:
        return _remembered(scope, query)
    going = _going(scope, query)
    counted = going.order_by().values_list("repository", "repository__name").annotate(Count("pk"))
    found = {pk: (name, images) for pk, name, images in counted}
    # Worst by all that a repository's untagged images need: that is one sum, and close to what only those to go need.
    held = RepositoryBlob.objects.filter(repository__in=scope.repositories.values("pk"), tagged=False).order_by()
    sums = dict(held.values_list("repository").annotate(Sum("blob__bytes")))
    worst = sorted(found, key=lambda pk: (-sums.get(pk, 0), -found[pk][1], found[pk][0]))[:SHOWN]
    alone = _alone(scope, going, worst) if worst else {}
    shares = [Share(found[pk][0], Amount(found[pk][1], alone.get(pk, 0))) for pk in worst]
    shares.sort(key=lambda share: (-(share.amount.bytes or 0), -share.amount.images, share.repository))
    return Summary(shares, len(found))


def _together(scope: Scope, query: ListQuery) -> int:
    going = _going(scope, query)
    inside = RepositoryBlob.objects.filter(repository__in=scope.repositories.values("pk"), tagged=False)
    held = RepositoryBlob.objects.filter(blob=OuterRef("pk"), repository__registry=scope.registry)
    elsewhere = Q(tagged=True) | ~Q(repository__in=scope.repositories.values("pk"))
    stays = untagged_age.staying(scope.registry, going).filter(manifest__blobs__blob=OuterRef("pk"))
    rows = IndexedBlob.objects.filter(~Exists(held.filter(elsewhere)), ~Exists(stays), pk__in=inside.values("blob"))
    return rows.aggregate(added=Sum("bytes"))["added"] or 0


def _going(scope: Scope, query: ListQuery) -> QuerySet[IndexedRevision]:
    rows: QuerySet[IndexedRevision] = untagged.listed(scope, query)
    return rows


def _alone(scope: Scope, going: QuerySet[IndexedRevision], repositories: list[int]) -> dict[int, int]:
    """Bytes that only those `going` of each of these repositories need."""
    elsewhere = RepositoryBlob.objects.filter(blob=OuterRef("blob"), repository__registry=scope.registry).exclude(
        repository=OuterRef("repository")
    )
    stays = untagged_age.staying(scope.registry, going.filter(repository__in=repositories)).filter(
        repository=OuterRef("repository"), manifest__blobs__blob=OuterRef("blob")
    )
    rows = RepositoryBlob.objects.filter(
        ~Exists(elsewhere), ~Exists(stays), repository__in=repositories, tagged=False
    ).order_by()
    return dict(rows.values_list("repository").annotate(Sum("blob__bytes")))


def _remembered(scope: Scope, query: ListQuery) -> Summary:
    """Over the API: counted from the history, at most MAX_EXPORTED."""
    rows = untagged.listed(scope, query).values_list("repository", flat=True)[:MAX_EXPORTED]
    counted = Counter(rows.iterator())
    shares = [Share(name, Amount(images, None)) for name, images in counted.most_common(SHOWN)]
    return Summary(shares, len(counted))
