"""Raising alerts and ending them: after each scan, and every minute for what only time changes.

What is to be sent about one is written with it, in the same transaction; sending is the worker's (`send`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from dashboard.models import Alert, AlertMessage, Job, Registry, Thresholds
from dashboard.services import figures, thresholds
from dashboard.services.figures import Figures

KEPT = dt.timedelta(days=90)
"""How long an alert that is over is remembered."""


def look(registries: Iterable[Registry] | None = None) -> None:
    """Holds the figures of these registries (None: all) against their thresholds; raises alerts and ends them."""
    chosen = list(Registry.objects.all() if registries is None else registries)
    ids = [registry.pk for registry in chosen]
    found = figures.latest(chosen)
    limits = {row.registry_id: row for row in Thresholds.objects.filter(registry__in=ids)}
    open_ones: dict[int, dict[str, Alert]] = {pk: {} for pk in ids}
    for alert in Alert.objects.filter(registry__in=ids, resolved_at=None):
        open_ones[alert.registry_id][alert.code] = alert
    for registry in chosen:
        row = limits.get(registry.pk) or Thresholds(registry=registry)
        _hold(registry, limits_of(row), measured(registry, found.get(registry.pk)), open_ones[registry.pk])


def forget_old() -> None:
    """Removes alerts that are over for long."""
    old = Alert.objects.filter(resolved_at__lt=timezone.now() - KEPT)
    if old.exists():
        old.delete()


def limits_of(row: Thresholds) -> thresholds.Limits:
    """A registry's thresholds as the pure core takes them."""
    return thresholds.Limits(
        free_percent=row.free_percent,
        free_bytes=row.free_bytes,
        growth_bytes=row.growth_bytes,
        orphans_percent=row.orphans_percent,
        orphans_bytes=row.orphans_bytes,
        scan_hours=row.scan_hours,
    )


def measured(registry: Registry, found: Figures | None) -> thresholds.Measured:
    """What is known of a registry. Where its storage is read nowhere nothing is."""
    if not registry.storage_address:
        return thresholds.Measured()
    now = timezone.now()
    if found is None:
        scans = Job.objects.filter(registry=registry, kind__in=(Job.Kind.SCAN, Job.Kind.FULL_SCAN))
        asked = scans.order_by("requested_at").first()
        return thresholds.Measured(scan_seconds=(now - asked.requested_at).total_seconds() if asked else None)
    return thresholds.Measured(
        disk_bytes=found.disk_bytes or None,
        free_bytes=found.free_bytes if found.disk_bytes else None,
        data_bytes=found.data_bytes,
        orphan_bytes=found.parts["orphans"].bytes,
        growth_bytes=figures.growth_per_day(found),
        scan_seconds=(now - found.began_at).total_seconds(),
    )


def _hold(
    registry: Registry, limits: thresholds.Limits, known: thresholds.Measured, open_ones: dict[str, Alert]
) -> None:
    over = thresholds.passed(limits, known, open_ones.keys())
    for code, told in over.items():
        alert = open_ones.get(code)
        if alert is None:
            _raise(registry, code, dict(told))
        elif alert.figures != told and code != thresholds.Code.SCAN_AGE:  # age is told from the time, not from here
            Alert.objects.filter(pk=alert.pk, resolved_at=None).update(figures=dict(told))
    unknown = set(thresholds.unknown(known)) if registry.storage_address else set()
    for name, alert in open_ones.items():
        if name not in over and (name not in unknown or not _is_watched(limits, name)):
            _end(alert)


def _is_watched(limits: thresholds.Limits, code: str) -> bool:
    bounds = {
        thresholds.Code.FREE: (limits.free_percent, limits.free_bytes),
        thresholds.Code.GROWTH: (limits.growth_bytes,),
        thresholds.Code.ORPHANS: (limits.orphans_percent, limits.orphans_bytes),
        thresholds.Code.SCAN_AGE: (limits.scan_hours,),
    }[thresholds.Code(code)]
    return any(bound is not None for bound in bounds)


def _raise(registry: Registry, code: str, told: dict[str, float]) -> None:
    now = timezone.now()
    try:
        with transaction.atomic():
            alert = Alert.objects.create(registry=registry, code=code, since=now, figures=told)
            _write_messages(alert, AlertMessage.Event.BEGAN, now)
    except IntegrityError:
        return  # another worker has raised it


def _end(alert: Alert) -> None:
    now = timezone.now()
    with transaction.atomic():
        if Alert.objects.filter(pk=alert.pk, resolved_at=None).update(resolved_at=now):
            _write_messages(alert, AlertMessage.Event.OVER, now)


def _write_messages(alert: Alert, event: AlertMessage.Event, now: dt.datetime) -> None:
    for way in ways():
        AlertMessage.objects.create(alert=alert, way=way, event=event, created_at=now, next_at=now)


def ways() -> list[AlertMessage.Way]:
    """How people are told outside the dashboard: as the environment says."""
    found = []
    if settings.ALERT_EMAILS:
        found.append(AlertMessage.Way.EMAIL)
    if settings.ALERT_WEBHOOK_URL:
        found.append(AlertMessage.Way.WEBHOOK)
    return found
