"""`FakeRegistry`: state, switches, what was asked of it, and failures on demand."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import httpx

from dashboard.registry.client import Credential, RegistryClient
from dashboard.registry.references import Digest, RepositoryName, digest_of, is_digest
from tests.support import images
from tests.support.images import Pushed
from tests.support.token_server import TokenUser

from . import catalog, faults, hostile
from .access import Basic, Tokens, decode_basic, rights_for
from .answers import Answer, Dialect, text
from .faults import Broken, Fault
from .requests import Request, UnknownRequest
from .routes import Routes
from .state import State

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Version = Literal["2.8", "3.1"]
URL = "http://registry.test:5000"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request that came. `user`: the name in a Basic header; `authorization` the whole header."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)

    @property
    def authorization(self) -> str:
        """The Authorization header, or an empty text."""
        return self.headers.get("authorization", "")

    @property
    def user(self) -> str:
        """The name in a Basic Authorization header."""
        return decode_basic(self.authorization)[0]

    def __str__(self) -> str:
        return f"{self.method} {self.path}" + (f"?{self.query}" if self.query else "")


class FakeRegistry:
    """A registry in memory. `requests` lists what was asked, token requests included.

    `version` "2.8" or "3.1"; `delete`, `readonly` as the registry's switches; `deletes_tags_although_disabled` is the
    defect of 3.0; `basic` passwords by name; `token_users` with rights, `anonymous_rights` for who has no credential;
    `delay` seconds before each answer; `hostile` lists forbidden names, sets cookies, links elsewhere and repeats
    secrets and markup in its errors.
    """

    def __init__(
        self,
        version: str = "2.8",
        *,
        url: str = URL,
        delete: bool = True,
        readonly: bool = False,
        deletes_tags_although_disabled: bool = False,
        basic: Mapping[str, str] | None = None,
        token_users: Mapping[str, TokenUser] | None = None,
        anonymous_rights: Mapping[str, frozenset[str]] | None = None,
        delay: float = 0.0,
        hostile: bool = False,
    ) -> None:
        assert version in ("2.8", "3.1")
        self.url = url
        self.version = version
        self.state = State()
        self.delay = delay
        self.hostile = hostile
        self.requests: list[Recorded] = []
        self.unknown: list[str] = []
        self.tokens: Tokens | None = None
        self._basic = Basic(basic) if basic else None
        if token_users is not None:
            self.tokens = Tokens(f"{url}/token", token_users, anonymous_rights or {})
        self._dialect = Dialect(version)
        self._routes = Routes(self.state, self._dialect, delete, readonly, deletes_tags_although_disabled)
        self._faults: list[Fault] = []
        self._lock = threading.RLock()
        self.transport = _Transport(self)

    def __enter__(self) -> FakeRegistry:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.assert_all_known()

    def assert_all_known(self) -> None:
        """Fail if a request came that nobody has said an answer to."""
        assert not self.unknown, f"requests the fake registry does not know: {self.unknown}"

    def client(self, **options: Any) -> RegistryClient:
        """A new client over this registry; options as RegistryClient's."""
        return RegistryClient(self.url, transport=self.transport, **options)

    # Switches

    @property
    def delete(self) -> bool:
        """Whether deletion is enabled."""
        return self._routes.delete

    @delete.setter
    def delete(self, enabled: bool) -> None:
        self._routes.delete = enabled

    @property
    def readonly(self) -> bool:
        """Whether the registry is in maintenance."""
        return self._routes.readonly

    @readonly.setter
    def readonly(self, enabled: bool) -> None:
        self._routes.readonly = enabled

    # Content, put in and looked at without a request

    def upload_blob(self, repository: RepositoryName, content: bytes) -> Digest:
        """Store a blob."""
        with self._lock:
            return self.state.add_blob(repository, content)

    def put_manifest(self, repository: RepositoryName, reference: str, media_type: str, raw: bytes) -> Digest:
        """Store a manifest under a tag or its digest, unchecked: schema 1 and broken ones too."""
        digest = Digest(reference) if is_digest(reference) else digest_of(raw)
        with self._lock:
            self.state.add_manifest(repository, digest, media_type, raw, "" if is_digest(reference) else reference)
        return digest

    def push_image(self, repository: str, *tags: str, **options: Any) -> Pushed:
        """As images.push_image."""
        return images.push_image(self, repository, *tags, **options)

    def push_artifact(self, repository: str, *tags: str, **options: Any) -> Pushed:
        """As images.push_artifact."""
        return images.push_artifact(self, repository, *tags, **options)

    def push_index(self, repository: str, *tags: str, children: Sequence[Any] = (), **options: Any) -> Pushed:
        """As images.push_index."""
        return images.push_index(self, repository, *tags, children=children, **options)

    def empty_repository(self, repository: str) -> None:
        """A repository whose last tag was deleted."""
        pushed = self.push_image(repository, "gone")
        self.remove_manifest(repository, pushed.digest)

    def remove_manifest(self, repository: str, digest: str) -> None:
        """Delete behind everybody's back."""
        with self._lock:
            self.state.remove_manifest(repository, digest)

    def move_tag(self, repository: str, tag: str, digest: str) -> None:
        """Point a tag at another manifest behind everybody's back."""
        with self._lock:
            self.state.repository(repository).tags[tag] = digest

    def collect_blob(self, digest: str, *, is_remembered: bool = False) -> None:
        """Remove a blob and leave the repositories' links to it, as a garbage collection does.

        With `is_remembered` the registry's cache of descriptors has it still: HEAD says 200, and GET breaks off after
        the head.
        """
        with self._lock:
            self.state.collect(digest, is_remembered)

    def uploads(self, repository: str) -> dict[str, bytes]:
        """id → content of the repository's unfinished uploads."""
        with self._lock:
            return dict(self.state.known(repository).uploads)

    def tags(self, repository: str) -> dict[str, str]:
        """tag → digest of a repository as it is now."""
        with self._lock:
            return dict(self.state.known(repository).tags)

    def has_manifest(self, repository: str, digest: str) -> bool:
        """Whether the repository holds the manifest now."""
        with self._lock:
            return digest in self.state.known(repository).revisions

    # What was asked

    def count(self, method: str = "", pattern: str = "") -> int:
        """How many requests of this method ("" = any) came whose "/path?query" the pattern is found in."""
        found = re.compile(pattern)
        return sum(
            1 for r in self.requests if method in ("", r.method) and found.search(str(r).partition(" ")[2]) is not None
        )

    def forget_requests(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self.requests.clear()

    # Failures

    def fail_next(
        self,
        pattern: str = "",
        *,
        status: int | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        exception: Broken | Exception | None = None,
        delay: float = 0.0,
        times: int | None = 1,
    ) -> Fault:
        """Make the next `times` requests (None: all) fail whose "METHOD /path?query" the pattern is found in.

        With `status` (`body`, `headers`) that is the answer; with `exception` the connection breaks: "refused",
        "reset", "timeout", "certificate" or an exception of httpx; `delay` alone makes the answer late. The client
        tries a read twice after 500, 502, 503, 504 and a reset: to see those fail, give `times=2` or None.
        """
        answer = Answer(status, body, dict(headers or {})) if status is not None else None
        fault = Fault(re.compile(pattern), times, answer, exception, delay)
        self._faults.append(fault)
        return fault

    def break_with(self, kind: str, pattern: str = "", *, times: int | None = None) -> Fault:
        """Answer so from now on: a kind of faults.KINDS ("html", "truncated", "huge", "fault", …)."""
        fault = Fault(re.compile(pattern), times, faults.KINDS[kind])
        self._faults.append(fault)
        return fault

    def heal(self) -> None:
        """Undo all failures."""
        self._faults.clear()

    # The WSGI program

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = _request(environ)
        with self._lock:
            answer = self._answer(request)
        if self.hostile:
            answer = hostile.twist(answer, request)
        headers = {"X-Content-Type-Options": "nosniff", **answer.headers}
        if "Content-Length" not in headers and answer.status != 304:
            headers["Content-Length"] = str(len(answer.body))
        start_response(answer.line, list(headers.items()))
        return [b"" if request.method == "HEAD" else answer.body]

    def _answer(self, request: Request) -> Answer:
        if request.path == "/token" and self.tokens is not None:
            return self.tokens.issue(request.query, request.headers.get("authorization", ""), self._dialect)
        guard = self._basic or self.tokens
        if guard is not None and request.path.startswith("/v2/"):
            rights = rights_for(request)
            refusal = guard.refusal(request.headers.get("authorization", ""), rights, self._dialect)
            if refusal is not None:
                return refusal.with_headers(Docker_Distribution_Api_Version="registry/2.0")
        try:
            answer = self._routes.answer(request)
        except UnknownRequest:
            self.unknown.append(f"{request.method} {request.path}?{request.query}")
            return text(500, f"the fake registry does not know: {self.unknown[-1]}")
        return answer.with_headers(Docker_Distribution_Api_Version="registry/2.0")

    # Called by the transport, before the program

    def receive(self, request: httpx.Request) -> httpx.Response | None:
        """Record a request and let failures strike: an answer, an exception, or None to go on."""
        record = Recorded(
            request.method,
            request.url.path,
            request.url.query.decode(),
            {k.lower(): v for k, v in request.headers.items()},
        )
        with self._lock:
            self.requests.append(record)
            fault = next((fault for fault in self._faults if fault.takes(str(record))), None)
        if self.delay:
            faults.wait(self.delay, request)
        if fault is None:
            return None
        if fault.delay:
            faults.wait(fault.delay, request)
        if fault.exception is not None:
            raise faults.exception(fault.exception, request)
        if fault.answer is None:
            return None
        return httpx.Response(fault.answer.status, headers=dict(fault.answer.headers), stream=_Body(fault.answer.body))

    def credential(self, name: str) -> Credential:
        """The credential of a user of `basic` or `token_users`."""
        if self._basic is not None:
            return Credential(name, self._basic.passwords[name])
        assert self.tokens is not None
        return Credential(name, self.tokens.users[name].password)


class _Body(httpx.SyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._content), 65536):
            yield self._content[at : at + 65536]


