"""Two processes share a scan, and the result is that of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dashboard.storage import scan
from dashboard.storage.errors import Cancelled
from dashboard.storage.partner import Batch, Crew
from dashboard.storage.usage import Usage, measure
from dashboard.storage.wire import run
from tests.unit.storage.trees import Tree

NOW = 1_900_000_000.0


BLOBS_PER_FAN = 4


@pytest.fixture(autouse=True)
def _soon_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_WORTH_A_PARTNER", BLOBS_PER_FAN)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Blobs in all 256 fan-out directories, enough for a second process to be worth it here."""
    made = Tree(tmp_path_factory.mktemp("large"))
    for fan in range(256):
        for number in range(BLOBS_PER_FAN):
            digest = f"{fan:02x}{number:062x}"
            path = made.v2 / "blobs/sha256" / digest[:2] / digest
            path.mkdir(parents=True)
            (path / "data").write_bytes(b"b" * (number + 1))
    for number in range(150):
        layers = [f"sha256:{number:02x}{n:062x}" for n in range(3)]
        image = made.image(f"team/app-{number % 7}", layers, note=str(number))
        if number % 3:
            made.tag(f"team/app-{number % 7}", f"v{number}", image)
    made.write(made.v2 / "repositories/stray", b"x")
    return made


def same(usage: Usage) -> dict[str, object]:
    document = usage.to_json()
    del document["seconds"]
    return document


def alone(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Usage:
    with monkeypatch.context() as patch:
        patch.setattr(Crew, "enlist", lambda self: None)
        return measure(tree.root, now=NOW)


def test_the_second_process_really_starts_and_works(tree: Tree) -> None:
    """Without Django and site packages: what it imports must be light."""
    batches: list[Batch] = [[("list_blobs", (str(tree.v2), "sha256", f"{n:02x}", 0.0))] for n in range(256)]
    with Crew() as crew:
        crew.enlist()
        mine: list[int] = []

        def slowly(done: int) -> None:
            mine.append(done)
            time.sleep(0.01)

        results = crew.work(batches, slowly)
        assert crew.has_partner
        assert len(mine) < 200, "the other process took nothing"
        again = crew.work(batches, lambda done: None)
    assert results == again
    assert sum(len(sizes) for ((sizes, _, _),) in results) >= 256 * BLOBS_PER_FAN


def test_the_result_is_that_of_one_process(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = same(alone(tree, monkeypatch))

    assert same(measure(tree.root, now=NOW)) == expected
    assert expected["tags"] == 100


def test_it_works_from_a_worker_thread(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    results: list[Usage] = []
    thread = threading.Thread(target=lambda: results.append(measure(tree.root, now=NOW)))
    thread.start()
    thread.join(30)

    assert [same(usage) for usage in results] == [same(alone(tree, monkeypatch))]


@pytest.mark.parametrize("executable", ["/nonexistent/python", "/bin/false"])
def test_where_no_second_process_can_run_the_first_does_it_all(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, executable: str
) -> None:
    expected = same(alone(tree, monkeypatch))
    monkeypatch.setattr(sys, "executable", executable)

    assert same(measure(tree.root, now=NOW)) == expected


def test_a_second_process_that_is_killed_in_the_middle_changes_nothing(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = same(alone(tree, monkeypatch))
    started = subprocess.Popen
    pids: list[int] = []

    def started_and_noted(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = started(*arguments, **options)
        pids.append(process.pid)
        return process

    monkeypatch.setattr(subprocess, "Popen", started_and_noted)
    killed: list[int] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "blobs" and done == 20:
            time.sleep(0.2)  # by now the other has taken some batches
            os.kill(pids[0], signal.SIGKILL)
            killed.append(pids[0])

    assert same(measure(tree.root, now=NOW, progress=progress)) == expected
    assert killed


def test_a_second_process_that_comes_late_mixes_up_no_rounds(tree: Tree) -> None:
    """It wakes up in the second round with the first one's batches still to be read."""
    first: list[Batch] = [[("list_blobs", (str(tree.v2), "sha256", f"{n:02x}", 0.0))] for n in range(200)]
    second: list[Batch] = [[("list_blobs", (str(tree.v2), "sha256", f"{255 - n:02x}", 0.0))] for n in range(256)]
    with Crew() as crew:
        crew.enlist()
        assert crew._process is not None
        pid = crew._process.pid
        os.kill(pid, signal.SIGSTOP)
        results = crew.work(first, lambda done: None)

        def wake_up(done: int) -> None:
            if done == 10:
                os.kill(pid, signal.SIGCONT)
            if done < 60:
                time.sleep(0.01)

        later = crew.work(second, wake_up)
        assert crew.has_partner
    assert results == [run(batch) for batch in first]
    assert later == [run(batch) for batch in second]


def test_many_rounds_share_one_second_process(tree: Tree) -> None:
    batches: list[Batch] = [[("list_blobs", (str(tree.v2), "sha256", f"{n:02x}", 0.0))] for n in range(40)]
    expected = [run(batch) for batch in batches]
    with Crew() as crew:
        crew.enlist()
        for count in range(60):
            assert crew.work(batches[: count % 40], lambda done: None) == expected[: count % 40]
        assert crew.has_partner


def test_cancelling_ends_the_second_process(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    started = subprocess.Popen
    processes: list[subprocess.Popen[bytes]] = []

    def started_and_noted(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = started(*arguments, **options)
        processes.append(process)
        return process

    monkeypatch.setattr(subprocess, "Popen", started_and_noted)
    calls = iter(range(1000))

    with pytest.raises(Cancelled):
        measure(tree.root, now=NOW, cancelled=lambda: next(calls) > 30)
    assert [process.poll() for process in processes] == [-signal.SIGKILL]


def test_no_descriptor_is_left_open(tree: Tree) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    measure(tree.root, now=NOW)
    measure(tree.root, now=NOW)

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_more_batches_than_the_queue_holds_are_refused(tree: Tree) -> None:
    with Crew() as crew, pytest.raises(ValueError, match="1001 batches"):
        crew.work([[]] * 1001, lambda done: None)


def test_the_second_process_ends_with_its_parent() -> None:
    """Killed without a chance to clean up: the standard input of the other closes, and it ends."""
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from dashboard.storage.partner import Crew\n"
        "crew = Crew(); crew.enlist(); print(crew._process.pid, flush=True); time.sleep(60)\n"
    )
    project = Path(__file__).resolve().parents[3]
    parent = subprocess.Popen([sys.executable, "-c", program, str(project)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    other = int(parent.stdout.readline())
    time.sleep(0.2)
    assert alive(other)

    parent.kill()
    parent.communicate()

    deadline = time.monotonic() + 10
    while alive(other) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(other)


def alive(pid: int) -> bool:
    """Whether a process runs (one that ended and was not waited for by its new parent does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
