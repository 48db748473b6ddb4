"""`python -m tests.unit.services.working DIRECTORY ADDRESS…`: two workers and two who ask, on one database, for a test.

Each ADDRESS is a registry. Two `manage.py worker` start at the same moment; two processes, as two web processes would,
ask again and again for refreshes of all registries at once and send every message twice. Prints what came of it.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
ROUNDS = 4
SECONDS = 60


def main(directory: Path, addresses: list[str]) -> int:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registryui.settings")
    django.setup()
    _together(lambda: _prepare(addresses), times=1)
    logs = [directory / f"worker-{number}.log" for number in range(2)]
    workers = [_worker(log) for log in logs]
    try:
        _until(lambda: all("running." in log.read_text() for log in logs))
        _together(_ask, times=2)
        _together(_wait_for_the_end, times=1)
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.wait(SECONDS)
    _together(_doubled_schedules, times=1)
    return 0


def _prepare(addresses: list[str]) -> None:
    from django.core.management import call_command

    from dashboard.models import Registry

    call_command("migrate", verbosity=0)
    for number, address in enumerate(addresses):
        Registry.objects.create(slug=f"r{number}", url=address, public_host=f"r{number}")


def _worker(log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        command = [sys.executable, "manage.py", "worker"]
        return subprocess.Popen(command, cwd=PROJECT, stdout=output, stderr=subprocess.STDOUT)


def _ask() -> None:
    """All registries, as soon as the last round ended for each; the other process asks at the same time."""
    from django_q.tasks import async_task

    from dashboard.models import Registry
    from dashboard.services.index.refresh import ask_for_refresh
    from dashboard.services.jobs import RUN

    registries = list(Registry.objects.order_by("pk"))
    for _round in range(ROUNDS):
        asked = [ask_for_refresh(registry=registry, user=None) for registry in registries]
        for job in asked:
            async_task(RUN, str(job.pk))
        _until(lambda: not _live())


def _wait_for_the_end() -> None:
    """Until nothing is asked for and no message is left; then what happened, as one line of JSON."""
    from django_q.models import OrmQ, Schedule

    from dashboard.models import Job

    _until(lambda: not _live() and not OrmQ.objects.exists())
    jobs = Job.objects.order_by("registry__pk").values_list("registry__url", "state")
    print(json.dumps({"jobs": list(jobs), "schedules": Schedule.objects.count()}), flush=True)


def _doubled_schedules() -> None:
    """Two processes keep the schedule, then two run what is due, each pair at the same moment; how many came of it."""
    from django.db import connection
    from django.utils import timezone
    from django_q.models import OrmQ, Schedule
    from django_q.scheduler import scheduler

    from dashboard.management.commands.worker import keep_schedule

    kept, due = [], []
    for _round in range(ROUNDS):
        Schedule.objects.all().delete()
        connection.close()
        _together(keep_schedule, times=2)
        kept.append(Schedule.objects.count())
        Schedule.objects.update(next_run=timezone.now() - dt.timedelta(minutes=1))
        connection.close()
        _together(scheduler, times=2)
        due.append(OrmQ.objects.count())
        OrmQ.objects.all().delete()
    print(json.dumps({"kept": kept, "due": due}), flush=True)


def _live() -> bool:
    from dashboard.models import Job

    return Job.objects.filter(state__in=Job.LIVE).exists()


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end, "still not"
        time.sleep(0.02)


def _together(work: Callable[[], None], *, times: int) -> None:
    """Runs `work` in so many processes that begin at the same moment; each has a connection of its own."""
    begin = time.monotonic() + 0.05
    pids = [_fork(work, begin) for _ in range(times)]
    codes = [os.waitpid(pid, 0)[1] for pid in pids]
    if any(codes):
        raise SystemExit(f"{work.__name__} failed")


def _fork(work: Callable[[], None], begin: float) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        time.sleep(max(0.0, begin - time.monotonic()))
        work()
        code = 0
    except BaseException:  # noqa: BLE001 (the process ends below, whatever it was)
        traceback.print_exc()
    finally:
        from django.db import connection

        connection.close()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2:]))
