"""The one gate: what a person may see and do on a registry. Every page, list, sum and fragment passes it.

Two must agree. The access rules (`roles.py`) say which role a person has in which repositories; where there is none the
repository is not there for him. And what the registry allows counts too: without rights per repository (no
authentication, htpasswd) everything may be read that the acting credential may read; with token authentication a
repository is readable only if the acting credential was seen to read it: asked of the registry, and remembered for a
few minutes in this process. Content by digest is reached through a repository alone: the repository is asked whether it
holds the digest.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from http import HTTPStatus

from django.db.models import Q

from dashboard.models import IndexedRepository, Registry, Role, User
from dashboard.registry.auth import AuthScheme
from dashboard.registry.client import Ping, RegistrySession
from dashboard.registry.errors import Forbidden, NotFound, RegistryError, RepositoryUnknown, Unauthorized, Unavailable
from dashboard.registry.references import RepositoryName, is_repository

from . import connections, parallel, roles
from .connections import PAGE_BUDGET, Acting
from .roles import Grants

STANDING_SECONDS = 60.0
READABLE_SECONDS = 300.0
STALE_SECONDS = 3600.0
"""An answer so old still counts while the registry does not answer at all: its index can be shown."""
MAX_REMEMBERED = 50_000
MAX_ASKED = 400
"""Repositories that are asked about for one page of a registry that decides repository by repository."""


@dataclass(frozen=True, slots=True)
class Access:
    """What `user` may see and do on `registry`, acting as `acting`; on the pages of one `repository` there."""

    user: User
    registry: Registry
    acting: Acting
    grants: Grants
    repository: str = ""

    @property
    def role(self) -> Role | None:
        """The role in the repository, else in every one of the registry; None for nobody."""
        return self.grants.role_in(self.repository) if self.repository else self.grants.everywhere

    @property
    def may_point(self) -> bool:
        """Whether tags may be pointed at another image here."""
        return (self.role or 0) >= Role.DEVELOPER

    @property
    def may_delete(self) -> bool:
        """Whether tags and images may be deleted here, and brought back."""
        return (self.role or 0) >= Role.MAINTAINER

    def may_delete_in(self, repository: str) -> bool:
        """The same in any repository, on the pages of the registry."""
        return self.grants.allow(Role.MAINTAINER, repository)

    @property
    def may_delete_somewhere(self) -> bool:
        """Whether there may be a repository in which they may."""
        return (self.grants.anywhere or 0) >= Role.MAINTAINER

    @property
    def administers(self) -> bool:
        """Whether the registry itself may be changed: its jobs, uploads, collections."""
        return self.grants.everywhere == Role.ADMINISTRATOR

    def within(self, repository: str) -> Access:
        """The same on the pages of one repository."""
        return replace(self, repository=repository)

    @property
    def session(self) -> RegistrySession:
        """The session that everything this person sees is read with."""
        return self.acting.session


class _Remembered:
    """Answers with an age, safe across threads, bounded in number."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._answers: dict[tuple[object, ...], tuple[float, object]] = {}
        self._lock = threading.Lock()

    def get(self, key: tuple[object, ...], *, stale: bool = False) -> object | None:
        with self._lock:
            answer = self._answers.get(key)
        if answer is None or time.monotonic() - answer[0] > (STALE_SECONDS if stale else self._seconds):
            return None
        return answer[1]

    def put(self, key: tuple[object, ...], value: object) -> None:
        with self._lock:
            if len(self._answers) >= MAX_REMEMBERED:
                self._answers.clear()
            self._answers[key] = (time.monotonic(), value)

    def clear(self) -> None:
        with self._lock:
            self._answers.clear()


_standings = _Remembered(STANDING_SECONDS)
_readable = _Remembered(READABLE_SECONDS)


def forget() -> None:
    """Forgets every remembered answer of this process."""
    _standings.clear()
    _readable.clear()


def access_to(*, user: User, registry: Registry, budget: float | None = PAGE_BUDGET) -> Access:
    """The access of `user` to `registry`. Asks the registry nothing.

    `budget` in seconds for all that is asked later with its session.
    """
    acting = connections.acting(user=user, registry=registry, budget=budget)
    return Access(user, registry, acting, roles.grants_of(user=user, registry=registry))


