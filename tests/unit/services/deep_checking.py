"""`python -m tests.unit.services.deep_checking ROOT`: a deep check whose worker is killed in the middle, for a test.

A process of its own checks the storage at ROOT slowly and is killed without warning; then the job is taken up again by
what looks after jobs. Prints what the row said at each time, and which blobs were read the second time.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

SECONDS = 60


def main(root: Path) -> int:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registryui.settings")
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone
    from django_q.models import OrmQ

    from dashboard import tasks
    from dashboard.models import DamagedBlob, DeepCheck, Job, Registry
    from dashboard.services import deep_check, jobs
    from dashboard.storage.hashing import Hashing

    call_command("migrate", verbosity=0)
    registry = Registry.objects.create(slug="r", url="http://127.0.0.1:9", public_host="r", storage_root=str(root))
    job = deep_check.ask_for(registry=registry, user=None)
    connection.close()
    child = os.fork()
    if not child:
        settings.CHECK_MIB_PER_SECOND = 1
        tasks.run_job(str(job.pk))
        os._exit(0)
    end = time.monotonic() + SECONDS
    while not DeepCheck.objects.filter(blobs__gt=5).exists():
        assert time.monotonic() < end, "it does not begin"
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    killed = DeepCheck.objects.get()
    job.refresh_from_db()
    then = job.state

    OrmQ.objects.all().delete()
    Job.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    jobs.look_after()
    sent = OrmQ.objects.count()
    read: list[str] = []
    hashed = Hashing._check

    def noted(self: Hashing, fan: int, algorithm: str, name: str) -> Any:
        read.append(name)
        return hashed(self, fan, algorithm, name)

    Hashing._check = noted  # type: ignore[method-assign]
    settings.CHECK_MIB_PER_SECOND = 0
    tasks.run_job(str(job.pk))
    job.refresh_from_db()
    ended = DeepCheck.objects.get()
    print(
        json.dumps(
            {
                "then": {
                    "state": then,
                    "blobs": killed.blobs,
                    "bytes": killed.bytes,
                    "position": killed.position,
                },
                "sent": sent,
                "read": read,
                "now": {"state": job.state, "blobs": ended.blobs, "bytes": ended.bytes, "damaged": ended.damaged},
                "damaged": list(DamagedBlob.objects.values_list("path", flat=True)),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
