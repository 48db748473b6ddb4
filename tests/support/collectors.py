"""The real garbage collectors, run on a directory; no server is needed for that."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from dashboard.storage import dry_run
from dashboard.storage.dry_run import DryRun

from .registries import Kind, binary

_CONFIGURATION = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: {root}
http:
  addr: 127.0.0.1:0
"""


@dataclass(frozen=True)
class Collected:
    """How a run ended: exit code, what it printed, and what it said it would remove (None if it was void)."""

    code: int
    output: bytes
    errors: str
    run: DryRun | None


def collect(kind: Kind, root: Path, *options: str) -> Collected:
    """Runs the collector of this version on the storage at `root`."""
    configuration = root.parent / f"{root.name}.yml"
    configuration.write_text(_CONFIGURATION.format(root=root))
    done = subprocess.run(
        [str(binary(kind)), "garbage-collect", *options, str(configuration)],
        capture_output=True,
        timeout=60,
        check=False,
        env={"OTEL_TRACES_EXPORTER": "none"},
    )
    try:
        run = dry_run.read([done.stdout], done.returncode)
    except dry_run.Void:
        run = None
    return Collected(done.returncode, done.stdout, done.stderr.decode(errors="replace"), run)
