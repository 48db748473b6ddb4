"""The lease that whoever works on a deletion holds: one at a time, renewed before each step, lost if it runs out."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from dashboard.models import Deletion

LEASE = dt.timedelta(seconds=180)
"""Longer than the slowest request; renewed before each."""
SOON = dt.timedelta(minutes=2)
LONGEST_PAUSE = dt.timedelta(minutes=30)


class LeaseLost(Exception):
    """Somebody else has taken the deletion up; whoever meets this stops at once."""


class Lease:
    """Our hold on one deletion, as its row says it; `deletion.lease_until` follows."""

    def __init__(self, deletion: Deletion) -> None:
        self._deletion = deletion

    def renew(self, **values: object) -> None:
        """Holds it for LEASE more, and writes `values` to the deletion's row. Raises LeaseLost."""
        if not self._write(timezone.now() + LEASE, values):
            raise LeaseLost

    def wait(self, code: str) -> None:
        """Lets go of it: the worker tries again, at once or, the older the deletion is, the later."""
        age = timezone.now() - self._deletion.created_at
        pause = min(age / 10, LONGEST_PAUSE) if age > SOON else dt.timedelta()
        self._write(timezone.now() + pause, {"outcome_code": code})

    def end(self) -> None:
        """The deletion is over; nothing happens if it is not ours any more."""
        self._write(None, {"state": Deletion.State.DONE, "finished_at": timezone.now()})

    def _write(self, until: dt.datetime | None, values: dict[str, object]) -> bool:
        held = Deletion.objects.filter(
            pk=self._deletion.pk, state=Deletion.State.IN_PROGRESS, lease_until=self._deletion.lease_until
        )
        if not held.update(lease_until=until, **values):
            return False
        self._deletion.lease_until = until
        return True


def take(deletion: Deletion) -> bool:
    """Takes up a deletion whose lease ran out; False if it is not to be had."""
    now = timezone.now()
    until = now + LEASE
    free = Deletion.objects.filter(pk=deletion.pk, state=Deletion.State.IN_PROGRESS, lease_until__lte=now)
    if not free.update(lease_until=until, outcome_code=""):
        return False
    deletion.lease_until = until
    return True


def wake(deletion: Deletion) -> None:
    """Ends the pause of a deletion that waits."""
    waiting = Deletion.objects.filter(pk=deletion.pk, state=Deletion.State.IN_PROGRESS).exclude(outcome_code="")
    waiting.update(lease_until=timezone.now())
