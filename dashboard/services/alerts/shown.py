"""What of a registry's alerts pages show: the open ones, and the last that are over."""

from __future__ import annotations

from dashboard.models import Alert, Registry

MAX_PAST = 20


def open_alerts(registry: Registry) -> list[Alert]:
    """Those that last, the oldest first."""
    return list(Alert.objects.filter(registry=registry, resolved_at=None).select_related("registry").order_by("since"))


def last_alerts(registry: Registry) -> list[Alert]:
    """The last ones with what was sent about them, the newest first."""
    found = Alert.objects.filter(registry=registry).select_related("registry").prefetch_related("messages")
    return list(found.order_by("-since")[:MAX_PAST])
