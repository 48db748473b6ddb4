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

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from http import HTTPStatus
from urllib.parse import urlsplit

from . import blobs, errors, media_types, paging, probe, uploads
from ._http import USER_AGENT, Http, Timeouts, Transport
from .auth import AuthScheme, Credential
from .calls import Answer, Call
from .exchange import Exchange, Observer, Server, origin_of
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
    Upload,
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
    "Upload",
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

    def observe(self, observer: Observer) -> None:
        """From now on `observer` is told of each request, in the thread that makes it. It must be quick and not raise.

        Operations and outcomes are words of this package alone: there are few of them, and no server chooses them.
        """
        self._server.observer = observer

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

    @property
    def password_refused(self) -> bool:
        """Whether an answer to this session said so, also one that nobody was told of."""
        return self._exchange.refused.is_set()

    def within(self, seconds: float) -> RegistrySession:
        """The same registry as the same person, with `seconds` from now at most and never beyond this one's budget."""
        return RegistrySession(self._exchange.within(seconds))

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
        return blobs.size_of(self._exchange, repository, digest)

    def read_blob(self, repository: RepositoryName, digest: Digest, *, limit: int) -> bytes:
        """A blob whole, verified. Raises BlobUnknown, TooLarge beyond `limit` bytes, DigestMismatch."""
        return blobs.read(self._exchange, repository, digest, limit)

    def stream_blob(self, repository: RepositoryName, digest: Digest) -> AbstractContextManager[Iterator[bytes]]:
        """A blob in parts as they come. Raises DigestMismatch after the last part, if it was read to its end."""
        return blobs.stream(self._exchange, repository, digest)

    def read_range(self, repository: RepositoryName, digest: Digest, start: int, length: int) -> bytes:
        """`length` bytes of a blob from `start` on: fewer where it ends before, none beyond its end.

        Not verified, unless it is the whole blob. Raises BlobUnknown, DigestMismatch, Malformed for another part, and
        TooLarge where the registry gives no parts and `start` is far; ValueError for a range that is none.
        """
        return blobs.read_range(self._exchange, repository, digest, start, length)

    def blob_is_readable(self, repository: RepositoryName, digest: Digest, size: int | None = None) -> bool:
        """Whether the blob is really there, by reading its first byte (and of `size` bytes, as far as is said).

        `has_blob` believes a registry that remembers blobs which a garbage collection removed. Counts as a pull to
        those whom the registry notifies. Raises what tells nothing about the blob: Unavailable, ServerFault, ….
        """
        return blobs.is_readable(self._exchange, repository, digest, size)

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
        return uploads.whole(self._exchange, repository, content)

    def upload_blob_in_parts(
        self, repository: RepositoryName, parts: Iterable[bytes], digest: Digest | None = None
    ) -> Digest:
        """Upload a blob of any size, 8 MiB at a time however long the parts are; returns its digest.

        With `digest` a blob that has another is not stored: DigestMismatch. Whatever fails, `parts` included, cancels
        the upload as well as can be done.
        """
        return uploads.in_parts(self._exchange, repository, parts, digest)

    def begin_upload(self, repository: RepositoryName, content: bytes) -> Upload:
        """Send `content` as the first part of an upload and leave it unfinished."""
        return uploads.begin(self._exchange, repository, content)

    def cancel_upload(self, upload: Upload) -> None:
        """End an upload that `begin_upload` left. Raises NotFound where there is none.

        With tokens it takes the right to delete, which who may push need not have: Unauthorized.
        """
        uploads.cancel(self._exchange, upload)

    def mount_blob(self, repository: RepositoryName, digest: Digest, source: RepositoryName) -> bool:
        """Have `repository` hold a blob of `source` without sending it; takes the right to pull from there.

        False where the registry does not do it: upload it then. A registry that remembers blobs that are gone mounts
        those too: see `blob_is_readable`.
        """
        return uploads.mount(self._exchange, repository, digest, source)

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
