"""A refresh that is killed anywhere is taken up again and ends in the same index as one that was left in peace."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection, transaction
from django.utils import timezone

from dashboard.models import IndexedRepository, IndexState, Job, Registry, TagPeriod
from dashboard.services import jobs
from dashboard.services.index import refresh
from tests.fake_registry import FakeRegistry
from tests.unit.index import killing
from tests.unit.index.support import done, index_of, read_from, write_out

PROJECT = Path(__file__).resolve().parents[3]
WRITES = ("INSERT", "UPDATE", "DELETE")
FIRST_SEEN = frozenset({"since", "since_is_push", "pushed_at"})


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def version() -> str:
    """One version: what is killed is ours."""
    return "3.1"


def killed_before_transaction(number: int) -> bool:
    """A refresh whose process dies before the first write of its transaction `number`: what was before is committed."""
    left, within, depth = number, "", len(connection.savepoint_ids)

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal left, within
        if sql.startswith(WRITES):
            transaction_id = connection.savepoint_ids[depth] if len(connection.savepoint_ids) > depth else ""
            if not transaction_id or transaction_id != within:
                left, within = left - 1, transaction_id
            if left == 0:
                raise Killed
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        try:
            done(Registry.objects.get())
        except Killed:
            connection.needs_rollback = False  # of the test's own transaction, around what is one of its own elsewhere
            return True
    return False


def taken_up_again() -> None:
    """What the worker does when the lease of a killed one ran out, or the command when it is given again."""
    Job.objects.filter(state=Job.State.RUNNING).update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    done(Registry.objects.get())


def everything(registry: Registry, *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The index, the history, and how the index stands."""
    periods = TagPeriod.objects.order_by("repository", "tag", "began_at", "pk")
    state = IndexState.objects.get()
    return index_of(registry, without=without) | {
        "history": [(p.repository, p.tag, p.digest, p.ended_at is None, p.learnt) for p in periods],
        "state": (state.source, state.notices, state.refreshed_at is not None),
    }


def change(fake: FakeRegistry) -> None:
    """Everything that a refresh can meet: tags and repositories that come, move and go."""
    fake.push_image("moves", "1", layers=(b"moved",))
    fake.push_image("comes", "1", "2", layers=(b"new", b"shared"))
    del fake.state.repositories["stays"].tags["goes"]
    del fake.state.repositories["vanishes"]


def fill(fake: FakeRegistry) -> None:
    fake.push_image("moves", "1", layers=(b"old", b"shared"))
    child = fake.push_image("stays", "amd", layers=(b"child",))
    fake.push_index("stays", "index", "goes", children=[child])
    fake.push_image("vanishes", "1", layers=(b"v",))


def each_boundary(attempt: Callable[[int], bool]) -> int:
    """Attempts at the first boundary, the second, …, each from the same beginning; how many there were."""
    number = 0
    while True:
        number += 1
        mark = transaction.savepoint()
        reached = attempt(number)
        transaction.savepoint_rollback(mark)
        if not reached:
            return number - 1


@pytest.mark.parametrize("beginning", ["empty", "indexed"])
@pytest.mark.parametrize("source", ["storage", "api"])
def test_killed_at_every_commit(
    registry: Registry,
    fake: FakeRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    beginning: str,
    source: str,
) -> None:
    monkeypatch.setattr(refresh, "AT_ONCE", 2)
    without = FIRST_SEEN if source == "api" else frozenset()
    fill(fake)
    if beginning == "indexed":
        if source == "storage":
            read_from(write_out(fake, tmp_path / "before"), registry, monkeypatch)
        done(registry)
        change(fake)
    if source == "storage":
        read_from(write_out(fake, tmp_path / "now"), registry, monkeypatch)
    mark = transaction.savepoint()
    done(registry)
    undisturbed = everything(registry, without=without)
    transaction.savepoint_rollback(mark)

    def attempt(number: int) -> bool:
        if not killed_before_transaction(number):
            return False
        shown = IndexedRepository.objects.filter(read_at__isnull=False)
        assert all(row.tags == row.tag_rows.count() for row in shown), "nothing half written is shown"
        taken_up_again()
        assert everything(registry, without=without) == undisturbed, f"killed before transaction {number}"
        return True

    assert each_boundary(attempt) > 8


@pytest.mark.parametrize("beginning", ["empty", "indexed"])
def test_killed_at_every_request(
    registry: Registry, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch, beginning: str
) -> None:
    monkeypatch.setattr(refresh, "AT_ONCE", 2)
    fill(fake)
    if beginning == "indexed":
        done(registry)
        change(fake)
    mark = transaction.savepoint()
    done(registry)
    undisturbed = everything(registry, without=FIRST_SEEN)
    transaction.savepoint_rollback(mark)
    receive, lock = fake.receive, threading.Lock()

    def attempt(number: int) -> bool:
        left = number

        def dies(request: httpx.Request) -> httpx.Response | None:
            nonlocal left
            with lock:
                left -= 1
                if left == 0:
                    raise Killed
            return receive(request)

        job = jobs.claim(refresh.ask_for_refresh(registry=registry, user=None).pk)
        assert job is not None
        monkeypatch.setattr(fake, "receive", dies)
        try:
            refresh.run_refresh(job)
        except Killed:
            reached = True
        else:
            reached = False
        monkeypatch.setattr(fake, "receive", receive)
        if reached:
            taken_up_again()
        assert everything(registry, without=FIRST_SEEN) == undisturbed, f"killed at request {number}"
        return reached

    assert each_boundary(attempt) > 10


def test_real_processes_killed_at_random_moments(tmp_path: Path) -> None:
    """Twenty processes over one storage, each killed at another moment and run to its end by another."""
    environment = {name: value for name, value in os.environ.items() if name != "TEST_DATABASE_URL"} | {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "DASHBOARD_STATE_DIR": str(tmp_path),
    }
    killing.grow(tmp_path / "storage")
    done_ = subprocess.run(
        [sys.executable, "-m", "tests.unit.index.killing", str(tmp_path), "20"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done_.returncode == 0, done_.stderr[-3000:]
    told = json.loads(done_.stdout.splitlines()[-1])
    assert told["tags"] == killing.REPOSITORIES * (killing.TAGS + 1)
    assert told["different"] == []
    assert told["killed"] >= 5, "many of them while they were at it"
    shutil.rmtree(tmp_path / "storage")
