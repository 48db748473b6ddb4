"""The state of a registry: what it is, how it answers, what it allows, what of it reaches us: storage, notifications.

Capabilities change rarely and are remembered for a minute in this process, so that a button can be shown as possible
or not without a probe for each page.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus

from dashboard.models import IndexState, Registry
from dashboard.registry.client import Capabilities, Ping
from dashboard.registry.errors import RegistryError, Unauthorized
from dashboard.storage.errors import StorageError

from . import connections, storage_source
from .access import Access
from .index.update import state_of
from .notifications import receive
from .notifications.tokens import token_of

FRESH_SECONDS = 60.0
LAMP_SECONDS = 15.0
LAMP_BUDGET = 2.0


@dataclass(frozen=True, slots=True)
class Lamp:
    """Whether a registry answers, and accepts the default credential if there is one: "ok" or an error's code."""

    code: str

    @property
    def is_ok(self) -> bool:
        """Whether it answered."""
        return self.code == "ok"


@dataclass(frozen=True, slots=True)
class Notified:
    """Whether the registry may notify us (it has a token), what arrived, and since when pulls are known of."""

    has_token: bool
    arrival: receive.Arrival
    pulls_since: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Status:
    """One look at a registry as one person; each part is what was found, or the error met.

    `mount` tells whether the storage was found to be this registry's when the index was last refreshed.
    """

    ping: Ping | RegistryError
    capabilities: Capabilities | RegistryError | None
    storage: storage_source.Source | StorageError | None
    notified: Notified
    mount: IndexState


_lock = threading.Lock()
_lamps: dict[int, tuple[float, Lamp]] = {}
_capabilities: dict[tuple[int, str, str, str], tuple[float, Capabilities]] = {}


def look(access: Access) -> Status:
    """Asks the registry and looks at the mount; raises nothing."""
    ping: Ping | RegistryError
    found: Capabilities | RegistryError | None = None
    try:
        ping = access.session.ping()
        found = _probe(access)
    except RegistryError as error:
        ping = error
    registry = access.registry
    notified = Notified(bool(token_of(registry)), receive.arriving(registry), receive.pulled_since(registry))
    return Status(ping, found, storage_source.look(registry, ask=True), notified, state_of(registry))


def capabilities(access: Access) -> Capabilities | None:
    """What the registry can do, asked at most once a minute; None if it did not say."""
    key = _key(access)
    with _lock:
        kept = _capabilities.get(key)
    if kept is not None and time.monotonic() - kept[0] < FRESH_SECONDS:
        return kept[1]
    found = _probe(access)
    return None if isinstance(found, RegistryError) else found


def lamp(registry: Registry) -> Lamp:
    """Whether `registry` answers, asked at most every few seconds in this process."""
    with _lock:
        kept = _lamps.get(registry.pk)
    if kept is not None and time.monotonic() - kept[0] < LAMP_SECONDS:
        return kept[1]
    try:
        acting = connections.background(registry=registry, budget=LAMP_BUDGET)
        refused = acting.session.ping().status == HTTPStatus.UNAUTHORIZED and acting.name
        found = Lamp(Unauthorized.code if refused else "ok")
    except RegistryError as error:
        found = Lamp(error.code)
    with _lock:
        _lamps[registry.pk] = (time.monotonic(), found)
    return found


def lamps() -> dict[str, str]:
    """The state of every registry, by slug."""
    return {registry.slug: lamp(registry).code for registry in Registry.objects.all()[:100]}


def forget() -> None:
    """Forgets what this process remembers of all registries."""
    with _lock:
        _lamps.clear()
        _capabilities.clear()


def _probe(access: Access) -> Capabilities | RegistryError:
    try:
        found = access.session.probe()
    except RegistryError as error:
        return error
    with _lock:
        if len(_capabilities) > 1000:
            _capabilities.clear()
        _capabilities[_key(access)] = (time.monotonic(), found)
    return found


def _key(access: Access) -> tuple[int, str, str, str]:
    return access.registry.pk, access.registry.url, access.acting.acting_with, access.acting.name
