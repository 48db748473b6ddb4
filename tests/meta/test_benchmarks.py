"""The measurements of `make bench` run, each on little data; what they find there says nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAST_LINES = {
    "storage": "ratio of the best",
    "collection": " -m ",
    "index": "check of os.stat",
    "lists": "95th percentile",
}


@pytest.mark.parametrize("name", LAST_LINES)
def test_each_measurement_runs_to_its_end(name: str) -> None:
    command = [sys.executable, "-m", "benchmarks", name, "--small"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)
    if "not run:" in done.stdout:
        pytest.skip(done.stdout.splitlines()[-1])
    assert LAST_LINES[name] in done.stdout, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1), "a bound may be missed on so little data"


def test_a_word_that_is_no_measurement_is_named() -> None:
    command = [sys.executable, "-m", "benchmarks", "speed"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=30)
    assert done.returncode == 2
    assert "Not a measurement: speed" in done.stderr
