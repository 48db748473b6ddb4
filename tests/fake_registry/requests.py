"""A request as the routes need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs


class UnknownRequest(Exception):
    """Nobody has said how a registry answers this."""


@dataclass(frozen=True, slots=True)
class Request:
    """Header names in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    origin: str = ""

    def parameter(self, name: str) -> str:
        """A query parameter's first value, or an empty text."""
        return parse_qs(self.query, keep_blank_values=True).get(name, [""])[0]

    @property
    def reads(self) -> bool:
        """Whether it only reads."""
        return self.method in ("GET", "HEAD")
