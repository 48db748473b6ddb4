"""Taking one's own credentials over from Docker's configuration file: each is verified before it is kept."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.models import AuditEntry, Registry, User
from dashboard.registry.docker_config import Entry
from dashboard.registry.errors import RegistryError

from . import audit, credentials, roles
from .audit import Actor

KEPT, REFUSED, NEEDLESS, UNANSWERED, DEFAULT, UNKNOWN = (
    "kept", "refused", "needless", "unanswered", "default", "unknown",
)  # fmt: skip
"""What became of an entry: kept; the registry refuses it, asks for none, did not answer; people act with the default
credential there; there is no such registry here."""
MAX_ASKED = 20


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an entry: one of the codes above, or why it tells no password."""

    host: str
    username: str
    code: str
    registry: Registry | None = None
    error: RegistryError | None = None


def take_over(*, user: User, entries: list[Entry], actor: Actor) -> list[Taken]:
    """Verifies and keeps what is for registries that this person may see; at most MAX_ASKED are asked."""
    here: dict[str, Registry] = {}
    for registry in roles.registries_for(user):
        for host in (registry.public_host.lower(), registry.origin.partition("://")[2]):
            here.setdefault(host, registry)
    asked = 0
    found = []
    for entry in entries:
        known = here.get(entry.host)
        if known is not None and not entry.why_not and known.act_with == Registry.ActWith.OWN:
            asked += 1
            if asked > MAX_ASKED:
                break
        found.append(taken := _take(user, entry, known))
        if taken.code == KEPT and known is not None:
            audit.record(
                actor=actor,
                action=AuditEntry.Action.CREDENTIAL,
                outcome=AuditEntry.Outcome.DONE,
                registry=known.slug,
                code="credential-imported",
                reason=taken.username,
            )
    return found


def _take(user: User, entry: Entry, registry: Registry | None) -> Taken:
    if registry is None:
        return Taken(entry.host, entry.username, UNKNOWN)
    if registry.act_with != Registry.ActWith.OWN:
        return Taken(entry.host, entry.username, DEFAULT, registry)
    if entry.why_not:
        return Taken(entry.host, entry.username, entry.why_not, registry)
    verdict = credentials.keep(user=user, registry=registry, username=entry.username, password=entry.password)
    if verdict.error is not None:
        return Taken(entry.host, entry.username, UNANSWERED, registry, verdict.error)
    code = NEEDLESS if verdict.needless else KEPT if verdict.accepted else REFUSED
    return Taken(entry.host, entry.username, code, registry)