class _Promised(httpx.SyncByteStream):
    """A body that has to be as long as its head says: where it is not, the connection was closed."""

    def __init__(self, parts: httpx.SyncByteStream, length: int) -> None:
        self._parts = parts
        self._length = length

    def __iter__(self) -> Iterator[bytes]:
        received = 0
        for part in self._parts:
            received += len(part)
            yield part
        if received < self._length:
            counted = f"received {received} bytes, expected {self._length}"
            raise httpx.RemoteProtocolError(f"peer closed connection without sending complete message body ({counted})")


class _Transport(httpx.BaseTransport):
    """In-process HTTP to the fake, with its failures in front."""

    def __init__(self, fake: FakeRegistry) -> None:
        self._fake = fake
        self._program = httpx.WSGITransport(app=fake)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        struck = self._fake.receive(request)
        if struck is not None:
            return struck
        try:
            response = self._program.handle_request(request)
        except catalog.BrokenOff:
            raise faults.exception("reset", request) from None
        length = response.headers.get("Content-Length")
        if request.method != "HEAD" and length is not None:
            assert isinstance(response.stream, httpx.SyncByteStream)
            response.stream = _Promised(response.stream, int(length))
        return response


def _request(environ: WSGIEnvironment) -> Request:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if isinstance(value, str) and (name.startswith("HTTP_") or name == "CONTENT_TYPE")
    }
    return Request(
        method=environ["REQUEST_METHOD"],
        path=environ["PATH_INFO"],
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        body=environ["wsgi.input"].read(),
        origin=f"{environ['wsgi.url_scheme']}://{headers.get('host', '')}",
    )
