"""`python -m tests.unit.services.alerting`: four workers look at the same disk and tell of it at the same moment.

For a test; the webhook is in the environment. Prints what came of it as one line of JSON.
"""

from __future__ import annotations

import json
import os

from .working import _together

WORKERS = 4
ROUNDS = 3


def main() -> int:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registryui.settings")
    django.setup()
    _together(_prepare, times=1)
    for free in (1, 90):
        _together(lambda free=free: _scanned(free), times=1)  # type: ignore[misc]
        _together(_look, times=WORKERS)
        _together(_send, times=WORKERS)
    _together(_count, times=WORKERS)
    _together(_tell, times=1)
    return 0


def _prepare() -> None:
    from django.core.management import call_command

    from dashboard.models import Registry

    call_command("migrate", verbosity=0)
    Registry.objects.create(slug="r", url="http://r.test", public_host="r", storage_root="/r")


def _scanned(free: int) -> None:
    from django.utils import timezone

    from dashboard.models import Registry, UsageSnapshot

    UsageSnapshot.objects.create(
        registry=Registry.objects.get(), began_at=timezone.now(), seconds=1, root="/r",
        disk_bytes=100, free_bytes=free, report={},
    )  # fmt: skip


def _look() -> None:
    from dashboard.services.alerts import raise_and_end

    for _ in range(ROUNDS):
        raise_and_end.look()


def _send() -> None:
    from dashboard.contexts.alerts import words
    from dashboard.services.alerts import send

    for _ in range(ROUNDS):
        send.send_due(words)


def _count() -> None:
    """Each adds its requests to the same rows."""
    from dashboard.models import Registry
    from dashboard.services import request_tally

    registry = Registry.objects.get().pk
    for _ in range(20):
        for operation in ("tags", "ping", "repositories"):
            request_tally.note(registry, operation, "ok", 0.02)
        request_tally.add_now()
    while request_tally._noted.sums:
        request_tally.add_now()


def _tell() -> None:
    from dashboard.models import Alert, AlertMessage, RequestTally

    told = {
        "alerts": [(alert.code, alert.resolved_at is None) for alert in Alert.objects.all()],
        "messages": sorted(AlertMessage.objects.values_list("event", "state", "attempts")),
        "requests": dict(RequestTally.objects.values_list("operation", "requests")),
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
