"""`manage.py worker`: background work and schedules, until it is told to stop."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django_q.models import Schedule

from dashboard import tasks

LOOK_AFTER = "strata: look after what was left lying"


class Command(BaseCommand):
    """Looks after what an earlier worker left, keeps the schedules, then works."""

    help = "Runs background work and schedules."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Several workers may run: schedules are rows, jobs are claimed."""
        Schedule.objects.update_or_create(
            name=LOOK_AFTER,
            defaults={
                "func": "dashboard.tasks.look_after",
                "schedule_type": Schedule.MINUTES,
                "minutes": 1,
                "repeats": -1,
            },
        )
        tasks.look_after()
        call_command("qcluster")