def has_rights_per_repository(access: Access) -> bool:
    """Whether this registry decides repository by repository (token authentication). Raises RegistryError.

    Where it does not, the acting credential must be accepted by the registry as a whole, else Unauthorized is raised:
    so nothing that we know of a registry is shown to somebody whom it would turn away.
    """
    key = (access.registry.pk, access.registry.url, access.acting.acting_with, access.acting.name)
    standing = _standings.get(key)
    if not isinstance(standing, Ping):
        try:
            standing = access.session.ping()
        except Unavailable:
            standing = _standings.get(key, stale=True)
            if not isinstance(standing, Ping):
                raise
        else:
            _standings.put(key, standing)
    if standing.scheme is AuthScheme.BEARER:
        return True
    if standing.status != HTTPStatus.OK:
        raise Unauthorized(
            "ping",
            access.registry.public_host,
            user=access.acting.name,
            status=standing.status,
            reason=standing.refusal,
        )
    return False


@dataclass(frozen=True, slots=True)
class Visible:
    """Which indexed repositories somebody may know of: a filter for IndexedRepository.

    `complete` is False where there are more than could be asked about: then some may be missing.
    """

    filter: Q
    complete: bool = True


def visible(access: Access) -> Visible:
    """What of the index this person may see on this registry. Raises RegistryError.

    Under token authentication the repositories are asked about, at most MAX_ASKED of them, in the order of their names.
    """
    if not has_rights_per_repository(access):
        return by_rules(access)
    indexed = IndexedRepository.objects.filter(access.grants.having(Role.READER), registry=access.registry)
    indexed = indexed.exclude(read_at=None)
    names = list(indexed.order_by("sort_key").values_list("name", flat=True)[: MAX_ASKED + 1])
    answers = readable(access, names[:MAX_ASKED])
    allowed = [name for name, answer in answers.items() if answer is True]
    return Visible(Q(name__in=allowed), complete=len(names) <= MAX_ASKED)


def by_rules(access: Access) -> Visible:
    """What of the index the access rules let this person see; the registry is not asked."""
    return Visible(access.grants.having(Role.READER))


def readable(access: Access, names: list[str]) -> dict[str, bool | RegistryError]:
    """Which of `names` this person may know of. Raises RegistryError if the registry does not answer at all.

    Under token authentication each is asked of the registry, at most once in a few minutes; a name that could not be
    asked comes with its error and must not be shown.
    """
    hidden = {name: False for name in names if not access.grants.allow(Role.READER, name)}
    return hidden | _allowed_by_registry(access, [name for name in names if name not in hidden])


def _allowed_by_registry(access: Access, names: list[str]) -> dict[str, bool | RegistryError]:
    if not has_rights_per_repository(access):
        return dict.fromkeys(names, True)
    known = {name: _readable.get(_key(access, name)) for name in names}
    unknown = [name for name, answer in known.items() if answer is None]
    asked = parallel.each(unknown, lambda name: _may_read(access.session, name))
    for name, answer in asked.items():
        if isinstance(answer, bool):
            _readable.put(_key(access, name), answer)
    found = {name: asked[name] if answer is None else bool(answer) for name, answer in known.items()}
    return {name: _or_stale(access, name, answer) for name, answer in found.items()}


def require(access: Access, name: str) -> None:
    """Nothing, if this person may know of the repository. Raises RegistryError, in the registry's words."""
    require_by_rules(access, name)
    answer = readable(access, [name])[name]
    if isinstance(answer, RegistryError):
        raise answer
    if not answer:
        if is_repository(name):
            access.session.tags(RepositoryName(name))
        raise _unknown(access, name)


def require_by_rules(access: Access, name: str) -> None:
    """Nothing, if the access rules let this person know of the repository. Raises RepositoryUnknown, as if it were not
    there.
    """
    if not access.grants.allow(Role.READER, name):
        raise _unknown(access, name)


def _unknown(access: Access, name: str) -> RepositoryUnknown:
    host = access.registry.public_host
    return RepositoryUnknown("tags", host, user=access.acting.name, status=404, subject=name)


def _or_stale(access: Access, name: str, answer: bool | RegistryError) -> bool | RegistryError:
    if isinstance(answer, Unavailable):
        before = _readable.get(_key(access, name), stale=True)
        return before if isinstance(before, bool) else answer
    return answer


def _key(access: Access, name: str) -> tuple[object, ...]:
    return access.registry.pk, access.registry.url, access.acting.acting_with, access.acting.name, name


def _may_read(session: RegistrySession, name: str) -> bool:
    if not is_repository(name):
        return False
    try:
        session.tags(RepositoryName(name))
    except (Unauthorized, Forbidden):
        return False
    except NotFound:
        return True
    return True
