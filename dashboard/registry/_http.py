"""HTTP itself: the only module that imports httpx. Timeouts, trust, limits, and failures in words of our own.

Nothing of httpx leaves this module except `Transport`, which tests plug in. No cookie is kept: one client serves many
people. Redirects are never followed here, and content is never decompressed: a bound on bytes read
bounds memory.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

Transport = httpx.BaseTransport

VERSION = "0.1.0"
USER_AGENT = f"Strata/{VERSION}"

MAX_CONNECTIONS = 32
MAX_IDLE_CONNECTIONS = 16
IDLE_SECONDS = 30.0
BROKEN_OFF = "connection broken off"

# httpx logs whole URLs, and a redirect's URL can be a signed one: whoever reads it may fetch the blob.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a connection, for each part of an answer, for sending, for a free connection.

    `slow_read` replaces `read` where registries take long: catalog and tag lists of a bucket, deletions, writes.
    """

    connect: float = 5.0
    read: float = 15.0
    write: float = 30.0
    pool: float = 10.0
    slow_read: float = 120.0


class Failure(StrEnum):
    """Why no answer came. BROKEN_OFF may be tried again; the others would fail again or cost the same wait."""

    REFUSED = "refused"
    BROKEN_OFF = "broken-off"
    TLS = "tls"
    TIMEOUT = "timeout"
    BUDGET = "budget"
    INVALID = "invalid"


class HttpFailure(Exception):
    """No usable answer. `reason` is a short text without addresses or secrets."""

    def __init__(self, failure: Failure, reason: str) -> None:
        super().__init__(f"{failure}: {reason}")
        self.failure = failure
        self.reason = reason


class Response:
    """An answer whose body was not read yet. Close it."""

    def __init__(self, response: httpx.Response, deadline: float | None) -> None:
        self._response = response
        self._deadline = deadline
        self.status = response.status_code
        self._headers: dict[str, list[str]] = {}
        for name, value in response.headers.raw:
            self._headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))

    def header(self, name: str) -> str:
        """The header's value, several joined by a comma; empty if there is none."""
        return ", ".join(self._headers.get(name.lower(), ()))

    def headers(self, name: str) -> list[str]:
        """Every line of this header."""
        return self._headers.get(name.lower(), [])

    def chunks(self) -> Iterator[bytes]:
        """The body as it was sent. Raises HttpFailure, also when the deadline passes between two parts."""
        with _translated(self._deadline):
            for chunk in self._response.iter_raw():
                if self._deadline is not None and time.monotonic() > self._deadline:
                    raise HttpFailure(Failure.BUDGET, "budget")
                yield chunk

    def close(self) -> None:
        """Give the connection back."""
        self._response.close()


class Http:
    """One pool of connections. Safe across threads."""

    def __init__(self, *, host: str, ca_file: str | None, timeouts: Timeouts, transport: Transport | None) -> None:
        self._timeouts = timeouts
        self._client = httpx.Client(
            verify=_trust(ca_file),
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
            limits=httpx.Limits(
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=MAX_IDLE_CONNECTIONS,
                keepalive_expiry=IDLE_SECONDS,
            ),
            transport=transport,
            # A proxy of the environment is for the world outside: nobody means it for this very machine.
            trust_env=not _is_loopback(host),
        )

    def open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None = None,
        *,
        slow: bool = False,
        deadline: float | None = None,
    ) -> Response:
        """Send one request and return the answer's head. `deadline` is of time.monotonic(). Raises HttpFailure."""
        with _translated(deadline):
            request = self._client.build_request(
                method, url, headers=dict(headers), content=content, timeout=self._timeout(slow, deadline)
            )
            return Response(self._client.send(request, stream=True), deadline)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _timeout(self, slow: bool, deadline: float | None) -> httpx.Timeout:
        left = float("inf") if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise HttpFailure(Failure.BUDGET, "budget")
        times = self._timeouts
        return httpx.Timeout(
            connect=min(times.connect, left),
            read=min(times.slow_read if slow else times.read, left),
            write=min(times.write, left),
            pool=min(times.pool, left),
        )


@contextmanager
def _translated(deadline: float | None) -> Iterator[None]:
    """Turns httpx's exceptions into HttpFailure."""
    try:
        yield
    except httpx.TimeoutException as error:
        if deadline is not None and time.monotonic() >= deadline - 0.005:
            raise HttpFailure(Failure.BUDGET, "budget") from error
        raise HttpFailure(Failure.TIMEOUT, _TIMEOUT_REASONS.get(type(error), "no answer in time")) from error
    except (httpx.ConnectError, httpx.ProxyError) as error:
        raise _connect_failure(error) from error
    except httpx.TransportError as error:
        raise _transport_failure(error) from error
    except (httpx.InvalidURL, httpx.StreamError) as error:
        raise HttpFailure(Failure.INVALID, "not a usable address") from error


_TIMEOUT_REASONS: Mapping[type[Exception], str] = {
    httpx.ConnectTimeout: "no connection in time",
    httpx.ReadTimeout: "no answer in time",
    httpx.WriteTimeout: "the request was not taken in time",
    httpx.PoolTimeout: "all connections were busy",
}

_TLS_REASONS: Mapping[str, str] = {
    "WRONG_VERSION_NUMBER": "the server does not speak TLS",
    "HTTP_REQUEST": "the server does not speak TLS",
    "RECORD_LAYER_FAILURE": "the server does not speak TLS",
}


def _connect_failure(error: Exception) -> HttpFailure:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return HttpFailure(Failure.TLS, _cut(cause.verify_message or "certificate not accepted"))
        if isinstance(cause, ssl.SSLError):
            reason = cause.reason or ""
            return HttpFailure(Failure.TLS, _TLS_REASONS.get(reason, _cut(reason.lower().replace("_", " "))))
        if isinstance(cause, socket.gaierror):
            return HttpFailure(Failure.REFUSED, "host name not found")
        if isinstance(cause, ConnectionResetError):
            return HttpFailure(Failure.BROKEN_OFF, BROKEN_OFF)
        if isinstance(cause, OSError) and cause.errno:
            return HttpFailure(Failure.REFUSED, os.strerror(cause.errno).lower())
    return HttpFailure(Failure.REFUSED, os.strerror(errno.ECONNREFUSED).lower())


def _transport_failure(error: httpx.TransportError) -> HttpFailure:
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
        return HttpFailure(Failure.INVALID, "not a usable address")
    if isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error) and "closed" not in str(error):
        return HttpFailure(Failure.BROKEN_OFF, "not an HTTP answer")
    return HttpFailure(Failure.BROKEN_OFF, BROKEN_OFF)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _trust(ca_file: str | None) -> ssl.SSLContext:
    """The system's authorities, and those of `ca_file`, which is read each time: it may be another one by now."""
    if not ca_file:
        return _system_trust()
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=ca_file)
    return context


@lru_cache(maxsize=1)
def _system_trust() -> ssl.SSLContext:
    """Once for a process: reading the authorities takes longer than most requests do."""
    return ssl.create_default_context()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _cut(text: str) -> str:
    return text[:300]
