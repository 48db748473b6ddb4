"""Child processes that live and die together.

Each child leads a process group of its own, so that the terminal's Ctrl-C reaches only the supervisor, which ends them
in order. The kernel ends them too if the supervisor is killed. What a child prints goes to a log file of its own.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from .common import SetupProblem, tail

PATIENCE = 10.0
"""Seconds that children have to end by themselves."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Stopped(Exception):
    """Somebody asked for the end (Ctrl-C or SIGTERM)."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process that runs, under the name that people read, and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


class Supervisor:
    """Starts children, watches them, and ends all of them when one dies or somebody asks."""

    def __init__(self, *, logs: Path, directory: Path) -> None:
        self._logs = logs
        self._directory = directory
        self._children: list[Child] = []
        self._asked = 0

    def listen(self) -> None:
        """From now on Ctrl-C and SIGTERM ask for the end; asked twice, nobody is waited for."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start a child that is meant to stay."""
        child = self._spawn(name, command, environment)
        self._children.append(child)
        return child

    def run(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run a command to its end, watching the others meanwhile. Raises SetupProblem if it fails, or Stopped."""
        child = self._spawn(name, command, environment)
        try:
            self.wait_until(lambda: child.process.poll() is not None)
        finally:
            _end([child], patience=PATIENCE)
        if child.process.returncode:
            raise SetupProblem(_obituary(child))

    def wait_until(self, is_so: Callable[[], bool], *, seconds: float = float("inf"), otherwise: str = "") -> None:
        """Return once `is_so()`. Raises SetupProblem (`otherwise`) after `seconds`, or if a child died, or Stopped."""
        end = time.monotonic() + seconds
        while not is_so():
            if self._asked:
                raise Stopped
            for child in self._children:
                if child.process.poll() is not None:
                    raise SetupProblem(_obituary(child))
            if time.monotonic() > end:
                raise SetupProblem(otherwise)
            time.sleep(0.05)

    def end(self) -> None:
        """End every child; the one started first (the registry, whom the others ask) last."""
        for group in (self._children[1:], self._children[:1]):
            _end(group, patience=0.0 if self._asked > 1 else PATIENCE, hurry=lambda: self._asked > 1)
        self._children.clear()

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked += 1

    def _spawn(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        self._logs.mkdir(parents=True, exist_ok=True)
        path = self._logs / f"{name.replace(' ', '-')}.log"
        if path.exists():
            path.replace(path.with_suffix(".log.1"))
        with path.open("wb") as log:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=self._directory,
                process_group=0,
                preexec_fn=die_with_parent,  # no threads here, so it is safe
            )
        return Child(name, process, path)


def die_with_parent() -> None:
    """Called in a child before its program starts: the kernel ends it when whoever started it is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(children: Sequence[Child], *, patience: float, hurry: Callable[[], bool] = lambda: False) -> None:
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()
    end = time.monotonic() + patience
    while any(child.process.poll() is None for child in children) and time.monotonic() < end and not hurry():
        time.sleep(0.05)
    for child in children:
        with suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)  # whoever is left of its group
        child.process.wait()


def _obituary(child: Child) -> str:
    code = child.process.returncode
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    last = tail(child.log)
    return f"The {child.name} {how}. Its last lines ({child.log}):\n{last}" if last else f"The {child.name} {how}."
