"""Blobs as they are read: whole, as a stream, in part, and whether they can be read at all.

A part has no digest: only what was read from the first byte to the last is verified. Ranges: RFC 9110 section 14; a
server that knows none answers with the whole blob, of which the part is cut here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from . import errors
from ._http import Failure, HttpFailure, Response
from .calls import Call
from .exchange import Exchange
from .references import Digest, matches, parse_digest, parse_repository
from .wire import parse_content_range, parse_length

MAX_SKIPPED_BYTES = 64 * 1024 * 1024
_NO_SUCH_RANGE = 416


def size_of(exchange: Exchange, repository: str, digest: str) -> int | None:
    """The blob's size in bytes by HEAD, or None where it is not. Raises RegistryError."""
    call = _call("has blob", "HEAD", repository, digest)
    try:
        answer = exchange.ask(call)
    except errors.NotFound:
        return None
    if answer.size is None:
        raise exchange.error(call, errors.Malformed, status=answer.status, reason="no Content-Length")
    return answer.size


def read(exchange: Exchange, repository: str, digest: Digest, limit: int) -> bytes:
    """A blob whole, verified. Raises BlobUnknown, TooLarge beyond `limit` bytes, DigestMismatch."""
    call = _call("read blob", "GET", repository, digest, limit=limit)
    body = exchange.ask(call).body
    if not matches(digest, body):
        raise exchange.error(call, errors.DigestMismatch)
    return body


@contextmanager
def stream(exchange: Exchange, repository: str, digest: Digest) -> Iterator[Iterator[bytes]]:
    """A blob in parts as they come; DigestMismatch follows the last one."""
    call = _call("stream blob", "GET", repository, digest, streamed=True)
    with exchange.stream(call) as parts:
        yield _verified(exchange, call, digest, parts)


def read_range(exchange: Exchange, repository: str, digest: Digest, start: int, length: int) -> bytes:
    """`length` bytes of a blob from `start` on: fewer where it ends before, none beyond its end.

    Raises BlobUnknown, Malformed for another part than was asked for, DigestMismatch where it was the whole blob and
    is not that, TooLarge where more than MAX_SKIPPED_BYTES would have to be read to come to `start`.
    """
    if start < 0 or length < 1:
        raise ValueError("a range begins at 0 or later and holds a byte at least")
    call = _call("read range", "GET", repository, digest, headers={"Range": f"bytes={start}-{start + length - 1}"})

    def taken(response: Response) -> tuple[bytes, bool]:
        if response.status == 200:
            return _cut_out(exchange, call, response, start, length)
        return _part(exchange, call, response, start, length)

    try:
        content, is_whole = exchange.read(call, taken)
    except errors.Rejected as error:
        if error.status != _NO_SUCH_RANGE or (start == 0 and not matches(digest, b"")):
            raise
        return b""
    if is_whole and not matches(digest, content):
        raise exchange.error(call, errors.DigestMismatch)
    return content


def is_readable(exchange: Exchange, repository: str, digest: Digest, size: int | None = None) -> bool:
    """Whether the blob's first byte can be had, and the blob is of `size` bytes where that is given.

    With a cache of descriptors a registry answers HEAD and sends the head of a GET for a blob that a garbage collection
    removed, and then breaks off: that is False, as is a 404. Of an empty blob, which has no first byte, the whole is
    read. Raises RegistryError for what tells nothing about the blob: no answer, no permission, a fault.
    """
    is_empty = matches(parse_digest(digest), b"")
    call = _call("read blob", "GET", repository, digest, headers={} if is_empty else {"Range": "bytes=0-0"})

    def begins(response: Response) -> bool:
        if size is not None and _size_said(exchange, call, response) not in (None, size):
            return False
        try:
            return any(response.chunks()) != is_empty
        except HttpFailure as failure:
            if failure.failure != Failure.BROKEN_OFF:
                raise
            return False

    try:
        return exchange.read(call, begins) or exchange.read(call, begins)
    except errors.NotFound:
        return False
    except errors.Rejected as error:
        if error.status != _NO_SUCH_RANGE:  # no first byte: an empty file where a blob was
            raise
        return False


def _call(
    operation: str,
    method: str,
    repository: str,
    digest: str,
    *,
    headers: Mapping[str, str] | None = None,
    limit: int = 0,
    streamed: bool = False,
) -> Call:
    name, named = parse_repository(repository), parse_digest(digest)
    return Call(
        operation=operation,
        method=method,
        path=f"/v2/{name}/blobs/{named}",
        scopes=(f"repository:{name}:pull",),
        subject=f"{name}@{named}",
        headers=headers or {},
        limit=limit,
        missing=errors.BlobUnknown,
        redirects=True,
        streamed=streamed,
    )


def _verified(exchange: Exchange, call: Call, digest: Digest, parts: Iterator[bytes]) -> Iterator[bytes]:
    running = hashlib.new(digest.partition(":")[0])
    for part in parts:
        running.update(part)
        yield part
    if running.hexdigest() != digest.partition(":")[2]:
        raise exchange.error(call, errors.DigestMismatch)


def _part(exchange: Exchange, call: Call, response: Response, start: int, length: int) -> tuple[bytes, bool]:
    """The body of a 206, and whether it is the whole blob."""
    part = parse_content_range(response.header("Content-Range")) if response.status == 206 else None
    last = start + length - 1
    if part is None or part.first != start or part.last > last or (part.last < last and part.size != part.last + 1):
        raise exchange.error(call, errors.Malformed, status=response.status, reason="not the part that was asked for")
    expected = part.last - part.first + 1
    content = _cut(response.chunks(), 0, expected + 1)
    if len(content) != expected:
        raise exchange.error(call, errors.Malformed, status=response.status, reason="a part of another length")
    return content, start == 0 and part.size == expected


def _cut_out(exchange: Exchange, call: Call, response: Response, start: int, length: int) -> tuple[bytes, bool]:
    """The part out of a 200 with everything, and whether it is the whole blob."""
    if start > MAX_SKIPPED_BYTES:
        raise exchange.error(call, errors.TooLarge, limit=MAX_SKIPPED_BYTES, reason="gives no parts of blobs")
    content = _cut(response.chunks(), start, length + 1)
    return content[:length], start == 0 and len(content) <= length


def _cut(chunks: Iterable[bytes], start: int, length: int) -> bytes:
    """The bytes from `start` on, `length` at most; what follows is not read."""
    kept, at = bytearray(), 0
    for chunk in chunks:
        kept += chunk[max(start - at, 0) : max(start + length - at, 0)]
        at += len(chunk)
        if at >= start + length:
            break
    return bytes(kept)


def _size_said(exchange: Exchange, call: Call, response: Response) -> int | None:
    if response.status == 200:
        return parse_length(response.header("Content-Length"))
    part = parse_content_range(response.header("Content-Range")) if response.status == 206 else None
    if part is None or part.first != 0:
        raise exchange.error(call, errors.Malformed, status=response.status, reason="not the part that was asked for")
    return part.size
