"""Failures on demand: answers that no registry should give, and connections that break."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import httpx

from .answers import Answer

Broken = Literal["refused", "reset", "timeout", "certificate"]

HTML = b"<!DOCTYPE html><html><head><title>It works</title></head><body><h1>It works!</h1></body></html>"
TRUNCATED_JSON = b'{"repositories": ["team/app", "tea'
TEN_MEGABYTES = 10 * 1024 * 1024

KINDS: Mapping[str, Answer] = {
    "html": Answer(200, HTML, {"Content-Type": "text/html; charset=utf-8"}),
    "html-404": Answer(404, HTML, {"Content-Type": "text/html; charset=utf-8"}),
    "truncated": Answer(200, TRUNCATED_JSON, {"Content-Type": "application/json"}),
    "not-an-object": Answer(200, b'["a list"]', {"Content-Type": "application/json"}),
    "huge": Answer(200, b" " * TEN_MEGABYTES, {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}),
    "fault": Answer(
        500, b'{"errors":[{"code":"UNKNOWN","message":"unknown error"}]}', {"Content-Type": "application/json"}
    ),
    "unavailable": Answer(503, HTML, {"Content-Type": "text/html"}),
    "redirect": Answer(301, b"", {"Location": "https://login.elsewhere.test/?secret=1"}),
}


@dataclass
class Fault:
    """What happens to the next `times` requests (None: all) that match `pattern` (of "METHOD /path?query")."""

    pattern: re.Pattern[str]
    times: int | None = 1
    answer: Answer | None = None
    exception: Broken | Exception | None = None
    delay: float = 0.0
    hits: int = field(default=0)

    def takes(self, request: str) -> bool:
        """Whether it strikes this request; counts it."""
        if (self.times is not None and self.hits >= self.times) or not self.pattern.search(request):
            return False
        self.hits += 1
        return True


def wait(delay: float, request: httpx.Request) -> None:
    """Answer after `delay` seconds, or the client's own timeout if that is sooner: then without waiting for it."""
    limit = request.extensions.get("timeout", {}).get("read")
    if limit is not None and delay >= limit:
        raise httpx.ReadTimeout("made up", request=request)
    time.sleep(delay)


def exception(kind: Broken | Exception, request: httpx.Request) -> Exception:
    """The exception httpx raises for this kind of failure, with the cause it has."""
    if isinstance(kind, Exception):
        return kind
    if kind == "reset":
        return httpx.RemoteProtocolError("Server disconnected without sending a response.", request=request)
    if kind == "timeout":
        return httpx.ReadTimeout("made up", request=request)
    error = httpx.ConnectError("made up", request=request)
    if kind == "certificate":
        cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
        cause.verify_code = 19
        cause.verify_message = "self-signed certificate in certificate chain"
        error.__cause__ = cause
    else:
        error.__cause__ = ConnectionRefusedError(111, "Connection refused")
    return error
