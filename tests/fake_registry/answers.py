"""Answers as Distribution writes them; the two majors differ in Content-Type and in the error detail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body of one answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """As WSGI wants the status."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"

    def with_headers(self, **headers: str) -> Answer:
        """The same with more headers; `_` in a name stands for `-`."""
        return Answer(
            self.status, self.body, {**self.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
        )


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one version writes."""

    version: str

    @property
    def json_type(self) -> str:
        """Content-Type of JSON that is no manifest."""
        return "application/json; charset=utf-8" if self.version == "2.8" else "application/json"

    def document(self, value: Any, **headers: str) -> Answer:
        """A 200 with JSON."""
        body = json.dumps(value).encode() + b"\n"
        return Answer(200, body, {"Content-Type": self.json_type}).with_headers(**headers)

    def error(self, status: int, *codes: str, detail: Any = None, old_detail: Any = None) -> Answer:
        """An error body with one entry per code."""
        shown = old_detail if self.version == "2.8" and old_detail is not None else detail
        return self.errors(status, [(code, shown) for code in codes])

    def errors(self, status: int, entries: Iterable[tuple[str, Any]]) -> Answer:
        """An error body with entries of (code, detail)."""
        listed: list[dict[str, Any]] = []
        for code, detail in entries:
            entry: dict[str, Any] = {"code": code, "message": code.lower().replace("_", " ")}
            listed.append(entry | ({"detail": detail} if detail is not None else {}))
        body = json.dumps({"errors": listed}).encode() + b"\n"
        return Answer(status, body, {"Content-Type": self.json_type})


def text(status: int, message: str, **headers: str) -> Answer:
    """What Go's router answers by itself."""
    body = (message + "\n").encode()
    return Answer(status, body, {"Content-Type": "text/plain; charset=utf-8"}).with_headers(**headers)


def empty(status: int, **headers: str) -> Answer:
    """An answer without a body."""
    return Answer(status, b"", {"Content-Length": "0"}).with_headers(**headers)
