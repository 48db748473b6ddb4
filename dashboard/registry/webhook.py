"""One outgoing message: a POST of JSON to an address that an administrator chose. It lies here because httpx does.

No redirect is followed, the answer's body is not read, and everything is over after SECONDS.
"""

from __future__ import annotations

import time
from contextlib import closing
from urllib.parse import urlsplit

from ._http import Failure, Http, HttpFailure, Timeouts, Transport

SECONDS = 10.0
"""For the whole of it, the connection included."""


class NotTaken(Exception):
    """The receiver did not take the message. `reason` is a short text without the address or the token.

    `is_final`: trying again makes no sense (it was refused as it is, or the address is none).
    """

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


def is_address(url: str) -> bool:
    """Whether messages can be sent there: http or https with a host, and no user name or password in it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None


def post(url: str, body: bytes, *, token: str = "", transport: Transport | None = None) -> int:
    """Sends `body` (JSON) and returns the status, which is a success. Raises NotTaken."""
    if not is_address(url):
        raise NotTaken("not a usable address", is_final=True)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    times = Timeouts(connect=5.0, read=SECONDS, write=SECONDS, pool=SECONDS)
    http = Http(host=urlsplit(url).hostname or "", ca_file=None, timeouts=times, transport=transport)
    with closing(http):
        try:
            response = http.open("POST", url, headers, body, deadline=time.monotonic() + SECONDS)
        except HttpFailure as failure:
            reason = "no answer in time" if failure.failure is Failure.BUDGET else failure.reason
            raise NotTaken(reason, is_final=failure.failure is Failure.INVALID) from None
        response.close()
    if 200 <= response.status < 300:
        return response.status
    reason = f"answered {response.status}"
    if 300 <= response.status < 400:
        raise NotTaken(f"{reason}; redirects are not followed", is_final=True)
    raise NotTaken(reason, is_final=400 <= response.status < 500 and response.status not in (408, 425, 429))
