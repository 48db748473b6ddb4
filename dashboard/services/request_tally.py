"""Requests to registries, counted by operation, outcome and time, over all processes: rows that each adds to.

A process notes its requests in memory, which costs nothing, and adds them to the rows every few seconds: after a page,
in between and at the end of a job, and when it ends. While the database is busy they wait; what a killed process had
not added is lost, some seconds of it.
"""

from __future__ import annotations

import atexit
import bisect
import threading
import time
from collections import defaultdict

from django.core.signals import request_finished
from django.db import Error, IntegrityError, transaction
from django.db.models import F
from django_q.signals import post_execute

from dashboard.models import Registry, RequestTally

from .quick_writes import write_within

BOUNDS_MS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000)
"""Upper bounds of the histogram's bars; slower requests are in the bar without one."""
EVERY_SECONDS = 10.0
PATIENCE_MS = 200
MAX_WORD = 40

_Key = tuple[int, str, str, int]


class _Noted:
    """What this process noted and has not added yet."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        self.sums: dict[_Key, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
        self.added_at = time.monotonic()


_noted = _Noted()


def note(registry_id: int, operation: str, outcome: str, seconds: float) -> None:
    """Counts one request. An observer of `dashboard/registry/`: touches no database."""
    place = bisect.bisect_left(BOUNDS_MS, seconds * 1000)
    within = BOUNDS_MS[place] if place < len(BOUNDS_MS) else 0
    _add((registry_id, operation[:MAX_WORD], outcome[:MAX_WORD], within), 1, seconds)


def add_due(**_: object) -> None:
    """Adds what was noted to the rows, every EVERY_SECONDS at most. A receiver of Django's request_finished."""
    if _noted.sums and time.monotonic() - _noted.added_at >= EVERY_SECONDS:
        add_now()


def add_now(**_: object) -> None:
    """Adds what was noted to the rows; where the database is busy, it is kept for the next time.

    A receiver of the worker's post_execute, too.
    """
    with _noted.lock:
        sums = dict(_noted.sums)
        _noted.clear()
    if sums and not write_within(PATIENCE_MS, lambda: _write(sums)):
        for key, (requests, seconds) in sums.items():
            _add(key, requests, seconds)


def forget() -> None:
    """Forgets what was noted and not added."""
    with _noted.lock:
        _noted.clear()


def _add(key: _Key, requests: int, seconds: float) -> None:
    with _noted.lock:
        before = _noted.sums[key]
        _noted.sums[key] = (before[0] + requests, before[1] + seconds)


def _write(sums: dict[_Key, tuple[int, float]]) -> None:
    """In the order of the keys, so that two processes never wait for each other."""
    there = set(Registry.objects.filter(pk__in={key[0] for key in sums}).values_list("pk", flat=True))
    for key in sorted(key for key in sums if key[0] in there):
        requests, seconds = sums[key]
        registry_id, operation, outcome, within = key
        row = RequestTally.objects.filter(
            registry_id=registry_id, operation=operation, outcome=outcome, within_ms=within
        )
        more = {"requests": F("requests") + requests, "seconds": F("seconds") + seconds}
        if row.update(**more):
            continue
        try:
            with transaction.atomic():
                RequestTally.objects.create(
                    registry_id=registry_id,
                    operation=operation,
                    outcome=outcome,
                    within_ms=within,
                    requests=requests,
                    seconds=seconds,
                )
        except IntegrityError:  # another process made it in between
            row.update(**more)


def _at_exit() -> None:
    try:
        add_now()
    except Error:
        return  # it is gone before us


request_finished.connect(add_due, dispatch_uid="add_due_requests")
post_execute.connect(add_now, dispatch_uid="add_requests_of_a_task")
atexit.register(_at_exit)
