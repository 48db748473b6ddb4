"""Work shared between this process and a second one.

Counting a large storage is a long row of small system calls, which threads cannot share in one interpreter. So a
second interpreter is started beside a large scan and both take units of work from one queue until it is empty.

The queue is a pipe that both read: every entry is the number of a batch in four bytes, and Linux hands out such reads
whole. A round ends when the queue is empty and what the second process took has come back as one answer. If it cannot
be started, is slow to start, or dies, this process does its batches too: the result is the same, only later.

The second process is started afresh (no fork of a threaded program), knows only the standard library and this
package, and ends when its standard input closes, that is with its parent.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

from .wire import entry, receive, run, send, take

Unit = tuple[str, tuple[Any, ...]]  # the name of a function of `units`, and its arguments
Batch = list[Unit]

MAX_BATCHES = 1000  # four bytes each: fits the smallest pipe the kernel gives
_POLL_MS = 100
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from dashboard.storage.wire import serve; serve(int(sys.argv[2]))"
)


class Crew:
    """This process, and after `enlist` a second one. Use as a context manager: leaving it ends the second process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._queue_in = self._queue_out = -1
        self._round = 0
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
        os.set_blocking(self._queue_out, False)
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
        process = self._process
        if process is not None and self._hand_out(process, batches):
            while (taken := take(self._queue_out)) is not None:
                done[taken[1]] = run(batches[taken[1]])
                after_each(len(done))
            self._unread += 1
            while self._unread and len(done) < len(batches):
                answer = _answer(process, lambda: after_each(len(done)))
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

    def _hand_out(self, process: subprocess.Popen[bytes], batches: list[Batch]) -> bool:
        self._round += 1
        os.write(self._queue_in, b"".join(entry(self._round, index) for index in range(len(batches))))
        try:
            send(cast("BinaryIO", process.stdin), (self._round, batches))
        except OSError:
            self.dismiss()
            return False
        return True


def _answer(process: subprocess.Popen[bytes], waiting: Callable[[], None]) -> dict[int, list[Any]] | None:
    """The second process's next answer; None if it has ended."""
    stream = cast("BinaryIO", process.stdout)
    poll = select.poll()
    poll.register(stream, select.POLLIN | select.POLLHUP)
    while not poll.poll(_POLL_MS):
        waiting()
    answer: dict[int, list[Any]] | None = receive(stream)
    return answer
