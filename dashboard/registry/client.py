"""The registry client: `RegistryClient` is one registry, `RegistrySession` is that registry as one person.

    with closing(RegistryClient("https://registry.example")) as client:
        session = client.session(Credential("alice", "…"), budget=5.0)
        session.tags(parse_repository("team/app"))

Every method raises errors of `errors.py` and nothing else, except InvalidReference for a name that is none: such a name
never reaches the registry. Reasons of Unauthorized: `no-credential`, `credential-refused`, `insufficient_scope`,
`invalid_token`, `token-server-refused`, `untrusted-realm`, `unknown-scheme`, `no-challenge`, and `unusable` of a
credential that has one: then nothing was asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from . import errors, media_types, paging, probe
from ._http import USER_AGENT, Http, Timeouts, Transport
from .auth import AuthScheme, Credential
from .calls import Answer, Call
from .exchange import Exchange, Server, origin_of
from .manifests import MAX_MANIFEST_BYTES
from .references import (
    Digest,
    RepositoryName,
    digest_of,
    is_digest,
    matches,
    parse_digest,
    parse_repository,
    parse_tag,
)
from .results import (
    DELETES_TAGS_ALTHOUGH_DISABLED,
    Capabilities,
    Catalog,
    Deletion,
    Family,
    ManifestHead,
    Ping,
    RawManifest,
)
from .wire import specific_type

__all__ = [
    "DELETES_TAGS_ALTHOUGH_DISABLED",
    "USER_AGENT",
    "AuthScheme",
    "Capabilities",
    "Catalog",
    "Credential",
    "Deletion",
    "Family",
    "ManifestHead",
    "Ping",
    "RawManifest",
    "RegistryClient",
    "RegistrySession",
    "Timeouts",
]

_ACCEPT = {"Accept": media_types.ACCEPT_MANIFESTS}


class RegistryClient:
    """One registry. Thread safe; make one per registry and process, after any fork, and close it."""

    def __init__(
        self,
        base_url: str,
        *,
        name: str | None = None,
        ca_file: str | None = None,
        timeouts: Timeouts | None = None,
        transport: Transport | None = None,
    ) -> None:
        """`base_url` may have a path prefix; `name` is how errors call the registry (default: host and port).

        `ca_file` is a PEM bundle trusted besides the system's. Raises ValueError for an address that is not http(s) or
        holds a password, OSError (ssl.SSLError) for a bundle that cannot be read.
        """
        self.base_url = _checked(base_url)
        parts = urlsplit(self.base_url)
        self.name = name or parts.netloc
        times = timeouts or Timeouts()
        http = Http(host=parts.hostname or "", ca_file=ca_file, timeouts=times, transport=transport)
        self._server = Server(self.base_url, self.name, http, times)

    def session(self, credential: Credential | None = None, *, budget: float | None = None) -> RegistrySession:
        """This registry as one person (None: nobody). `budget`: seconds for everything the session does, from now."""
        return RegistrySession(Exchange(self._server, credential, budget))

    def close(self) -> None:
        """Close the connections."""
        self._server.http.close()

    def __repr__(self) -> str:
        return f"<RegistryClient {self.name}>"


class RegistrySession:
    """A registry as one person. Cheap; safe to use from several threads of one page."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.user = exchange.user
        self.registry = exchange.server.name

    def __repr__(self) -> str:
        return f"<RegistrySession {self._exchange.server.name} as {self.user or 'nobody'}>"

    def within(self, seconds: float) -> RegistrySession:
        """The same registry as the same person, with `seconds` from now at most and never beyond this one's budget."""
        exchange = self._exchange
        return RegistrySession(Exchange(exchange.server, exchange.credential, min(seconds, exchange.seconds_left)))

    def ping(self) -> Ping:
        """GET /v2/. Never raises for a 401: see Ping.status. Raises NotARegistry and Unavailable errors."""
        return probe.ping(self._exchange)

    def probe(self, repository: RepositoryName | None = None) -> Capabilities:
        """What the registry is and can do; changes nothing.

        `repository` is where this person's right to delete is asked about: with token authentication it matters.
        """
        return probe.probe(self._exchange, parse_repository(repository) if repository else None)

    def repositories(self) -> Catalog:
        """All names of the catalog, raw (a registry may list what the grammar forbids), in the order seen."""
        return paging.repositories(self._exchange)

    def tags(self, repository: RepositoryName) -> tuple[str, ...]:
        """All tags, raw; empty for an emptied repository. Raises RepositoryUnknown."""
        return paging.tags(self._exchange, parse_repository(repository))

    def head_manifest(self, repository: RepositoryName, reference: str) -> ManifestHead:
        """What a tag or digest names, by HEAD where that works. Raises ManifestUnknown."""
        call = _manifest_call("head manifest", "HEAD", repository, reference, "pull", headers=_ACCEPT)
        try:
            answer = self._exchange.ask(call)
        except (errors.Unsupported, errors.ServerFault) as error:
            if error.status not in (405, 501):
                raise
        else:
            if is_digest(answer.digest) and answer.size is not None:
                self._same(call, reference, answer.digest)
                return ManifestHead(Digest(answer.digest), specific_type(answer.content_type), answer.size)
        got = self._get_manifest("head manifest", repository, reference)
        return ManifestHead(got.digest, got.media_type, len(got.raw))

    def resolve(self, repository: RepositoryName, tag: str, known: Digest | None = None) -> Digest:
        """What a tag points at. Raises ManifestUnknown.

        With `known` the registry is asked whether it is still that: a "not modified" reads one link, and is no pull to
        those whom the registry notifies.
        """
        if known is None:
            return self.head_manifest(repository, tag).digest
        headers = {**_ACCEPT, "If-None-Match": f'"{known}"'}
        call = _manifest_call("head manifest", "HEAD", repository, tag, "pull", headers=headers)
        try:
            answer = self._exchange.ask(call)
        except (errors.Unsupported, errors.ServerFault) as error:
            if error.status not in (405, 501):
                raise
            return self.head_manifest(repository, tag).digest
        if answer.status == HTTPStatus.NOT_MODIFIED:
            return known
        return Digest(answer.digest) if is_digest(answer.digest) else self.head_manifest(repository, tag).digest

    def get_manifest(self, repository: RepositoryName, reference: str) -> RawManifest:
        """The manifest's bytes, at most 4 MiB. Raises ManifestUnknown, DigestMismatch, TooLarge."""
        return self._get_manifest("get manifest", repository, reference)

    def has_manifest(self, repository: RepositoryName, digest: Digest) -> bool:
        """Whether this repository holds the manifest."""
        try:
            self.head_manifest(repository, parse_digest(digest))
        except errors.NotFound:
            return False
        except errors.ServerFault:
            # 2.8 answers 500 for the digest of a layer or config; anything else is a fault.
            if self.has_blob(repository, digest) is None:
                raise
            return False
        return True

    def has_blob(self, repository: RepositoryName, digest: Digest) -> int | None:
        """The blob's size in bytes, or None if this repository does not hold it."""
        try:
            answer = self._exchange.ask(_blob_call("has blob", "HEAD", repository, digest))
        except errors.NotFound:
            return None
        if answer.size is None:
            raise self._malformed(_blob_call("has blob", "HEAD", repository, digest), answer, "no Content-Length")
        return answer.size

    def read_blob(self, repository: RepositoryName, digest: Digest, *, limit: int) -> bytes:
        """A blob whole, verified. Raises BlobUnknown, TooLarge beyond `limit` bytes, DigestMismatch."""
        call = _blob_call("read blob", "GET", repository, digest, limit=limit)
        body = self._exchange.ask(call).body
        if not matches(digest, body):
            raise self._exchange.error(call, errors.DigestMismatch)
        return body

    def stream_blob(self, repository: RepositoryName, digest: Digest) -> AbstractContextManager[Iterator[bytes]]:
        """A blob in parts as they come. Raises DigestMismatch after the last part, if it was read to its end."""
        return self._stream_blob(repository, digest)

    def delete_manifest(self, repository: RepositoryName, digest: Digest) -> None:
        """Delete a manifest and with it *every tag of the repository that names it*.

        Raises ManifestUnknown, DeletionDisabled, ReadOnly, Unauthorized, Forbidden.
        """
        self._exchange.ask(_manifest_call("delete manifest", "DELETE", repository, parse_digest(digest), "delete,pull"))

    def delete_tag(self, repository: RepositoryName, tag: str) -> None:
        """Delete a tag and nothing else. Raises Unsupported where the registry deletes by digest only (2.8)."""
        call = _manifest_call("delete tag", "DELETE", repository, parse_tag(tag), "delete,pull")
        try:
            self._exchange.ask(call)
        except errors.Rejected as error:
            if any(d.code in ("DIGEST_INVALID", "UNSUPPORTED") for d in error.diagnostics):
                raise self._exchange.error(
                    call, errors.Unsupported, status=error.status, diagnostics=error.diagnostics
                ) from error
            raise

    def put_manifest(self, repository: RepositoryName, reference: str, media_type: str, raw: bytes) -> Digest:
        """Store a manifest under a tag or its digest; returns the digest.

        Raises Rejected (its diagnostics name MANIFEST_BLOB_UNKNOWN for what is missing), Unauthorized, ReadOnly.
        """
        headers = {"Content-Type": media_type}
        call = _manifest_call("put manifest", "PUT", repository, reference, "pull,push", headers=headers, content=raw)
        answer = self._exchange.ask(call)
        if media_type in media_types.LEGACY_TYPES:
            if not is_digest(answer.digest):
                raise self._malformed(call, answer, "no Docker-Content-Digest")
            return Digest(answer.digest)
        expected = parse_digest(reference) if is_digest(reference) else digest_of(raw)
        if answer.digest and not (is_digest(answer.digest) and matches(Digest(answer.digest), raw)):
            raise self._exchange.error(call, errors.DigestMismatch, status=answer.status)
        return expected

    def upload_blob(self, repository: RepositoryName, content: bytes) -> Digest:
        """Upload a blob in one piece; returns its digest."""
        digest = digest_of(content)
        location = self._begin("upload blob", repository)
        path = f"{location}{'&' if '?' in location else '?'}digest={digest}"
        call = _upload_call("upload blob", "PUT", repository, path, content)
        answer = self._exchange.ask(call)
        if answer.digest and answer.digest != digest:
            raise self._exchange.error(call, errors.DigestMismatch, status=answer.status)
        return digest

    def begin_upload(self, repository: RepositoryName, content: bytes) -> str:
        """Send `content` as the first part of an upload and leave it unfinished; returns the upload's id."""
        location = self._begin("begin upload", repository)
        self._exchange.ask(_upload_call("begin upload", "PATCH", repository, location, content))
        return urlsplit(location).path.rpartition("/")[2]

    # Parts

    def _get_manifest(self, operation: str, repository: RepositoryName, reference: str) -> RawManifest:
        call = _manifest_call(
            operation, "GET", repository, reference, "pull", headers=_ACCEPT, limit=MAX_MANIFEST_BYTES
        )
        answer = self._exchange.ask(call)
        media_type = specific_type(answer.content_type)
        if media_type == "text/html":
            raise self._malformed(call, answer, "HTML instead of a manifest")
        claimed = answer.digest if is_digest(answer.digest) else ""
        if media_type in media_types.LEGACY_TYPES:
            # A signed schema 1 document's digest covers its payload without the signatures: only the header knows it.
            if not claimed:
                raise self._malformed(call, answer, "no Docker-Content-Digest")
            self._same(call, reference, claimed)
            return RawManifest(Digest(claimed), media_type, answer.body)
        expected = reference if is_digest(reference) else claimed or digest_of(answer.body)
        if not matches(Digest(expected), answer.body) or (claimed and not matches(Digest(claimed), answer.body)):
            raise self._exchange.error(call, errors.DigestMismatch, status=answer.status)
        return RawManifest(Digest(expected), media_type, answer.body)

    @contextmanager
    def _stream_blob(self, repository: RepositoryName, digest: Digest) -> Iterator[Iterator[bytes]]:
        call = _blob_call("stream blob", "GET", repository, digest, streamed=True)
        with self._exchange.stream(call) as parts:
            yield self._verified(call, digest, parts)

    def _verified(self, call: Call, digest: Digest, parts: Iterator[bytes]) -> Iterator[bytes]:
        running = hashlib.new(digest.partition(":")[0])
        for part in parts:
            running.update(part)
            yield part
        if running.hexdigest() != digest.partition(":")[2]:
            raise self._exchange.error(call, errors.DigestMismatch)

    def _begin(self, operation: str, repository: RepositoryName) -> str:
        """Begin an upload; returns where it goes on, as a path below the base URL."""
        name = parse_repository(repository)
        call = _upload_call(operation, "POST", name, f"/v2/{name}/blobs/uploads/", b"")
        answer = self._exchange.ask(call)
        path = _location_path(answer.location, self._exchange.server.base_url, call.path)
        if path is None:
            raise self._malformed(call, answer, "no usable Location")
        return path

    def _same(self, call: Call, reference: str, claimed: str) -> None:
        """A registry that names another sha256 than the one asked by is wrong; another algorithm may be right."""
        if is_digest(reference) and reference.partition(":")[0] == claimed.partition(":")[0] and reference != claimed:
            raise self._exchange.error(call, errors.DigestMismatch)

    def _malformed(self, call: Call, answer: Answer, reason: str) -> errors.RegistryError:
        return self._exchange.error(call, errors.Malformed, status=answer.status, reason=reason)


