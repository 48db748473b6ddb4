"""HTTP servers in a few lines, for answers that no registry gives: by host and path, in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx

Handler = Callable[[httpx.Request], httpx.Response]


class Scripted(httpx.BaseTransport):
    """Answers by `handler`; `requests` lists what came, to every host."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._handler(request)

    def to(self, host: str) -> list[httpx.Request]:
        """The requests to one host."""
        return [request for request in self.requests if request.url.host == host]


def answer(status: int, body: bytes = b"", **headers: str) -> httpx.Response:
    """An answer; `_` in a header's name stands for `-`."""
    fields = {name.replace("_", "-"): text for name, text in headers.items()}
    if "Content-Length" not in fields:
        fields["Content-Length"] = str(len(body))
    return httpx.Response(status, headers=fields, stream=_Parts(body))


class _Parts(httpx.SyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._body), 65536):
            yield self._body[at : at + 65536]
