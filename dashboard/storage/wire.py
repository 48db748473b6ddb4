"""How the two processes of a scan speak, and what the second one does.

Messages are marshalled plain values with their length in front. Light on imports: the second process begins here.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys

from . import units

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself takes as long to import as all the rest
    from typing import Any, BinaryIO

    Unit = tuple[str, tuple[Any, ...]]  # the name of a function of `units`, and its arguments
    Batch = list[Unit]

ENTRY_BYTES = 4
END = b"\xff" * ENTRY_BYTES
_LENGTH_BYTES = 8


def run(batch: Batch) -> list[Any]:
    """The results of a batch's units, in order."""
    return [getattr(units, name)(*arguments) for name, arguments in batch]


def serve(queue: int) -> None:
    """The second process: reads rounds of batches from standard input and answers on standard output.

    An answer maps the numbers of the batches that were taken from `queue` to their results.
    """
    gc.disable()  # short-lived, and nothing here makes circles
    while (batches := receive(sys.stdin.buffer)) is not None:
        done: dict[int, list[Any]] = {}
        while (entry := os.read(queue, ENTRY_BYTES)) != END:
            index = int.from_bytes(entry, "little")
            done[index] = run(batches[index])
        send(sys.stdout.buffer, done)


def send(stream: BinaryIO, message: Any) -> None:
    """Writes one message. Raises OSError where nobody reads."""
    content = marshal.dumps(message)
    view = memoryview(len(content).to_bytes(_LENGTH_BYTES, "little") + content)
    while view:
        view = view[stream.write(view) :]
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """The next message, or None at the end of the stream."""
    header = _exactly(stream, _LENGTH_BYTES)
    content = _exactly(stream, int.from_bytes(header, "little")) if header is not None else None
    return marshal.loads(content) if content is not None else None  # noqa: S302  (from our own process)


def _exactly(stream: BinaryIO, length: int) -> bytes | None:
    parts: list[bytes] = []
    while length:
        part = stream.read(length)
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
