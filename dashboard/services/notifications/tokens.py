"""The token that a registry's notifications carry: of the environment, or encrypted on the registry's row."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from django.conf import settings

from dashboard.models import Registry, encryption

_NOBODYS = secrets.token_bytes(32)


def token_of(registry: Registry) -> str:
    """The token of a registry's notifications; "" if it has none, or one that no key can read."""
    if registry.from_environment:
        return str(settings.EVENTS_TOKEN)
    if not registry.encrypted_events_token:
        return ""
    try:
        return encryption.decrypt(registry.encrypted_events_token)
    except encryption.SecretUnreadable:
        return ""


def sender(*, slug: str, authorization: str) -> Registry | None:
    """The registry of this slug if the Authorization header carries its token; None in every other case alike."""
    registry = Registry.objects.filter(slug=slug).first()
    token = token_of(registry) if registry is not None else ""
    scheme, _, given = authorization.partition(" ")
    # Compared as hashes, so that not even its length shows; where there is no token, with one that nobody has.
    expected = hashlib.sha256(token.encode()).digest() if token else _NOBODYS
    is_right = hmac.compare_digest(hashlib.sha256(_octets(given.strip())).digest(), expected)
    return registry if is_right and scheme.lower() == "bearer" else None


def _octets(header: str) -> bytes:
    """WSGI hands out a header's octets as Latin-1 characters."""
    return header.encode("latin-1", "replace")
