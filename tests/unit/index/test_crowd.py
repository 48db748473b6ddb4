"""Eight threads of a web process and a worker that writes, on one SQLite file: nobody meets a lock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
SECONDS = os.environ.get("TEST_CROWD_SECONDS", "3")


def test_threads_that_look_and_one_that_refreshes_meet_no_lock(tmp_path: Path) -> None:
    """What a page could not write in a moment is left to the refresh; at the end every row is true."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.unit.index.crowding", SECONDS],
        cwd=PROJECT,
        env=os.environ | {"DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}", "DASHBOARD_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["errors"] == [], ended.stderr[-3000:]
    assert found["told"]["checked"] > 20
    assert found["told"]["refresh done"] >= 1
    assert not [what for what in found["told"] if what.startswith("refresh failed")]
    assert found["true"], "the index says what the registry says"
