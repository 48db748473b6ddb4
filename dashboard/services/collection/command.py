"""Calling the command that stops, collects and starts: no shell, one argument, its output read as it comes.

The command ends with the worker that called it (the kernel sees to that), with its whole group when its time is over,
and it holds a lock as long as anything of it still runs. It gets few of our variables, and none that is a secret.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

POLL_SECONDS = 0.5
LINGER_SECONDS = 2.0
READ_BYTES = 65536
LOG_HEAD, LOG_TAIL = 16 * 1024, 48 * 1024

_KEPT = frozenset(("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "XDG_RUNTIME_DIR"))
_KEPT_PREFIXES = ("LC_", "DOCKER_", "COMPOSE_", "STRATA_GC_")
# Ends the program with us: asked of the kernel between fork and exec, in an interpreter of its own, because the worker
# has threads.
_WITH_US = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(143); os.execv(sys.argv[2], sys.argv[2:])"
)


class Word(StrEnum):
    """What the command is asked for."""

    STOP = "stop"
    DRY_RUN = "dry-run"
    COLLECT = "collect"
    START = "start"


class CommandFailed(Exception):
    """It could not be started, or was ended. `code`: not-started, out-of-time."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Log:
    """What was printed, as text: its beginning and its end, within a bound."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._left_out = 0

    def add(self, piece: bytes) -> None:
        """The next bytes."""
        room = LOG_HEAD - len(self._head)
        self._head += piece[:room]
        self._tail += piece[room:] if room < len(piece) else b""
        if len(self._tail) > 2 * LOG_TAIL:
            self._left_out += len(self._tail) - LOG_TAIL
            self._tail = self._tail[-LOG_TAIL:]

    def text(self) -> str:
        """The log as it stands."""
        over = max(0, len(self._tail) - LOG_TAIL)
        left_out = self._left_out + over
        middle = f"\n… {left_out} bytes left out …\n".encode() if left_out else b""
        return (self._head + middle + self._tail[over:]).decode(errors="replace").replace("\0", "�")


@contextmanager
def alone(path: Path, *, wait_seconds: float, waiting: Callable[[], None]) -> Iterator[int]:
    """Holds the lock at `path`, and hands out its descriptor for the commands to hold too.

    Waits while somebody has it, calling `waiting` now and then; after `wait_seconds` goes on without it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    break
                waiting()
                time.sleep(POLL_SECONDS)
        yield fd
    finally:
        os.close(fd)


def call(
    program: str,
    word: Word,
    *,
    seconds: float,
    log: Log,
    lock: int,
    beat: Callable[[], None],
    output: Callable[[bytes], None] | None = None,
) -> int:
    """Runs `program word` and returns its exit code. `output` gets what it prints on standard output.

    `beat` is called about twice a second; what it or `output` raises ends the program. Raises CommandFailed.
    """
    log.add(f"$ {program} {word}\n".encode(errors="replace"))
    try:
        process = subprocess.Popen(  # noqa: S603  (what the installation's administrator named, without a shell)
            [sys.executable, "-I", "-S", "-c", _WITH_US, str(os.getpid()), program, str(word)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=_environment(),
            cwd="/",
            start_new_session=True,
            pass_fds=[lock],
        )
    except OSError as error:
        raise CommandFailed("not-started") from error
    try:
        _read(process, seconds, log, beat, output)
    except BaseException:
        _end(process)
        raise
    log.add(f"({word}: exit code {process.returncode})\n".encode())
    return process.returncode


def _read(
    process: subprocess.Popen[bytes],
    seconds: float,
    log: Log,
    beat: Callable[[], None],
    output: Callable[[bytes], None] | None,
) -> None:
    until = time.monotonic() + seconds
    ended: float | None = None
    with selectors.DefaultSelector() as selector:
        for stream in _streams(process):
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map() or process.poll() is None:
            _take(process, selector, log, output)
            beat()
            now = time.monotonic()
            if now > until:
                raise CommandFailed("out-of-time")
            if process.poll() is not None:
                ended = ended or now
                if now - ended > LINGER_SECONDS:  # a grandchild keeps the pipe open: nothing of it is waited for
                    break
    for stream in _streams(process):
        stream.close()


def _take(
    process: subprocess.Popen[bytes],
    selector: selectors.BaseSelector,
    log: Log,
    output: Callable[[bytes], None] | None,
) -> None:
    """What there is to read within POLL_SECONDS."""
    if not selector.get_map():
        time.sleep(POLL_SECONDS / 10)
        return
    for key, _ in selector.select(POLL_SECONDS):
        stream: Any = key.fileobj
        piece = stream.read(READ_BYTES)
        if piece == b"":
            selector.unregister(stream)
        elif piece is not None:  # None: there is nothing now
            log.add(piece)
            if output is not None and stream is process.stdout:
                output(piece)


def _streams(process: subprocess.Popen[bytes]) -> list[IO[bytes]]:
    return [stream for stream in (process.stdout, process.stderr) if stream is not None]


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
    for stream in _streams(process):
        stream.close()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
