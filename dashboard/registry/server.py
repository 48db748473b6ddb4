"""One registry as all people share it: its address, its connections, and what is known of its authentication."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from ._http import Http, Timeouts
from .auth import Authorizer

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


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address, in lower case. Raises ValueError."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or (443 if scheme == "https" else 80)
