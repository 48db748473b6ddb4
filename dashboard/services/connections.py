"""Connections: the one client of each registry in this process, and as whom a person acts on it.

People act with their own credential, with that of a group of theirs or with the registry's default one, as the registry
says; never with one in place of another. Background work always uses the default credential. A default credential whose
password cannot be had stays that credential: its sessions refuse, with the reason, and ask nothing; nobody acts as
nobody in its place.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings

from dashboard.models import Credential, Registry, User
from dashboard.models.encryption import SecretUnreadable
from dashboard.registry.auth import Credential as ClientCredential
from dashboard.registry.client import RegistryClient, RegistrySession

from . import request_tally

CREDENTIAL_MISSING = "credential-missing"
CREDENTIAL_UNREADABLE = "credential-unreadable"
"""Reasons of an Unauthorized, beside the client's own: the password has to be entered again; its key is gone."""
PAGE_BUDGET = 5.0
"""Seconds that one page may spend on the registry in all."""


class ActingWith(StrEnum):
    """Whose credential a session uses."""

    OWN = "own"
    GROUP = "group"
    DEFAULT = "default"
    NOBODY = "nobody"


class OwnCredential(StrEnum):
    """Why somebody acts as nobody where people act with their own credential, or with that of a group of theirs."""

    USABLE = "usable"
    MISSING = "missing"
    REFUSED = "refused"
    MOVED = "moved"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Acting:
    """As whom somebody acts on a registry: the session, whose credential it uses, and its name there ("" = nobody).

    `group` is the name of the group whose credential it is, `kept` the row of a kept credential: the one that is used,
    or the one that cannot be.
    """

    registry: Registry
    session: RegistrySession
    acting_with: ActingWith
    name: str
    own: OwnCredential | None = None
    group: str = ""
    kept: Credential | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """A kept credential and what can be done with it; `row` None: there is none."""

    row: Credential | None
    credential: ClientCredential | None
    own: OwnCredential


_clients: dict[tuple[int, str, str, str], RegistryClient] = {}
_lock = threading.Lock()


def _make_client(registry: Registry) -> RegistryClient:
    return RegistryClient(registry.url, name=registry.public_host, ca_file=registry.ca_file or None)


_factory: Callable[[Registry], RegistryClient] = _make_client


def client_for(registry: Registry) -> RegistryClient:
    """This process's client of `registry`; a new one when its address, name or certificate authority changed."""
    key = (registry.pk, registry.url, registry.public_host, registry.ca_file)
    with _lock:
        client = _clients.get(key)
        if client is None:
            client = _clients[key] = _counted(registry)
        return client


@contextmanager
def asked_anew(registry: Registry) -> Iterator[RegistryClient]:
    """A client that remembers nothing, to ask about a password: a token from before would prove nothing of it."""
    with closing(_counted(registry)) as client:
        yield client


def _counted(registry: Registry) -> RegistryClient:
    """A new client, whose requests stand in the metrics once the registry's row is kept."""
    client = _factory(registry)
    if registry.pk is not None:
        client.observe(functools.partial(request_tally.note, registry.pk))
    return client


@contextmanager
def clients_made_by(factory: Callable[[Registry], RegistryClient]) -> Iterator[None]:
    """Within it, clients come from `factory` (tests plug the fake registry in here)."""
    global _factory
    with _lock:
        kept, _factory = (_factory, dict(_clients)), factory
        _clients.clear()
    try:
        yield
    finally:
        with _lock:
            _factory = kept[0]
            _clients.clear()
            _clients.update(kept[1])


def default_credential(registry: Registry) -> ClientCredential | None:
    """The credential that background work, and people where the registry says so, act with; None for none.

    One whose password cannot be had comes as unusable.
    """
    if registry.from_environment:
        name = settings.REGISTRY_USERNAME
        return ClientCredential(name, settings.REGISTRY_PASSWORD) if name else None
    if not registry.default_username:
        return None
    try:
        password = registry.default_password()
    except SecretUnreadable:
        return ClientCredential(registry.default_username, "", unusable=CREDENTIAL_UNREADABLE)
    return ClientCredential(registry.default_username, password, unusable="" if password else CREDENTIAL_MISSING)


def own_credential(user: User, registry: Registry) -> tuple[ClientCredential | None, OwnCredential]:
    """A person's own credential if it can be used now, and if not, why."""
    found = _own(user, registry)
    return found.credential, found.own


def group_credential(user: User, registry: Registry) -> tuple[ClientCredential | None, OwnCredential, str]:
    """The credential of a group of theirs, and its name: of several that can be used the first by name.

    Where none can be used, why that of the first group that has one cannot; MISSING where no group has one.
    """
    found = _of_group(user, registry)
    return found.credential, found.own, _group_of(found)


def standing_of(row: Credential) -> OwnCredential:
    """Whether a kept credential can be used now, and if not, why."""
    return _found(row).own


def _own(user: User, registry: Registry) -> _Found:
    rows = Credential.objects.filter(user=user.pk, registry=registry)  # a visitor has none
    return _found(rows.select_related("registry").first())


def _of_group(user: User, registry: Registry) -> _Found:
    """The same on every database: by the code points of the group's name, whatever the collation.

    One that is known to be refused is passed over, which is no way around it: each group of theirs is theirs to act
    for. It is passed over from the next page on, never within one: a session keeps the credential that it began with.
    """
    rows = Credential.objects.filter(group__in=user.groups.values("pk"), registry=registry)
    found = [_found(row) for row in sorted(rows.select_related("registry", "group"), key=lambda row: str(row.group))]
    usable = [each for each in found if each.credential is not None]
    return next(iter(usable or found), _found(None))


def _group_of(found: _Found) -> str:
    return str(found.row.group) if found.row else ""


def _found(row: Credential | None) -> _Found:
    if row is None:
        return _Found(None, None, OwnCredential.MISSING)
    if row.origin != row.registry.origin:
        return _Found(row, None, OwnCredential.MOVED)
    if row.state != Credential.State.ACCEPTED:
        return _Found(row, None, OwnCredential.REFUSED)
    try:
        return _Found(row, ClientCredential(row.username, row.secret()), OwnCredential.USABLE)
    except SecretUnreadable:
        return _Found(row, None, OwnCredential.UNREADABLE)


def acting(*, user: User, registry: Registry, budget: float | None = PAGE_BUDGET) -> Acting:
    """As whom `user` acts on `registry`; `budget` in seconds for everything the session asks."""
    if registry.act_with == Registry.ActWith.DEFAULT:
        return background(registry=registry, budget=budget)
    by_group = registry.act_with == Registry.ActWith.GROUP
    found = _of_group(user, registry) if by_group else _own(user, registry)
    return Acting(
        registry=registry,
        session=client_for(registry).session(found.credential, budget=budget),
        acting_with=_with(found, by_group=by_group),
        name=found.credential.username if found.credential else "",
        own=found.own,
        group=_group_of(found) if by_group else "",
        kept=found.row,
    )


def _with(found: _Found, *, by_group: bool) -> ActingWith:
    if found.credential is None:
        return ActingWith.NOBODY
    return ActingWith.GROUP if by_group else ActingWith.OWN


def background(*, registry: Registry, budget: float | None = None) -> Acting:
    """Acting with the default credential, as background work does."""
    credential = default_credential(registry)
    session = client_for(registry).session(credential, budget=budget)
    if credential is None:
        return Acting(registry, session, ActingWith.NOBODY, "")
    return Acting(registry, session, ActingWith.DEFAULT, credential.username)
