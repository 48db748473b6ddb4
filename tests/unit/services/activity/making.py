"""Rows of the three tables of the activity, as tests make them."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from dashboard.models import AuditEntry, PullDay, Registry, RegistryEvent

NOON = dt.datetime(2026, 5, 3, 12, 0, tzinfo=dt.UTC)


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def hours(number: float) -> dt.datetime:
    """So many hours after noon."""
    return NOON + dt.timedelta(hours=number)


def done(registry: str, action: str = "delete", *, at: dt.datetime = NOON, **fields: Any) -> AuditEntry:
    """Something that maria did."""
    values = {"user": "maria", "outcome": "done", "repository": "team/app", "registry": registry} | fields
    return AuditEntry.objects.create(action=action, at=at, **values)


def notified(registry: Registry, action: str = "push", *, at: dt.datetime = NOON, **fields: Any) -> RegistryEvent:
    """Something that ci-runner did."""
    values = {
        "repository": "team/app", "tag": "1.0", "digest": digest(1), "actor": "ci-runner", "address": "10.0.0.7",
        "user_agent": "docker/27", "event_id": str(uuid.uuid4()),
    } | fields  # fmt: skip
    return RegistryEvent.objects.create(registry=registry, action=action, at=at, **values)


def pulled(registry: Registry, *, at: dt.datetime = NOON, **fields: Any) -> PullDay:
    """Pulls of one tag on one day."""
    values = {"repository": "team/app", "tag": "1.0", "digest": digest(1), "gets": 1} | fields
    return PullDay.objects.create(registry=registry, last_at=at, day=at.date(), **values)
