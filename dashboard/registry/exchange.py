"""One request as one person, to its end: authorization, the one retry, redirects, bounds, the budget, errors.

Reads are tried twice (2.8 answers 500 while a tag is being written); a write never is: nobody knows whether
it happened.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from . import errors
from ._http import Failure, Http, HttpFailure, Response, Timeouts
from .auth import PASSWORD_REFUSED, Authorizer, Credential, Denied
from .calls import Answer, Bare, Call
from .faults import Context, Refusal, from_failure, from_refusal
from .media_types import bare
from .wire import Challenge, TokenAnswer, WireError, parse_challenges, parse_length, parse_token

MAX_ERROR_BYTES = 64 * 1024
MAX_TOKEN_BYTES = 256 * 1024
MAX_REDIRECTS = 3
API_VERSION = "Docker-Distribution-Api-Version"

_READS = frozenset({"GET", "HEAD"})
_RETRIED = frozenset({500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_jitter = secrets.SystemRandom()

Result = TypeVar("Result")

Observer = Callable[[str, str, float], None]
"""Told of each request: its operation, "ok" or the code of the error that it ended with, the seconds that it took."""


class Server:
    """What all people share of one registry: its address, the connections, what is known of its authentication."""

    def __init__(self, base_url: str, name: str, http: Http, timeouts: Timeouts) -> None:
        self.base_url = base_url
        self.name = name
        self.http = http
        self.timeouts = timeouts
        self.origin = origin_of(base_url)
        self.authorizer = Authorizer(urlsplit(base_url).hostname or "")
        self.observer: Observer | None = None

    def url(self, path: str) -> str:
        """The address of a path below the base URL."""
        return self.base_url + path


class Exchange:
    """Requests to one server as one person, within one budget. Safe across threads.

    `refused` is set once the password was refused, whoever caught the error; those made by `within` share it.
    """

    def __init__(
        self,
        server: Server,
        credential: Credential | None,
        budget: float | None,
        refused: threading.Event | None = None,
    ) -> None:
        self.server = server
        self.credential = credential
        self.user = credential.username if credential else ""
        self.refused = refused or threading.Event()
        self._deadline = None if budget is None else time.monotonic() + budget

    def within(self, seconds: float) -> Exchange:
        """The same with `seconds` from now at most, and never beyond this one's budget."""
        return Exchange(self.server, self.credential, min(seconds, self.seconds_left), self.refused)

    def ask(self, call: Call) -> Answer:
        """Make the request and read the answer whole. Raises RegistryError, also for any status but a success."""
        return self.read(call, lambda response: self._answer(call, response))

    def read(self, call: Call, taken: Callable[[Response], Result]) -> Result:
        """Make the request and let `taken` read of a success what it wants. Raises RegistryError."""

        def once() -> Result:
            response = self._successful(call, self._send(call))
            try:
                return taken(response)
            finally:
                response.close()

        with self._observed(call):
            return self._twice(call, once)

    @contextmanager
    def stream(self, call: Call) -> Iterator[Iterator[bytes]]:
        """Make the request and hand out the body in parts as they come. Raises RegistryError."""
        with self._observed(call):
            response = self._twice(call, lambda: self._successful(call, self._send(call)))
        try:
            yield self._parts(call, response)
        finally:
            response.close()

    def bare(self, call: Call) -> Bare:
        """The same request without authorization; teaches the authorizer. Raises RegistryError without an answer."""

        def once() -> Bare:
            response = self._open(call, self.server.url(call.path), "")
            try:
                challenges = parse_challenges(response.headers("WWW-Authenticate"))
                self._learn_from(response, challenges)
                if response.status not in (200, 401):
                    raise self._refused(call, response, "")
                body = self._head_of(response)
                return Bare(
                    response.status, challenges, response.header("Content-Type"), body, response.header(API_VERSION)
                )
            finally:
                response.close()

        with self._observed(call):
            return self._twice(call, once)

    def error(self, call: Call, kind: type[errors.RegistryError], **parameters: object) -> errors.RegistryError:
        """An error of this kind about that request."""
        return self._context(call).error(kind, **parameters)

    # One request

    @contextmanager
    def _observed(self, call: Call) -> Generator[None]:
        """Tells the observer how it went: authorization and the one retry included, of a stream its head alone."""
        observer = self.server.observer
        if self.credential is not None and self.credential.unusable:  # then nothing is asked
            observer = None
        outcome, began = "ok", time.monotonic()
        try:
            yield
        except errors.RegistryError as error:
            outcome = error.code
            if self.credential is not None and error.reason in PASSWORD_REFUSED:
                self.refused.set()
            raise
        finally:
            if observer is not None:
                observer(call.operation, outcome, time.monotonic() - began)

    def _twice(self, call: Call, attempt: Callable[[], Result]) -> Result:
        try:
            try:
                return attempt()
            except HttpFailure as failure:
                if call.method not in _READS or failure.failure != Failure.BROKEN_OFF:
                    raise
            except errors.ServerFault as fault:
                if call.method not in _READS or fault.status not in _RETRIED:
                    raise
            self._pause()
            return attempt()
        except HttpFailure as failure:
            raise self._unanswered(call, failure) from failure

    def _pause(self) -> None:
        pause = _jitter.uniform(0.03, 0.15)
        if self.seconds_left > pause:
            time.sleep(pause)

    def _send(self, call: Call) -> Response:
        """The answer's head after authorization and redirects, whatever its status except 401."""
        used = self._authorization(call)
        response, is_own = self._follow(call, used)
        if response.status != 401:
            return response
        if not is_own:  # a storage's challenge is nothing to answer with a registry's credential
            refused = self._refused(call, response, used)
            refused.reason = "refused by the storage"
            raise refused
        challenges = parse_challenges(response.headers("WWW-Authenticate"))
        refused = self._refused(call, response, used)
        again = self._after(call, refused, challenges, used)
        response, is_own = self._follow(call, again)
        if response.status == 401 and is_own:
            challenges = parse_challenges(response.headers("WWW-Authenticate"))
            refused = self._refused(call, response, again)
            refused.reason = next((c.parameters["error"] for c in challenges if "error" in c.parameters), "")[:100]
            refused.reason = refused.reason or "credential-refused"
            raise refused
        return response

    def _authorization(self, call: Call) -> str:
        authorizer = self.server.authorizer
        if self.credential is not None and not authorizer.known:
            # Ask what the registry wants before it answers somebody with a credential as if he were nobody.
            with authorizer.learning:
                if not authorizer.known:
                    self._learn(call)
        before = authorizer.challenge
        try:
            return self._header(call)
        except errors.RegistryError:
            # The token server may have moved, or be gone, since the registry was last asked.
            self._learn(call)
            if authorizer.challenge == before:
                raise
        return self._header(call)

    def _header(self, call: Call) -> str:
        try:
            return self.server.authorizer.header(
                self.credential, call.scopes, self._fetcher(call), wait=self.seconds_left
            )
        except Denied as denied:
            raise self.error(call, errors.Unauthorized, reason=denied.reason) from denied
        except TimeoutError as error:
            raise HttpFailure(Failure.BUDGET, "budget") from error

    def _learn(self, call: Call) -> None:
        response = self._open(Call(call.operation, "GET", "/v2/"), self.server.url("/v2/"), "")
        self._learn_from(response, parse_challenges(response.headers("WWW-Authenticate")))
        response.close()

    def _learn_from(self, response: Response, challenges: tuple[Challenge, ...]) -> None:
        if challenges or response.status != 200:
            self.server.authorizer.learn(challenges)
        else:
            self.server.authorizer.forget()

    def _after(self, call: Call, refused: errors.RegistryError, challenges: tuple[Challenge, ...], used: str) -> str:
        try:
            return self.server.authorizer.header_after(
                challenges, used, self.credential, call.scopes, self._fetcher(call), wait=self.seconds_left
            )
        except Denied as denied:
            refused.reason = denied.reason
            raise refused from denied
        except TimeoutError as error:
            raise HttpFailure(Failure.BUDGET, "budget") from error

    def _follow(self, call: Call, authorization: str) -> tuple[Response, bool]:
        """One request and, where the call allows it, its redirects: without authorization on any other origin.

        The answer's head, and whether it is the registry's own.
        """
        is_own = True
        url = self.server.url(call.path)
        response = self._open(call, url, authorization)
        for _ in range(MAX_REDIRECTS):
            if not call.redirects or response.status not in _REDIRECTS:
                break
            url = self._target(call, url, response)
            is_own = is_own and origin_of(url) == self.server.origin
            response = self._open(call, url, authorization if is_own else "")
        if response.status == 404 and not is_own:  # a storage says so in words of its own
            response.close()
            raise self.error(call, call.missing, status=404, reason="not in the storage")
        return response, is_own

    def _target(self, call: Call, url: str, response: Response) -> str:
        location = response.header("Location")
        response.close()
        try:
            target = urljoin(url, location)
            usable = bool(location) and urlsplit(target).scheme in ("http", "https") and origin_of(target)[1] != ""
        except ValueError:
            usable = False
        if not usable:
            raise self.error(call, errors.Malformed, status=response.status, reason="redirects to nowhere")
        return target

    def _open(self, call: Call, url: str, authorization: str) -> Response:
        if self.credential is not None and self.credential.unusable:  # asked as nobody instead, it might be answered
            raise self.error(call, errors.Unauthorized, reason=self.credential.unusable)
        headers = dict(call.headers)
        if authorization:
            headers["Authorization"] = authorization
        deadline = self._deadline_of(call)
        return self.server.http.open(call.method, url, headers, call.content, slow=call.slow, deadline=deadline)

    # Its answer

    def _successful(self, call: Call, response: Response) -> Response:
        unchanged = response.status == 304 and "If-None-Match" in call.headers
        if not (200 <= response.status < 300 or unchanged):
            try:
                raise self._refused(call, response, "")
            finally:
                response.close()
        if response.header("Content-Encoding").lower() not in ("", "identity"):
            response.close()
            raise self.error(call, errors.Malformed, status=response.status, reason="compressed although not asked to")
        return response

    def _answer(self, call: Call, response: Response) -> Answer:
        size = parse_length(response.header("Content-Length"))
        if call.method != "HEAD" and size is not None and size > call.limit:
            raise self.error(call, errors.TooLarge, limit=call.limit)
        body = b"" if call.method == "HEAD" else self._read(call, response, call.limit)
        return Answer(
            status=response.status,
            body=body,
            content_type=response.header("Content-Type"),
            digest=response.header("Docker-Content-Digest").strip(),
            location=response.header("Location"),
            size=size,
            links=tuple(response.headers("Link")),
            api_version=response.header(API_VERSION),
            range=response.header("Range"),
        )

    def _read(self, call: Call, response: Response, limit: int) -> bytes:
        parts: list[bytes] = []
        total = 0
        for chunk in response.chunks():
            total += len(chunk)
            if total > limit:
                raise self.error(call, errors.TooLarge, limit=limit)
            parts.append(chunk)
        return b"".join(parts)

    def _head_of(self, response: Response) -> bytes:
        """The first MAX_ERROR_BYTES of a body: enough to tell what it is."""
        body = b""
        for chunk in response.chunks():
            body += chunk[: MAX_ERROR_BYTES - len(body)]
            if len(body) >= MAX_ERROR_BYTES:
                break
        return body

    def _parts(self, call: Call, response: Response) -> Iterator[bytes]:
        try:
            yield from response.chunks()
        except HttpFailure as failure:
            raise self._unanswered(call, failure) from failure

    def _unanswered(self, call: Call, failure: HttpFailure) -> errors.RegistryError:
        if failure.failure == Failure.BUDGET and self.seconds_left > 0:  # the request's own end, not the page's
            failure = HttpFailure(Failure.TIMEOUT, "no whole answer in time")
        return from_failure(self._context(call), failure)

    def _refused(self, call: Call, response: Response, used: str) -> errors.RegistryError:
        """The error an answer means. Closes it."""
        try:
            body = b"" if call.method == "HEAD" else self._head_of(response)
        except HttpFailure as failure:
            if failure.failure == Failure.BUDGET:
                raise
            body = b""
        finally:
            response.close()
        refusal = Refusal(
            status=response.status,
            content_type=bare(response.header("Content-Type")),
            body=body,
            location=response.header("Location"),
            retry_after=response.header("Retry-After"),
        )
        return from_refusal(self._context(call), refusal, self._secrets(used))

    # Token servers

    def _fetcher(self, call: Call) -> Callable[[str, str], TokenAnswer]:
        def fetch(address: str, authorization: str) -> TokenAnswer:
            asking = Call(call.operation, "GET", "", subject=call.subject, limit=MAX_TOKEN_BYTES)
            return self._twice(asking, lambda: self._fetch(asking, address, authorization))

        return fetch

    def _fetch(self, asking: Call, address: str, authorization: str) -> TokenAnswer:
        response = self._open(asking, address, authorization)
        try:
            if response.status != 200:
                raise self._token_refused(asking, response, authorization)
            self._successful(asking, response)
            body = self._read(asking, response, asking.limit)
            return parse_token(body, response.header("Content-Type"))
        except WireError as error:
            raise self.error(asking, errors.Malformed, reason=f"token server: {error}") from error
        finally:
            response.close()

    def _token_refused(self, asking: Call, response: Response, authorization: str) -> errors.RegistryError:
        error = self._refused(asking, response, authorization)
        if response.status in (400, 401, 403):
            return self.error(
                asking,
                errors.Unauthorized,
                status=response.status,
                diagnostics=error.diagnostics,
                reason="token-server-refused",
            )
        if isinstance(error, (errors.ServerFault, errors.RateLimited)):
            error.reason = "token server"
            return error
        reason = f"token server answered {response.status}"
        return self.error(asking, errors.Malformed, status=response.status, reason=reason)

    # Small things

    def _context(self, call: Call) -> Context:
        return Context(call.operation, self.server.name, self.user, call.method, call.subject, call.missing)

    def _secrets(self, used: str) -> tuple[str, ...]:
        """What must not be repeated from an answer, should a server repeat it."""
        found = {used.partition(" ")[2]}
        if self.credential is not None:
            found |= {self.credential.password, self.credential.basic().partition(" ")[2]}
        return tuple(sorted(filter(None, found), key=len, reverse=True))

    @property
    def seconds_left(self) -> float:
        """What is left of the budget; an hour where there is none."""
        return 3600.0 if self._deadline is None else self._deadline - time.monotonic()

    def _deadline_of(self, call: Call) -> float | None:
        """The budget's end; for a body that is read whole at least an end: a trickle keeps every read alive."""
        if call.streamed:
            return self._deadline
        times = self.server.timeouts
        own = time.monotonic() + times.connect + 2 * (times.slow_read if call.slow else times.read)
        return own if self._deadline is None else min(own, self._deadline)


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address, in lower case. Raises ValueError."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or (443 if scheme == "https" else 80)
