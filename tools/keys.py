"""Keys and passwords of `make run`: made once, each in a file under `var/secrets/` that only the owner reads."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that look alike: somebody types these


def keep(directory: Path, name: str, make: Callable[[], str]) -> Path:
    """The file `directory/name`, filled by `make` if it is not there yet (directory 0700, file 0600)."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    path = directory / name
    if path.exists() and path.stat().st_size:
        path.chmod(0o600)
        return path
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(make() + "\n")
    unfinished.replace(path)
    return path


def long_key() -> str:
    """64 random characters for signing."""
    return secrets.token_urlsafe(48)


def encryption_key() -> str:
    """A Fernet key: 32 random bytes, URL-safe base64."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def password() -> str:
    """A password that a person can read off a terminal: twelve random characters (59 bits) in three groups."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3))
