"""Registries as described: what of a description is right, and keeping it; the token of their notifications.

The row of the environment follows the settings and is read-only in the interface; any other is made there.
"""

from __future__ import annotations

import os
import re
import secrets
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

from dashboard.models import Registry, encryption
from dashboard.models.registry import SLUG_PATTERN
from dashboard.registry.client import Ping, RegistryClient
from dashboard.registry.errors import RegistryError
from dashboard.storage import bucket

from . import access, connections, credentials, status

PING_BUDGET = 5.0
MAX_CA_BYTES = 16 * 1024 * 1024
TOKEN_BYTES = 32


def is_slug(text: str) -> bool:
    """Whether it may stand in our addresses: lower-case letters and digits, parts joined by single hyphens."""
    return re.fullmatch(SLUG_PATTERN, text) is not None


def is_address(url: str) -> bool:
    """Whether it is a registry's address, as the client judges it, which refuses to be made for anything else."""
    try:
        RegistryClient(url).close()
    except ValueError:
        return False
    return True


def is_ca_file(path: str) -> bool:
    """Whether a file can be read here as PEM certificates."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > MAX_CA_BYTES:  # noqa: PTH113, PTH202 (never raise)
            return False
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError):
        return False
    return True


def is_storage_root(path: str) -> bool:
    """Whether a directory is there. What it holds is told by its pages."""
    return os.path.isdir(path)  # noqa: PTH112 (which raises for a name that is too long)


def is_storage_url(url: str) -> bool:
    """Whether it is the address of a bucket. What that holds is told by its pages."""
    return bucket.is_address(url)


def follow_environment() -> Registry | None:
    """Makes or updates the row of the registry that the environment names; None if it names none."""
    if not settings.REGISTRY_URL:
        Registry.objects.filter(from_environment=True).update(from_environment=False)
        return None
    values = {
        "url": settings.REGISTRY_URL,
        "public_host": settings.REGISTRY_PUBLIC_HOST or urlsplit(settings.REGISTRY_URL).netloc,
        "ca_file": settings.REGISTRY_CA_FILE,
        "storage_root": settings.STORAGE_ROOT,
        "storage_url": settings.STORAGE_URL,
        "act_with": settings.REGISTRY_ACT_WITH,
        "sign_in": settings.REGISTRY_SIGN_IN,
        "allow_removal": settings.ALLOW_DIRECTORY_REMOVAL,
        "allow_upload_removal": settings.ALLOW_UPLOAD_REMOVAL,
        "from_environment": True,
    }
    registry, _ = Registry.objects.update_or_create(slug=settings.REGISTRY_SLUG, defaults=values)
    Registry.objects.filter(from_environment=True).exclude(pk=registry.pk).update(from_environment=False)
    return registry


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a description: whether it was kept, what the registry answered, and what it said of a password.

    `verdict` is None where no password was given. What cannot be reached is kept; with a refused password nothing is,
    and `answer` is None.
    """

    kept: bool
    answer: Ping | RegistryError | None
    verdict: credentials.Verdict | None = None


def save(*, registry: Registry, password: str = "") -> Saved:
    """Keeps a registry that people described; a `password` of its default credential is verified before it is kept.

    One that could not be asked about is not kept. The one from before goes with its name, or with the origin that it
    was given for.
    """
    verdict = None
    accepted = False
    if password:
        verdict = credentials.verify(registry=registry, username=registry.default_username, password=password)
        if verdict.error is None and not verdict.accepted:
            return Saved(kept=False, answer=None, verdict=verdict)
        accepted = verdict.accepted and not verdict.needless
    before = Registry.objects.filter(pk=registry.pk).values_list("default_username", flat=True).first()
    if verdict is not None and verdict.needless:
        registry.default_username = ""
    if accepted:
        registry.set_default_password(password)
    elif registry.default_username != before or registry.default_origin != registry.origin:
        registry.set_default_password("")
    registry.save()
    forget()
    return Saved(kept=True, answer=_ping(registry), verdict=verdict)


def make_events_token(registry: Registry) -> str:
    """A new token for the registry's notifications, in place of any before. It is kept encrypted: show it now."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    registry.encrypted_events_token = encryption.encrypt(token)
    registry.save(update_fields=["encrypted_events_token"])
    return token


def drop_events_token(registry: Registry) -> None:
    """From now on the registry's notifications are refused."""
    registry.encrypted_events_token = ""
    registry.save(update_fields=["encrypted_events_token"])


def _ping(registry: Registry) -> Ping | RegistryError:
    """What the registry answers to its default credential, asked anew."""
    try:
        with connections.asked_anew(registry) as client:
            return client.session(connections.default_credential(registry), budget=PING_BUDGET).ping()
    except RegistryError as error:
        return error


def forget() -> None:
    """Forgets what this process remembers of all registries."""
    access.forget()
    status.forget()
