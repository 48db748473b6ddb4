"""The user of the registry that comes with an invitation: wished by who invites, made when the link is used.

An unused link leaves nothing on the registry. The password is generated at that moment, kept as the person's own
credential and handed to the person alone, once. What hinders it never hinders the sign-in.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dashboard.models import AuditEntry, Registry, User
from dashboard.registry import htpasswd
from dashboard.registry.htpasswd import Refused

from . import audit, registry_users
from .audit import Actor
from .credentials import Verdict
from .registry_users import FileProblem

GONE = "not-mounted"
NOT_MADE = "registry-user-not-made"
"""A code in the audit."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """What became of it. `password` "": it was not made; then `code` is one of FileProblem, Refused or GONE (there is
    no such registry here any more), or `verdict` is what the registry said of it.
    """

    name: str
    registry: Registry | None
    password: str = field(default="", repr=False)
    code: str = ""
    verdict: Verdict | None = None


def registry_of_users() -> Registry | None:
    """The registry whose users are made here; None where its password file is not mounted."""
    registry = Registry.objects.filter(from_environment=True).first()
    return registry if registry is not None and registry_users.are_of(registry) else None


def hindrance(registry: Registry, name: str) -> str:
    """Why a user of that name could not be made now, a code of FileProblem or Refused; "" if it could."""
    if code := registry_users.problem():
        return code
    try:
        shown = registry_users.shown(registry)
    except FileProblem as problem:
        return problem.code
    if shown.malformed:
        return htpasswd.NOT_READABLE
    if not htpasswd.is_name(name):
        return htpasswd.NAME
    return htpasswd.EXISTS if any(user.name == name for user in shown.users) else ""


def make(*, user: User, name: str, address: str) -> Welcome:
    """Makes the registry user `name` for `user`, who has just used the invitation from `address`. Raises nothing."""
    registry = registry_of_users()
    actor = Actor(user.get_username(), address)
    if registry is None:
        return _not_made(actor, Welcome(name, None, code=GONE))
    try:
        written = registry_users.map_to(registry=registry, user=user, name=name, seen=None, actor=actor, told=True)
    except (Refused, FileProblem) as problem:
        return _not_made(actor, Welcome(name, registry, code=problem.code))
    found = Welcome(name, registry, written.password, verdict=written.verdict)
    return found if found.password else _not_made(actor, found)


def _not_made(actor: Actor, found: Welcome) -> Welcome:
    audit.record(
        actor=actor,
        action=AuditEntry.Action.REGISTRY_USER,
        outcome=AuditEntry.Outcome.FAILED,
        registry=found.registry.slug if found.registry else "",
        code=NOT_MADE,
        reason=found.name,
    )
    return found
