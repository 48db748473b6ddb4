"""Work shared between this process and a second one.

Counting a large storage is a long row of small system calls, which threads cannot share in one interpreter. So a
second interpreter is started beside a large scan and both take units of work from one queue until it is empty.

The queue is a pipe that both read: every entry is the number of a batch in four bytes, and Linux hands out such reads
whole. Whoever takes an end mark stops. What the second process took comes back as one answer per round; if it cannot
be started, or dies, this process does its batches too: the result is the same, only later.

The second process is started afresh (no fork of a threaded program), knows only the standard library and this
package, and ends when its standard input closes, that is with its parent.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from . import units

Unit = tuple[str, tuple[Any, ...]]  # the name of a function of `units`, and its arguments
Batch = list[Unit]

MAX_BATCHES = 1000  # four bytes each: fits the smallest pipe the kernel gives
_ENTRY = 4
_END = b"\xff" * _ENTRY
_LENGTH = 8
_POLL_MS = 100
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from dashboard.storage.partner import serve; serve(int(sys.argv[2]))"
)


def run(batch: Batch) -> list[Any]:
    """The results of a batch's units, in order."""
    return [getattr(units, name)(*arguments) for name, arguments in batch]


class Crew:
    """This process, and after `enlist` a second one. Use as a context manager: leaving it ends the second process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._queue_in = self._queue_out = -1
        self._unread = 0

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.dismiss()

    @property
    def has_partner(self) -> bool:
        """Whether a second process is at work."""
        return self._process is not None

    def enlist(self) -> None:
        """Starts the second process. Where that is impossible, nothing changes."""
        package_parent = str(Path(__file__).resolve().parents[2])
        self._queue_out, self._queue_in = os.pipe()
        os.set_inheritable(self._queue_out, True)
        try:
            self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and code)
                [sys.executable, "-I", "-S", "-c", _START, package_parent, str(self._queue_out)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                pass_fds=[self._queue_out],
            )
        except OSError:
            self.dismiss()

    def dismiss(self) -> None:
        """Ends the second process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with contextlib.suppress(OSError):
                process.communicate()
        for fd in (self._queue_in, self._queue_out):
            if fd >= 0:
                os.close(fd)
        self._queue_in = self._queue_out = -1

    def work(self, batches: list[Batch], after_each: Callable[[int], None]) -> list[list[Any]]:
        """The results of all batches (at most MAX_BATCHES), in order.

        `after_each` is called with the number of batches known to be done; what it raises ends the work.
        """
        if len(batches) > MAX_BATCHES:
            raise ValueError(f"{len(batches)} batches; at most {MAX_BATCHES} are possible")
        done: dict[int, list[Any]] = {}
        if self._process is not None and self._hand_out(batches):
            while (entry := os.read(self._queue_out, _ENTRY)) != _END:
                index = int.from_bytes(entry, "little")
                done[index] = run(batches[index])
                after_each(len(done))
            self._unread += 1
            while self._unread and len(done) < len(batches):
                answer = self._answer(lambda: after_each(len(done)))
                if answer is None:
                    self.dismiss()
                    break
                self._unread -= 1
                if not self._unread:
                    done.update(answer)
        for index in range(len(batches)):
            if index not in done:
                done[index] = run(batches[index])
                after_each(len(done))
        return [done[index] for index in range(len(batches))]

    def _hand_out(self, batches: list[Batch]) -> bool:
        entries = b"".join(index.to_bytes(_ENTRY, "little") for index in range(len(batches)))
        try:
            _send(self._process.stdin, batches)  # type: ignore[union-attr]  # both are pipes while it runs
        except OSError:
            self.dismiss()
            return False
        os.write(self._queue_in, entries + _END + _END)
        return True

    def _answer(self, waiting: Callable[[], None]) -> dict[int, list[Any]] | None:
        stream = self._process.stdout  # type: ignore[union-attr]
        poll = select.poll()
        poll.register(stream, select.POLLIN | select.POLLHUP)  # type: ignore[arg-type]
        while not poll.poll(_POLL_MS):
            waiting()
        answer: dict[int, list[Any]] | None = _receive(stream)
        return answer


def serve(queue: int) -> None:
    """The second process: reads rounds of batches from standard input and answers on standard output."""
    while (batches := _receive(sys.stdin.buffer)) is not None:
        done: dict[int, list[Any]] = {}
        while (entry := os.read(queue, _ENTRY)) != _END:
            index = int.from_bytes(entry, "little")
            done[index] = run(batches[index])
        _send(sys.stdout.buffer, done)


def _send(stream: Any, message: Any) -> None:
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    view = memoryview(len(content).to_bytes(_LENGTH, "little") + content)
    while view:
        view = view[stream.write(view) :]
    stream.flush()


def _receive(stream: Any) -> Any:
    """The next message, or None at the end of the stream."""
    header = _exactly(stream, _LENGTH)
    content = _exactly(stream, int.from_bytes(header, "little")) if header is not None else None
    return pickle.loads(content) if content is not None else None  # noqa: S301  (from our own process)


def _exactly(stream: Any, length: int) -> bytes | None:
    parts: list[bytes] = []
    while length:
        part = stream.read(length)
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
