"""Several processes on one database: two workers and two who ask do no work twice, and none of it is left lying."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.db import IntegrityError
from django_q.models import OrmQ, Schedule

from dashboard.management.commands.worker import LOOK_AFTER, LOOK_AFTER_FUNCTION, keep_schedule
from dashboard.models import Job, Registry
from dashboard.services import jobs
from tests.fake_registry import FakeRegistry
from tests.support.receivers import hook

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

PROJECT = Path(__file__).resolve().parents[3]
REGISTRIES = 5
SLOWNESS = 0.03


class Server(ThreadingMixIn, WSGIServer):
    """A registry that can be asked by several at once."""

    daemon_threads = True
    request_queue_size = 128


class Silent(WSGIRequestHandler):
    """Writes no log."""

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def served(fake: FakeRegistry, readings: Counter[str]) -> Iterator[str]:
    """The fake registry on a port of its own: its address. `readings`: how often all of it was begun to be read."""

    def program(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/v2/_catalog" and "last=" not in environ["QUERY_STRING"]:
            readings[address] += 1
            time.sleep(SLOWNESS)
        return fake({**environ, "wsgi.input": io.BytesIO()}, start_response)

    with make_server("127.0.0.1", 0, program, Server, Silent) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield address
        server.shutdown()
        thread.join()


@pytest.fixture
def version() -> str:
    """One version: who does the work is ours to see to."""
    return "3.1"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    """The address of an empty database that several processes can open: on the server of these tests, or a file."""
    server = os.environ.get("TEST_DATABASE_URL", "")
    if not server.startswith("postgres"):
        yield f"sqlite:///{tmp_path / 'db.sqlite3'}"
        return
    import psycopg

    name = f"workers_{uuid4().hex}"
    with psycopg.connect(_named(server, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield _named(server, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _named(server: str, name: str) -> str:
    return re.sub(r"/[^/]*$", f"/{name}", server)


@pytest.mark.database
def test_two_workers_and_two_who_ask_do_no_work_twice(tmp_path: Path, database: str) -> None:
    readings: Counter[str] = Counter()
    with ExitStack() as stack:
        fake = stack.enter_context(FakeRegistry("3.1"))
        for number in range(3):
            fake.push_image(f"team/app{number}", "1.0", layers=[b"%d" % number])
        addresses = [stack.enter_context(served(fake, readings)) for _ in range(REGISTRIES)]
        ended = subprocess.run(
            [sys.executable, "-m", "tests.unit.services.working", str(tmp_path), *addresses],
            cwd=PROJECT,
            env=os.environ | {"DATABASE_URL": database, "DASHBOARD_STATE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    logs = [(tmp_path / f"worker-{number}.log").read_text() for number in range(2)]
    assert ended.returncode == 0, ended.stderr[-3000:] + "".join(log[-2000:] for log in logs)
    told, doubled = (json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{"))
    assert {state for _address, state in told["jobs"]} == {"done"}
    asked = Counter(address for address, _state in told["jobs"])
    assert readings == asked, "each job was run once"
    assert all(4 <= times <= 10 for times in asked.values()), asked
    assert told["schedules"] == 1
    assert doubled == {"kept": [1] * 4, "due": [1] * 4}, "schedules and what is due are not doubled"
    for log in logs:
        assert "Traceback" not in log
        assert "locked" not in log
        assert "Processed" in log, "both of them worked"


def test_a_schedule_that_is_there_twice_is_one_again(db: None) -> None:
    """Older workers that started at one moment could leave two; a name is not unique in that table."""
    for minutes in (5, 7):
        Schedule.objects.create(name=LOOK_AFTER, func="gone.function", schedule_type="I", minutes=minutes)
    kept = Schedule.objects.order_by("pk")[0]
    keep_schedule()
    row = Schedule.objects.get()
    assert (row.pk, row.func, row.minutes, row.repeats) == (kept.pk, LOOK_AFTER_FUNCTION, 1, -1)
    keep_schedule()
    assert Schedule.objects.get().next_run == kept.next_run, "a start does not put off what is due"


@pytest.mark.database
def test_four_workers_raise_one_alert_tell_it_once_and_lose_no_count(tmp_path: Path, database: str) -> None:
    with hook() as received:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.unit.services.alerting"],
            cwd=PROJECT,
            env=os.environ
            | {
                "DATABASE_URL": database,
                "DASHBOARD_STATE_DIR": str(tmp_path),
                "DASHBOARD_ALERT_WEBHOOK_URL": received.url,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = json.loads(ended.stdout)
    assert told["alerts"] == [["free-space", False]]
    assert told["messages"] == [["began", "sent", 1], ["over", "sent", 1]]
    assert [sent["event"] for _, sent in received.received] == ["began", "over"]
    assert told["requests"] == {"tags": 80, "ping": 80, "repositories": 80}


def test_asking_while_the_job_that_won_the_race_ends_gives_a_new_one(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process makes the row after we looked, and its worker has ended it before we look again."""
    create = Job.objects.create
    others: list[Job] = []

    def collides(**values: Any) -> Job:
        if not others:
            others.append(create(**values | {"state": Job.State.DONE}))
            raise IntegrityError
        return create(**values)

    monkeypatch.setattr(Job.objects, "create", collides)
    job = jobs.ask_for(kind=Job.Kind.REFRESH, registry=registry, user=None)
    assert job.state == Job.State.WAITING
    assert job not in others
    assert OrmQ.objects.count() == 1, "its message is sent"
