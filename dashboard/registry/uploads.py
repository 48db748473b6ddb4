"""Blobs on their way to a registry: whole, in parts, left unfinished, cancelled, or mounted from another repository.

Distribution says in each answer's Location (`_state`) how much it has, and writes to no older one: every Location is
followed, by its path alone. What fails is cancelled within the budget and CANCEL_SECONDS at most; where that does not
help, registries purge unfinished uploads themselves. OCI distribution spec 1.1, "Pushing blobs".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from urllib.parse import urlencode, urljoin, urlsplit

from . import errors
from .calls import Answer, Call
from .exchange import Exchange
from .references import Digest, RepositoryName, digest_of, is_digest, parse_digest, parse_repository
from .results import Upload
from .wire import MAX_HEADER_LENGTH, plain

MAX_PART_BYTES = 8 * 1024 * 1024
CANCEL_SECONDS = 5.0
_MAX_ID_LENGTH = 128
_HELD = re.compile(r"(?:bytes=)?0-([0-9]{1,18})", re.ASCII)


def whole(exchange: Exchange, repository: str, content: bytes) -> Digest:
    """Store a blob by one PUT. Raises RegistryError."""
    digest = digest_of(content)
    with _begun(exchange, "upload blob", repository) as sending:
        sending.finish(digest, content)
    return digest


def in_parts(exchange: Exchange, repository: str, parts: Iterable[bytes], expected: Digest | None = None) -> Digest:
    """Store a blob by a PATCH for each MAX_PART_BYTES. Raises RegistryError, and whatever `parts` raises.

    Where it has not the digest `expected` it is not stored: DigestMismatch.
    """
    algorithm = parse_digest(expected).partition(":")[0] if expected else "sha256"
    running = hashlib.new(algorithm)
    with _begun(exchange, "upload blob", repository) as sending:
        for part in _pieces(parts):
            running.update(part)
            sending.send(part)
        digest = Digest(f"{algorithm}:{running.hexdigest()}")
        if expected and digest != expected:
            raise sending.error(errors.DigestMismatch)
        sending.finish(digest)
    return digest


def begin(exchange: Exchange, repository: str, content: bytes) -> Upload:
    """An upload that holds `content` and goes on. Raises RegistryError."""
    with _begun(exchange, "begin upload", repository) as sending:
        sending.send(content)
    return sending.upload


def cancel(exchange: Exchange, upload: Upload) -> None:
    """End an upload and drop what it holds. Raises NotFound, and Unauthorized without the right to delete.

    Distribution leaves a directory with 108 bytes of hash state behind, which it never purges.
    """
    call = _upload_call("cancel upload", "DELETE", upload)
    try:
        exchange.ask(call)
    except errors.Rejected as error:
        if error.status != 416:
            raise
        # 3.x: it holds more or less than its Location says, as after a part that broke off. It can tell the right one.
        asking = _upload_call("cancel upload", "GET", upload)
        answer = exchange.ask(asking)
        exchange.ask(_upload_call("cancel upload", "DELETE", _following(exchange, asking, answer, upload.repository)))


def mount(exchange: Exchange, repository: str, digest: str, source: str) -> bool:
    """Have `repository` hold a blob of `source` too. False where the registry does not: then nothing was begun."""
    name, named, origin = parse_repository(repository), parse_digest(digest), parse_repository(source)
    scopes = [f"repository:{name}:pull,push"] + [f"repository:{origin}:pull"] * (origin != name)
    path = f"/v2/{name}/blobs/uploads/?{urlencode({'mount': named, 'from': origin})}"
    call = _call("mount blob", "POST", name, path, scopes=tuple(scopes))
    answer = exchange.ask(call)
    if answer.status == 202:
        with suppress(errors.Malformed):
            _abandon(exchange, _following(exchange, call, answer, name))
        return False
    _check_stored(exchange, call, answer, named)
    return True


class _Sending:
    """An upload under way: what it holds so far, and where it goes on."""

    def __init__(self, exchange: Exchange, operation: str, repository: RepositoryName) -> None:
        self._exchange = exchange
        self._operation = operation
        call = _call(operation, "POST", repository, _begun_at(repository))
        self.upload = _following(exchange, call, exchange.ask(call), repository)

    def send(self, part: bytes) -> None:
        """One PATCH. Raises RegistryError, Malformed where the registry says that it holds another number of bytes."""
        begins, ends = self.upload.size, self.upload.size + len(part)
        # The specification's form, without the unit: 3.x answers 500 to "bytes 0-4/5".
        headers = {"Content-Range": f"{begins}-{ends - 1}"} if part else {}
        call = _upload_call(self._operation, "PATCH", self.upload, part, headers)
        answer = self._exchange.ask(call)
        self.upload = replace(_following(self._exchange, call, answer, self.upload.repository), size=ends)
        held = _HELD.fullmatch(answer.range)
        if part and held and int(held[1]) != ends - 1:
            raise self._exchange.error(call, errors.Malformed, status=answer.status, reason="lost a part of the upload")

    def finish(self, digest: Digest, content: bytes = b"") -> None:
        """The PUT that stores it, with the last bytes. Raises RegistryError."""
        location = self.upload.location
        last = replace(self.upload, location=f"{location}{'&' if '?' in location else '?'}digest={digest}")
        call = _upload_call(self._operation, "PUT", last, content)
        _check_stored(self._exchange, call, self._exchange.ask(call), digest)

    def error(self, kind: type[errors.RegistryError]) -> errors.RegistryError:
        """An error about this upload."""
        return self._exchange.error(_upload_call(self._operation, "PUT", self.upload), kind)


@contextmanager
def _begun(exchange: Exchange, operation: str, repository: str) -> Iterator[_Sending]:
    """An upload that is cancelled if anything goes wrong with it."""
    sending = _Sending(exchange, operation, parse_repository(repository))
    try:
        yield sending
    except BaseException:
        _abandon(exchange, sending.upload)
        raise


def _abandon(exchange: Exchange, upload: Upload) -> None:
    """Cancel as well as can be done: whoever may only push may not cancel, and the budget may be spent."""
    with suppress(errors.RegistryError):
        cancel(exchange.within(CANCEL_SECONDS), upload)


def _pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, MAX_PART_BYTES at a time."""
    held = bytearray()
    for part in parts:
        for at in range(0, len(part), MAX_PART_BYTES):
            held += part[at : at + MAX_PART_BYTES]
            if len(held) >= MAX_PART_BYTES:
                yield bytes(held[:MAX_PART_BYTES])
                del held[:MAX_PART_BYTES]
    if held:
        yield bytes(held)


