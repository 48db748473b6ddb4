"""`make manage ARGS="refresh_index"`: a command of manage.py with the settings of `make run`, beside it or after it."""

from __future__ import annotations

import os
import subprocess
import sys

from . import run
from .common import SetupProblem, fail


def main(arguments: list[str]) -> int:
    """Runs manage.py; its exit code."""
    try:
        started = run.of_last_start(os.environ)
    except SetupProblem as problem:
        return fail(problem)
    command = [*run.MANAGE, *(arguments or ["help"])]
    return subprocess.run(command, env=started.environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
