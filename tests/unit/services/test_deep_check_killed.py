"""A worker that is killed in the middle of a deep check: the next one goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
BLOBS, SIZE = 80, 64 * 1024


def test_a_killed_worker_costs_a_second_of_reading_and_no_finding(tmp_path: Path) -> None:
    blobs = tmp_path / "docker" / "registry" / "v2" / "blobs" / "sha256"
    (tmp_path / "docker" / "registry" / "v2" / "repositories").mkdir(parents=True)
    paths = []
    for number in range(BLOBS):
        content = b"%08d" % number + b"x" * SIZE
        encoded = hashlib.sha256(content).hexdigest()
        (blobs / encoded[:2] / encoded).mkdir(parents=True)
        (blobs / encoded[:2] / encoded / "data").write_bytes(content)
        paths.append(f"sha256/{encoded[:2]}/{encoded}")
    paths.sort()
    damaged = [paths[0], paths[-1]]  # one before the death and one after it
    for path in damaged:
        with (blobs.parent / path / "data").open("r+b") as file:
            file.write(b"X")

    ended = subprocess.run(
        [sys.executable, "-m", "tests.unit.services.deep_checking", str(tmp_path)],
        cwd=PROJECT,
        env=os.environ
        | {"DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}", "DASHBOARD_STATE_DIR": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr[-3000:]
    told = json.loads(next(line for line in ended.stdout.splitlines() if line.startswith("{")))
    then, now = told["then"], told["now"]
    assert then["state"] == "running"
    assert 5 < then["blobs"] < BLOBS
    assert then["position"] == paths[then["blobs"] - 1]
    assert then["bytes"] == then["blobs"] * (SIZE + 8)
    assert told["sent"] == 1, "what looks after jobs sends it again"
    assert [f"sha256/{name[:2]}/{name}" for name in told["read"]] == paths[then["blobs"] :]
    assert now == {"state": "done", "blobs": BLOBS, "bytes": BLOBS * (SIZE + 8), "damaged": 2}
    assert sorted(told["damaged"]) == sorted(damaged)
