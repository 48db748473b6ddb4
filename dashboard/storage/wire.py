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

_ENTRY_BYTES = 4
_LENGTH_BYTES = 8


def run(batch: Batch) -> list[Any]:
    """The results of a batch's units, in order."""
    return [getattr(units, name)(*arguments) for name, arguments in batch]


def entry(round_number: int, index: int) -> bytes:
    """How a batch of a round stands in the queue."""
    return (round_number << 16 | index).to_bytes(_ENTRY_BYTES, "little")


def take(queue: int) -> tuple[int, int] | None:
    """The next round and number in the queue, or None if it is empty. Several processes may ask at once."""
    try:
        taken = os.read(queue, _ENTRY_BYTES)
    except BlockingIOError:
        return None
    return divmod(int.from_bytes(taken, "little"), 1 << 16) if taken else None


def serve(queue: int) -> None:
    """The second process: reads rounds of batches from standard input and answers on standard output.

    An answer maps the numbers of the batches that were taken from `queue` to their results. Who comes late may find
    the next round in the queue already: what was taken of it is kept until its batches are known.
    """
    gc.disable()  # short-lived, and nothing here makes circles
    taken: tuple[int, int] | None = None
    while (message := receive(sys.stdin.buffer)) is not None:
        round_number, batches = message
        done: dict[int, list[Any]] = {}
        while (taken := taken or take(queue)) is not None and taken[0] == round_number:
            done[taken[1]] = run(batches[taken[1]])
            taken = None
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
