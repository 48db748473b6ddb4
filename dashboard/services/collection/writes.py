"""Whether a registry refuses writes, by a real request: the beginning of an upload.

Only two answers count: 405 in plain text (Distribution in its read-only mode), and no answer at all because nobody
listens. Anything else might mean that a push can go on while blobs are removed.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from urllib.parse import urlsplit

from dashboard.models import Registry
from dashboard.registry.errors import ConnectionFailed, ReadOnly, RegistryError
from dashboard.registry.references import RepositoryName
from dashboard.services import connections

BUDGET = 15.0
CONNECT_SECONDS = 3.0
ACCEPTED = "accepted"
_PORTS = {"http": 80, "https": 443}


def why_not_refused(registry: Registry, repository: RepositoryName) -> str:
    """Empty if writes are refused; else ACCEPTED or the code of what was answered. An upload begun so is cancelled."""
    answer = _begin(registry, repository)
    if answer == ConnectionFailed.code:
        answer = _begin(registry, repository)  # the first may have met a connection from before the stop
    if answer == ConnectionFailed.code and not _listens(registry):
        return ""
    return answer


def _begin(registry: Registry, repository: RepositoryName) -> str:
    session = connections.background(registry=registry, budget=BUDGET).session
    try:
        upload = session.begin_upload(repository, b"")
    except ReadOnly:
        return ""
    except RegistryError as error:
        return error.code
    with suppress(RegistryError):
        session.cancel_upload(upload)
    return ACCEPTED


def _listens(registry: Registry) -> bool:
    """Whether anybody takes connections at the registry's address, whatever they then do with them."""
    parts = urlsplit(registry.url)
    address = (parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))
    try:
        with socket.create_connection(address, timeout=CONNECT_SECONDS):
            return True
    except TimeoutError:
        return True
    except OSError:
        return False
