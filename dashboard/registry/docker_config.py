"""The file `~/.docker/config.json` of Docker's command line, as far as it tells names and passwords.

Docker's documentation of `docker login`: below `auths` stands for each registry either an `auth`, the base64 of
`name:password`, or nothing where a helper keeps it (`credsStore` for all, `credHelpers` by registry). An
`identitytoken` is no password and is left out.
"""

from __future__ import annotations

import base64
import binascii
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

MAX_BYTES = 256 * 1024
MAX_ENTRIES = 200
HELPER, TOKEN, EMPTY, MALFORMED = "helper", "token", "empty", "malformed"
"""Why an entry tells no password: a helper keeps it, it is an identity token, there is none, it is not to be read."""


class NotAConfig(ValueError):
    """Not such a file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What it says of one registry: host (and port), and name and password, or why not."""

    host: str
    username: str = ""
    password: str = field(default="", repr=False)
    why_not: str = ""


def parse(text: str) -> list[Entry]:
    """The entries, at most MAX_ENTRIES, each host once. Raises NotAConfig."""
    if len(text.encode()) > MAX_BYTES:
        raise NotAConfig("it is too large")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise NotAConfig("it is no JSON") from None
    auths = document.get("auths", {}) if isinstance(document, dict) else None
    helpers = document.get("credHelpers", {}) if isinstance(document, dict) else None
    if not isinstance(auths, dict) or not isinstance(helpers, dict):
        raise NotAConfig("it has no auths")
    found: dict[str, Entry] = {}
    for key, value in list(auths.items())[:MAX_ENTRIES]:
        entry = _entry(host_of(key), value, helped=bool(document.get("credsStore")) or key in helpers)
        if entry.host and (entry.host not in found or found[entry.host].why_not):
            found[entry.host] = entry
    for key in list(helpers)[:MAX_ENTRIES]:
        if host := host_of(key):
            found.setdefault(host, Entry(host, why_not=HELPER))
    return list(found.values())


def host_of(key: str) -> str:
    """Host and port of a key, which may be an address ("https://index.docker.io/v1/"); "" for none."""
    try:
        parts = urlsplit(key if "://" in key else f"//{key}")
    except ValueError:
        return ""
    return parts.netloc.rpartition("@")[2].lower()[:255]


def snippet(host: str, username: str) -> str:
    """The command that signs Docker in by hand; it asks for the password."""
    return f"docker login -u {shlex.quote(username)} {host}"


def _entry(host: str, value: Any, *, helped: bool) -> Entry:
    if not isinstance(value, Mapping):
        return Entry(host, why_not=MALFORMED)
    username, password, auth = (value.get(key, "") for key in ("username", "password", "auth"))
    if isinstance(auth, str) and auth:
        try:
            decoded = base64.b64decode(auth, validate=True).decode()
        except (binascii.Error, ValueError):
            return Entry(host, why_not=MALFORMED)
        username, _, password = decoded.rstrip("\0").partition(":")
    if not isinstance(username, str) or not isinstance(password, str) or len(username) > 255 or len(password) > 4096:
        return Entry(host, why_not=MALFORMED)
    if value.get("identitytoken") or username == "<token>":
        return Entry(host, why_not=TOKEN)
    if username and password:
        return Entry(host, username, password)
    return Entry(host, why_not=HELPER if helped else EMPTY)
