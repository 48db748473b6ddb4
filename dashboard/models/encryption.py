"""Encryption of stored secrets: Fernet with the keys of DASHBOARD_CREDENTIAL_KEYS, the newest first."""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class SecretUnreadable(Exception):
    """A stored secret was encrypted under a key that is no longer configured; it has to be entered again."""


def _fernet() -> MultiFernet:
    keys = settings.CREDENTIAL_KEYS
    if not keys:
        raise ImproperlyConfigured("DASHBOARD_CREDENTIAL_KEYS is not set; secrets cannot be stored.")
    return MultiFernet([Fernet(key.strip()) for key in keys])


def encrypt(secret: str) -> str:
    """`secret` encrypted under the newest key. Raises ImproperlyConfigured without keys."""
    return _fernet().encrypt(secret.encode()).decode("ascii")


def decrypt(token: str) -> str:
    """The secret in `token`. Raises SecretUnreadable if none of the keys fits."""
    try:
        return _fernet().decrypt(token.encode("ascii")).decode()
    except (InvalidToken, UnicodeError):
        raise SecretUnreadable from None


def rotate(token: str) -> str:
    """`token` encrypted anew under the newest key. Raises SecretUnreadable if none of the keys fits."""
    try:
        return _fernet().rotate(token.encode("ascii")).decode("ascii")
    except (InvalidToken, UnicodeError):
        raise SecretUnreadable from None
