"""Tokens and codes that are shown once and kept as hashes."""

from __future__ import annotations

import hashlib
import secrets

MAX_LENGTH = 100


def new_token() -> str:
    """256 random bits, fit for an address."""
    return secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    """What is kept of it: the SHA-256 in hex. What is longer than any token has the hash of nothing."""
    return hashlib.sha256(token.encode("utf-8", "replace") if len(token) <= MAX_LENGTH else b"").hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two hashes are the same, in constant time."""
    return secrets.compare_digest(one, other)
