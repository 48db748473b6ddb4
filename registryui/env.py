"""Readers of environment variables that fail loudly, with the variable's name and what it should hold.

A secret may come as NAME or, from a file, as NAME_FILE. Every variable read is kept in `VARIABLES`, so that a test can
hold the documentation and the compose file against what is really read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

VARIABLES: dict[str, str] = {}
"""Name of each variable read so far, to its kind: text, switch, number, list, path or secret."""

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    """The variable as text, surrounding white space removed."""
    VARIABLES[name] = "text"
    return os.environ.get(name, default).strip()


def switch(name: str, *, default: bool = False) -> bool:
    """The variable as a boolean. Raises ImproperlyConfigured for anything but true/false, yes/no, on/off, 1/0."""
    VARIABLES[name] = "switch"
    value = os.environ.get(name)
    if value is None:
        return default
    if value.strip().lower() in _TRUE:
        return True
    if value.strip().lower() in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")


def number(name: str, default: int, *, minimum: int = 0) -> int:
    """The variable as a whole number of at least `minimum`. Raises ImproperlyConfigured."""
    VARIABLES[name] = "number"
    value = os.environ.get(name, "").strip()
    if not value:
        return default
    try:
        result = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from None
    if result < minimum:
        raise ImproperlyConfigured(f"{name} must be at least {minimum}, not {result}.")
    return result


def words(name: str, default: str = "") -> list[str]:
    """The variable as a list: comma separated, empty parts left out."""
    VARIABLES[name] = "list"
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def path(name: str, default: Path | None = None) -> Path | None:
    """The variable as a path; `default` where it is unset or empty."""
    VARIABLES[name] = "path"
    value = os.environ.get(name, "").strip()
    return Path(value) if value else default


def secret(name: str) -> str:
    """A secret from NAME, or from the file that NAME_FILE names. Raises ImproperlyConfigured if that cannot be read."""
    VARIABLES[name] = "secret"
    file = os.environ.get(f"{name}_FILE", "").strip()
    if not file:
        return os.environ.get(name, "").strip()
    if os.environ.get(name, "").strip():
        raise ImproperlyConfigured(f"Both {name} and {name}_FILE are set; keep one.")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "not UTF-8 text"
        raise ImproperlyConfigured(f"{name}_FILE names {file}, which cannot be read: {reason}.") from None


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. `tls`: from the first byte; `starttls`: after a greeting; at most one of them."""

    host: str = "localhost"
    port: int = 25
    user: str = ""
    password: str = field(default="", repr=False)
    starttls: bool = False
    tls: bool = False


_MAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}


def mail_server(name: str) -> MailServer:
    """A secret like smtp+tls://user:password@host:587 (smtp: in the clear; smtps: TLS at once); localhost if unset.

    What is special in an address is percent-encoded in user and password. Raises ImproperlyConfigured, without them.
    """
    text = secret(name)
    if not text:
        return MailServer()
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in _MAIL_PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ImproperlyConfigured(
            f"{name} must be like smtp://host:25, smtp+tls://user:password@host:587 or smtps://user:password@host:465."
        )
    return MailServer(
        host=parts.hostname,
        port=port or _MAIL_PORTS[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        starttls=parts.scheme == "smtp+tls",
        tls=parts.scheme == "smtps",
    )
