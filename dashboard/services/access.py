"""The one gate: what a person may see and do on a registry. Every page, list, sum and fragment passes it.

Two must agree. The access rules (`roles.py`) say which role a person has in which repositories; where there is none the
repository is not there for him. And what the registry allows counts too: without rights per repository (no
authentication, htpasswd) everything may be read that the acting credential may read; with token authentication a
repository is readable only if the acting credential was seen to read it (`pull_answers.py`), and hidden until then.
Content by digest is reached through a repository alone: the repository is asked whether it holds the digest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from django.db.models import Q, QuerySet

from dashboard.models import IndexedRepository, Registry, Role, User
from dashboard.registry.auth import AuthScheme
from dashboard.registry.client import Ping, RegistrySession
from dashboard.registry.errors import (
    RateLimited,
    RegistryError,
    RepositoryUnknown,
    ServerFault,
    Unauthorized,
    Unavailable,
)
from dashboard.registry.references import RepositoryName, is_repository
from dashboard.registry.scopes import MAX_NAMES

from . import connections, pull_answers, roles
from .connections import PAGE_BUDGET, Acting
from .pull_answers import PullAnswered
from .roles import Grants

STANDING_SECONDS = 60.0
STALE_SECONDS = 3600.0
"""An answer so old still counts while the registry does not answer at all: its index can be shown."""
UNANSWERED_SECONDS = 60.0
"""For so long others are asked about first."""
MAX_REMEMBERED = 50_000
NO_ANSWER = (Unavailable, ServerFault, RateLimited)
"""What says nothing of anybody's rights."""


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
_unanswered = _Remembered(UNANSWERED_SECONDS)


def forget() -> None:
    """Forgets every remembered answer of this process."""
    _standings.clear()
    _unanswered.clear()


def forget_name(registry: Registry, name: str) -> None:
    """Forgets, in all processes, what a name on a registry may do there, and every answer of this process."""
    forget()
    pull_answers.forget(registry, name)


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

    `checked` of the `total` that the rules allow were asked about so far; both are 0 where nothing had to be asked.
    """

    filter: Q
    checked: int = 0
    total: int = 0

    @property
    def complete(self) -> bool:
        """Whether nothing is missing because it was not asked about yet."""
        return self.checked == self.total


Choose = Callable[[QuerySet[IndexedRepository]], QuerySet[IndexedRepository]]
"""Those of some repositories that a page is about, in the order in which it shows them."""


def visible(access: Access, first: Choose | None = None) -> Visible:
    """What of the index this person may see on this registry. Raises RegistryError.

    Under token authentication fifty of those that nothing is known of are asked about, what `first` chooses before
    others; then those whose answers are oldest.
    """
    if not has_rights_per_repository(access):
        return by_rules(access)
    rules = access.grants.having(Role.READER)
    indexed = IndexedRepository.objects.filter(rules, registry=access.registry).exclude(read_at=None)
    answers = pull_answers.known(access.acting)
    usable = {name: answer for name, answer in answers.items() if answer.is_younger(pull_answers.KEPT)}
    unknown = _first_names(indexed.exclude(name__in=usable), first)
    aged = [name for name, answer in reversed(usable.items()) if not answer.is_younger(pull_answers.FRESH)]
    try:
        asked = _ask(access, [*unknown, *aged])
    except NO_ANSWER:
        if not answers:
            raise
        usable, asked = answers, {}
    usable |= {name: answer for name, answer in asked.items() if isinstance(answer, PullAnswered)}
    allowed = tuple(sorted(name for name, answer in usable.items() if answer.allowed))
    may_see = rules & Q(name__in=allowed)
    if all(name in usable for name in unknown):
        return Visible(may_see)
    every = indexed.count()
    return Visible(may_see, checked=every - indexed.exclude(name__in=usable).count(), total=every)


def _first_names(rows: QuerySet[IndexedRepository], first: Choose | None) -> list[str]:
    names = list(first(rows).values_list("name", flat=True)[: 2 * MAX_NAMES]) if first else []
    if len(names) < MAX_NAMES:
        others = rows.exclude(name__in=names).order_by("sort_key").values_list("name", flat=True)
        names += others[: 2 * MAX_NAMES]
    return names


def by_rules(access: Access) -> Visible:
    """What of the index the access rules let this person see; the registry is not asked."""
    return Visible(access.grants.having(Role.READER))


def readable(access: Access, names: Sequence[str]) -> dict[str, bool | RegistryError]:
    """Which of `names` this person may know of. Raises RegistryError if the registry does not answer at all.

    Under token authentication fifty of those with no fresh answer are asked about; the others are hidden until they
    are. A name that could not be asked comes with its error and must not be shown.
    """
    hidden = {name: False for name in names if not access.grants.allow(Role.READER, name)}
    return hidden | _allowed_by_registry(access, [name for name in names if name not in hidden])


def took_back(access: Access, names: Sequence[str]) -> bool:
    """Asks again about what a page is about to show and was asked about too long ago: whether anything of it may not be
    read any more. Raises RegistryError.
    """
    return any(answer is False for answer in readable(access, names).values())


def _allowed_by_registry(access: Access, names: Sequence[str]) -> dict[str, bool | RegistryError]:
    if not has_rights_per_repository(access):
        return dict.fromkeys(names, True)
    answers = pull_answers.known(access.acting)
    due = [name for name in names if name not in answers or not answers[name].is_younger(pull_answers.FRESH)]
    asked: Mapping[str, PullAnswered | RegistryError]
    try:
        asked = _ask(access, due)
    except NO_ANSWER as error:
        asked = dict.fromkeys(due, error)
    return {name: _best(asked.get(name), answers.get(name)) for name in names}


def _best(asked: PullAnswered | RegistryError | None, known: PullAnswered | None) -> bool | RegistryError:
    """What was just answered, else what is known; hidden where that is nothing."""
    if isinstance(asked, PullAnswered):
        return asked.allowed
    if isinstance(asked, RegistryError) and (known is None or not isinstance(asked, NO_ANSWER)):
        return asked
    return known is not None and known.allowed


def _ask(access: Access, names: Sequence[str]) -> dict[str, PullAnswered | RegistryError]:
    """Asks about fifty of them; those that could not be answered a moment ago come last."""
    ordered = sorted(names, key=lambda name: _unanswered.get(_key(access, name)) is not None)
    asked = pull_answers.ask(access.acting, ordered)
    for name, answer in asked.items():
        if isinstance(answer, RegistryError):
            _unanswered.put(_key(access, name), True)
    return asked


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


def _key(access: Access, name: str) -> tuple[object, ...]:
    return access.registry.pk, access.registry.url, access.acting.acting_with, access.acting.name, name
