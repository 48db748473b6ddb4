"""Blobs as the registries serve them: whole or a range, and those that are remembered although they are gone."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dashboard.registry.references import is_digest

from .answers import Answer, Dialect, text
from .requests import Request, UnknownRequest
from .state import State

_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)", re.ASCII)


@dataclass
class Blobs:
    """GET and HEAD of blobs."""

    state: State
    dialect: Dialect

    def answer(self, request: Request, name: str, digest: str) -> Answer:
        """The answer; its body is shorter than its Content-Length where the blob is gone. Raises UnknownRequest."""
        if not request.reads:
            raise UnknownRequest
        if not is_digest(digest):
            return self.dialect.error(400, "DIGEST_INVALID")
        stored = self.state.held(name, digest)
        if stored is None:
            return self.dialect.error(404, "BLOB_UNKNOWN", detail=digest)
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": stored.digest,
            "Etag": f'"{stored.digest}"',
        }
        if "range" in request.headers and (stored.size > 0 or self.dialect.version == "2.8"):
            return self._range(request.headers["range"], stored.content, stored.size, headers)
        return Answer(200, stored.content, {**headers, "Content-Length": str(stored.size)})

    def _range(self, asked: str, content: bytes, size: int, headers: dict[str, str]) -> Answer:
        match = _RANGE.fullmatch(asked)
        if match is None:
            raise UnknownRequest  # several ranges, or the last bytes: nothing here asks for those
        first, last = int(match[1]), min(int(match[2] or size), size - 1)
        if first < size and first <= last:
            found = {"Content-Range": f"bytes {first}-{last}/{size}", "Content-Length": str(last - first + 1)}
            return Answer(206, content[first : last + 1], {**headers, **found})
        refusal = text(416, "invalid range: failed to overlap").with_headers(
            Content_Range=f"bytes */{size}", Docker_Content_Digest=headers["Docker-Content-Digest"]
        )
        if self.dialect.version == "2.8":  # says the blob's length, and breaks off
            return Answer(416, b"", {**refusal.headers, "Content-Length": str(size)})
        return refusal
