"""Who pushed something, as far as the registry's notifications tell."""

from __future__ import annotations

import datetime as dt

from dashboard.models import Notification, Registry

AROUND = dt.timedelta(minutes=10)
"""A notification comes so long after a push, or before we see it, at most; clocks that differ included."""


def pushed_by(*, registry: Registry, repository: str, tag: str, digest: str, when: dt.datetime) -> str:
    """Who pushed `digest` to `tag` about `when`, by the name the registry knows; "" where nobody tells.

    Only the notifications of those minutes are looked at: a registry sends them by the hundred thousand.
    """
    told = Notification.objects.filter(
        registry=registry,
        received_at__range=(when - AROUND, when + AROUND),
        payload__action="push",
        payload__repository=repository,
        payload__tag=tag,
        payload__digest=digest,
    )
    payload = told.order_by("-pk").values_list("payload", flat=True).first() or {}
    return str(payload.get("actor", ""))
