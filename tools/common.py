"""What the set-up tools share: where things lie, how they speak, one set-up at a time. Standard library only."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VAR = ROOT / "var"
LOGS = VAR / "log"
BIN = VAR / "tools" / "bin"


class SetupProblem(Exception):
    """Something that a person has to change; the message is one sentence for that person."""


def say(text: str) -> None:
    """Print one line at once, so that it keeps its place among what child processes print."""
    print(text, flush=True)


def is_root() -> bool:
    return os.geteuid() == 0


@contextmanager
def exclusively(name: str) -> Iterator[None]:
    """Hold `var/<name>.lock` meanwhile; a second set-up waits for the first, as it would do the same work."""
    VAR.mkdir(exist_ok=True)
    with (VAR / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, at most 8 KiB of it; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def fail(problem: object, code: int = 1) -> int:
    """Say what is wrong on standard error; returns the exit code."""
    print(f"\n{problem}", file=sys.stderr, flush=True)
    return code