def _manifest_call(
    operation: str,
    method: str,
    repository: str,
    reference: str,
    actions: str,
    *,
    headers: dict[str, str] | None = None,
    content: bytes | None = None,
    limit: int = 64 * 1024,
) -> Call:
    name = parse_repository(repository)
    named = parse_digest(reference) if ":" in reference else parse_tag(reference)
    return Call(
        operation=operation,
        method=method,
        path=f"/v2/{name}/manifests/{named}",
        scopes=(f"repository:{name}:{actions}",),
        subject=f"{name}@{named}" if ":" in named else f"{name}:{named}",
        headers=headers or {},
        content=content,
        limit=limit,
        slow=method not in ("GET", "HEAD"),
        missing=errors.ManifestUnknown,
    )


def _blob_call(
    operation: str, method: str, repository: str, digest: str, *, limit: int = 0, streamed: bool = False
) -> Call:
    name, named = parse_repository(repository), parse_digest(digest)
    return Call(
        operation=operation,
        method=method,
        path=f"/v2/{name}/blobs/{named}",
        scopes=(f"repository:{name}:pull",),
        subject=f"{name}@{named}",
        limit=limit,
        missing=errors.BlobUnknown,
        redirects=True,
        streamed=streamed,
    )


def _upload_call(operation: str, method: str, repository: str, path: str, content: bytes) -> Call:
    return Call(
        operation=operation,
        method=method,
        path=path,
        scopes=(f"repository:{repository}:pull,push",),
        subject=repository,
        headers={"Content-Type": "application/octet-stream"} if method != "POST" else {},
        content=content,
        limit=64 * 1024,
        slow=True,
        missing=errors.RepositoryUnknown,
    )


def _location_path(location: str, base_url: str, begun_at: str) -> str | None:
    """Path and query of an upload's Location below the base URL, whatever scheme, host or prefix it names.

    None unless it lies under where the upload was begun: a body is sent there with the person's credential.
    """
    try:
        parts = urlsplit(urljoin(base_url + begun_at, location))
    except ValueError:
        return None
    _, found, rest = parts.path.partition(begun_at)
    if not location or not found or not rest or "/" in rest or rest in (".", ".."):
        return None
    return begun_at + rest + (f"?{parts.query}" if parts.query else "")


def _checked(base_url: str) -> str:
    """The address without a trailing slash. Raises ValueError, whose text repeats nothing of a password."""
    try:
        parts = urlsplit(base_url.strip())
        host = parts.hostname
        origin_of(base_url.strip())
    except ValueError:
        raise ValueError("not an address of a registry") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("the address of a registry begins with http:// or https:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the address of a registry must not hold a user name or password")
    if parts.query or parts.fragment:
        raise ValueError("the address of a registry has no ? or #")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