def _check_stored(exchange: Exchange, call: Call, answer: Answer, digest: Digest) -> None:
    """Only a 201 says that a blob is stored. A registry that has it by another algorithm names it by that."""
    if answer.status != 201:
        raise exchange.error(call, errors.Malformed, status=answer.status, reason="does not say that it is stored")
    named = answer.digest if is_digest(answer.digest) else ""
    if answer.digest and (not named or (named.partition(":")[0] == digest.partition(":")[0] and named != digest)):
        raise exchange.error(call, errors.DigestMismatch, status=answer.status)


def _following(exchange: Exchange, call: Call, answer: Answer, repository: RepositoryName) -> Upload:
    """Where an answer says that the upload goes on. Raises Malformed."""
    location = _location_path(answer.location, exchange.server.base_url, _begun_at(repository))
    if location is None:
        raise exchange.error(call, errors.Malformed, status=answer.status, reason="no usable Location")
    name = location.partition("?")[0].removeprefix(_begun_at(repository))
    return Upload(repository, plain(name)[:_MAX_ID_LENGTH], location)


def _location_path(location: str, base_url: str, begun_at: str) -> str | None:
    """Path and query of an upload's Location below the base URL, whatever scheme, host or prefix it names.

    None unless it lies under where the upload was begun: a body is sent there with the person's credential.
    """
    if not location or len(location) > MAX_HEADER_LENGTH:
        return None
    try:
        parts = urlsplit(urljoin(base_url + begun_at, location))
    except ValueError:
        return None
    _, found, rest = parts.path.partition(begun_at)
    if not found or not rest or "/" in rest or rest in (".", ".."):
        return None
    return begun_at + rest + (f"?{parts.query}" if parts.query else "")


def _begun_at(repository: RepositoryName) -> str:
    return f"/v2/{repository}/blobs/uploads/"


_ACTIONS = {"GET": "pull", "DELETE": "delete,pull"}


def _upload_call(
    operation: str, method: str, upload: Upload, content: bytes = b"", headers: dict[str, str] | None = None
) -> Call:
    name = parse_repository(upload.repository)
    return _call(
        operation,
        method,
        name,
        upload.location,
        scopes=(f"repository:{name}:{_ACTIONS.get(method, 'pull,push')}",),
        subject=f"{name}/blobs/uploads/{upload.id}",
        missing=errors.NotFound,
        headers={"Content-Type": "application/octet-stream", **(headers or {})} if method in ("PATCH", "PUT") else {},
        content=content if method in ("PATCH", "PUT") else None,
    )


def _call(
    operation: str,
    method: str,
    repository: RepositoryName,
    path: str,
    *,
    scopes: tuple[str, ...] = (),
    subject: str = "",
    missing: type[errors.RegistryError] = errors.RepositoryUnknown,
    headers: dict[str, str] | None = None,
    content: bytes | None = b"",
) -> Call:
    return Call(
        operation=operation,
        method=method,
        path=path,
        scopes=scopes or (f"repository:{repository}:pull,push",),
        subject=subject or repository,
        headers=headers or {},
        content=content,
        limit=64 * 1024,
        slow=True,
        missing=missing,
    )
