"""`storage_report`: a table for people, the promised object with --json, one sentence for a wrong root."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dashboard.storage.command import human, run
from tests.unit.storage.trees import Tree

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path)
    made.tag("team/app", "v", made.image("team/app", [made.blob("layer", 3_000_000)], note="n"))
    made.blob("orphan", 5_000)
    made.upload("team/app", "0a", 70)
    return made


def test_the_table_names_every_part_with_bytes_and_size(tree: Tree) -> None:
    lines = run(str(tree.root), as_json=False, full=False).splitlines()

    rows = {line[:34].strip(): line[34:].split() for line in lines if len(line) > 60}
    assert rows["Orphan"][:4] == ["1", "5,000", "4.9", "KiB"]
    assert rows["of it in flight"][0] == "1"
    assert rows["Uploads"][:2] == ["1", "70"]
    assert rows["Tagged, in one repository"][2:4] == ["2.9", "MiB"]
    assert any(line.split()[:4] == ["team/app", "1", "2.9", "MiB"] for line in lines)


def test_json_is_one_object_and_full_adds_metadata(tree: Tree) -> None:
    plain = json.loads(run(str(tree.root), as_json=True, full=False))
    full = json.loads(run(str(tree.v2), as_json=True, full=True))

    assert plain["orphans"] == full["orphans"] == {"count": 1, "bytes": 5000}
    assert "metadata" not in plain
    assert full["metadata"]["links"] == 4
    assert full["metadata"]["broken_links"] == 0


def test_problems_are_listed(tree: Tree) -> None:
    (tree.v2 / "repositories/notes").write_text("abc")

    assert "  stray-file          repositories/notes (3 B)" in run(str(tree.root), as_json=False, full=False)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1 << 30, "1.0 GiB"),
        (1 << 62, "4,096.0 PiB"),
    ],
)
def test_sizes_are_in_binary_units(size: int, text: str) -> None:
    assert human(size) == text


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The real command in an environment that has nothing else in it."""
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **variables}
    return subprocess.run(
        [sys.executable, "manage.py", "storage_report", *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_runs_without_any_environment(tree: Tree) -> None:
    done = command(str(tree.root), "--json")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["tags"] == 1
    assert json.loads(done.stdout)["in_flight"]["count"] == 1


def test_the_age_of_what_is_in_flight_is_the_settings(tree: Tree) -> None:
    for path in tree.v2.rglob("data"):
        os.utime(path, (time.time() - 60, time.time() - 60))

    done = command(str(tree.root), "--json", DASHBOARD_IN_FLIGHT_SECONDS="30")

    assert json.loads(done.stdout)["orphans"]["count"] == 1
    assert json.loads(done.stdout)["in_flight"]["count"] == 0


def test_a_wrong_root_is_one_sentence_and_a_bad_exit(tmp_path: Path) -> None:
    done = command(str(tmp_path / "nowhere"))

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip() == f"CommandError: There is no directory {tmp_path}/nowhere."
