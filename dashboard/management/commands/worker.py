"""`manage.py worker`: background work and schedules, until it is told to stop."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django_q.models import Schedule

from dashboard import tasks

LOOK_AFTER = "strata: look after what was left lying"
LOOK_AFTER_FUNCTION = "dashboard.tasks.look_after"


def keep_schedule() -> None:
    """One row, with what it should say, however many workers start at once.

    Nothing in the table forbids a second row of that name, so all but the first go. Each worker looks after its own is
    committed: the last one to look sees them all.
    """
    wanted = {"func": LOOK_AFTER_FUNCTION, "schedule_type": Schedule.MINUTES, "minutes": 1, "repeats": -1}
    rows = Schedule.objects.filter(name=LOOK_AFTER).order_by("pk")
    if not rows.exists():
        Schedule.objects.create(name=LOOK_AFTER, **wanted)
    first = rows.values_list("pk", flat=True)[0]
    rows.filter(pk__gt=first).delete()
    rows.filter(pk=first).update(**wanted)


class Command(BaseCommand):
    """Looks after what an earlier worker left, keeps the schedules, then works."""

    help = "Runs background work and schedules."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Several workers may run: schedules are rows, jobs are claimed."""
        keep_schedule()
        tasks.look_after()
        call_command("qcluster")
