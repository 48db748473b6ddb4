"""Pruning: what registries notified after DASHBOARD_ACTIVITY_DAYS, the audit only where DASHBOARD_AUDIT_DAYS is set."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.utils import timezone

from dashboard.models import AuditEntry, Registry, RegistryEvent

PRUNED_AT_ONCE = 2000
"""Rows of each table in one round, so that nobody waits for it; a round comes every minute."""


def prune() -> int:
    """Deletes what is older than the settings say, PRUNED_AT_ONCE of each registry's events and entries; how many."""
    deleted = 0
    before = timezone.now() - dt.timedelta(days=settings.ACTIVITY_DAYS)
    for registry in Registry.objects.all():
        old = RegistryEvent.objects.filter(registry=registry, at__lt=before)
        ids = list(old.order_by("at").values_list("pk", flat=True)[:PRUNED_AT_ONCE])
        deleted += RegistryEvent.objects.filter(pk__in=ids).delete()[0]
    if settings.AUDIT_DAYS:
        before = timezone.now() - dt.timedelta(days=settings.AUDIT_DAYS)
        old_entries = AuditEntry.objects.filter(at__lt=before).order_by("at")
        ids = list(old_entries.values_list("pk", flat=True)[:PRUNED_AT_ONCE])
        deleted += AuditEntry.objects.filter(pk__in=ids).delete()[0]
    return deleted
