"""For how long revisions have been without a tag: since they lost their last one, and were pushed last.

A revision is at rest since a moment if it lost its last tag, as far as the history knows, and was pushed last before
that: a push by digest alone, as of what an index is about to list, begins it anew. One of which neither is known is
never at rest, nor is what belongs (a signature) to another untagged revision that is not.
"""

from __future__ import annotations

import datetime as dt

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from dashboard.models import IndexedRevision, ManifestEntry, Registry, TagPeriod

MAX_DAYS = 36_500


def before(days: int) -> dt.datetime | None:
    """The moment some days ago; None for 0, which asks for no age."""
    return timezone.now() - dt.timedelta(days=min(days, MAX_DAYS)) if days else None


def roots(registry: Registry, moment: dt.datetime | None = None) -> QuerySet[IndexedRevision]:
    """The revisions of a registry that no tag reaches and no index lists; of them those at rest since `moment`."""
    listing = ManifestEntry.objects.filter(
        digest=OuterRef("manifest__digest"), manifest__holders__repository=OuterRef("repository")
    )
    rows = IndexedRevision.objects.filter(~Exists(listing), repository__registry=registry, tagged=False)
    if moment is None:
        return rows
    # A subject that a tag reaches, which then reaches this too, was left out above.
    subject = IndexedRevision.objects.filter(
        repository=OuterRef("repository"), manifest__digest=OuterRef("manifest__subject")
    )
    return rows.filter(_at_rest(registry, moment), ~Exists(subject.filter(~Exists(_itself(registry, moment)))))


def staying(registry: Registry, going: QuerySet[IndexedRevision]) -> QuerySet[IndexedRevision]:
    """The untagged revisions that do not go with `going`, some of the roots: others, and what others list."""
    parents = IndexedRevision.objects.filter(
        repository=OuterRef("repository"), manifest__entries__digest=OuterRef("manifest__digest")
    )
    others = parents.exclude(pk__in=going.values("pk"))
    rows = IndexedRevision.objects.filter(repository__registry=registry, tagged=False)
    return rows.exclude(pk__in=going.values("pk")).filter(~Exists(parents) | Exists(others))


def _at_rest(registry: Registry, moment: dt.datetime) -> Q:
    """For revisions: whether they themselves are at rest since `moment`."""
    periods = TagPeriod.objects.filter(
        registry=registry, repository=OuterRef("repository__name"), digest=OuterRef("manifest__digest")
    )
    since = periods.filter(Q(ended_at__gt=moment) | Q(ended_at=None))
    return ~Q(Exists(since)) & (Q(pushed_at__lte=moment) | Q(pushed_at=None) & Q(Exists(periods)))


def _itself(registry: Registry, moment: dt.datetime) -> QuerySet[IndexedRevision]:
    return IndexedRevision.objects.filter(_at_rest(registry, moment), pk=OuterRef("pk"))
