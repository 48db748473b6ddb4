"""A request that is to be made, and the answers that come back: plain values between the client and the exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from . import errors
from .wire import Challenge

MAX_JSON_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """A request to be made. `path` below the base URL; `limit` of the body in bytes; `redirects`: follow to storage."""

    operation: str
    method: str
    path: str
    scopes: tuple[str, ...] = ()
    subject: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = field(default=None, repr=False)
    limit: int = MAX_JSON_BYTES
    slow: bool = False
    missing: type[errors.RegistryError] = errors.NotFound
    redirects: bool = False
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A success, read whole. `size`: Content-Length, or None where it is not given; `range`: what an upload holds."""

    status: int
    body: bytes = field(repr=False)
    content_type: str
    digest: str
    location: str
    size: int | None
    links: tuple[str, ...]
    api_version: str = ""
    range: str = ""


@dataclass(frozen=True, slots=True)
class Bare:
    """What `/v2/` answers somebody who says nothing of himself; `body` cut."""

    status: int
    challenges: tuple[Challenge, ...]
    content_type: str
    body: bytes
    api_version: str
