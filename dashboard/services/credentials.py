"""The credential of a person or of a group on a registry: verified before it is kept, encrypted, removed on wish."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.db import models
from django.utils import timezone

from dashboard.models import AuditEntry, Credential, Registry, User, encryption
from dashboard.registry.auth import PASSWORD_REFUSED, AuthScheme
from dashboard.registry.auth import Credential as ClientCredential
from dashboard.registry.errors import RegistryError

from . import access, audit, connections
from .audit import Actor

BUDGET = 15.0
MAX_GROUPS = 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the registry said of a credential. `needless`: it lets everybody in, so nothing was proved; `refused`: it
    is the name or the password that it does not take.
    """

    accepted: bool
    needless: bool = False
    refused: bool = False
    error: RegistryError | None = None


def verify(*, registry: Registry, username: str, password: str, budget: float = BUDGET) -> Verdict:
    """Asks the registry whether it accepts the credential, `budget` seconds at most; raises nothing."""
    try:
        with connections.asked_anew(registry) as client:
            ping = client.session(ClientCredential(username, password), budget=budget).ping()
    except RegistryError as error:
        return Verdict(accepted=False, error=error)
    needless, refused = ping.scheme is AuthScheme.NONE, ping.refusal in PASSWORD_REFUSED
    return Verdict(accepted=ping.status == 200, needless=needless, refused=refused)


def keep(*, user: User, registry: Registry, username: str, password: str, actor: Actor | None = None) -> Verdict:
    """Verifies a credential and, if it is accepted, keeps it in place of the person's earlier one.

    Without an `actor` the caller writes the audit.
    """
    verdict = verify(registry=registry, username=username, password=password)
    if verdict.accepted and not verdict.needless:
        store(user=user, registry=registry, username=username, password=password)
        if actor is not None:
            _note(actor, registry, "own-credential-set", username)
    return verdict


def store(*, user: User, registry: Registry, username: str, password: str) -> Credential:
    """Keeps a credential that the registry has just accepted."""
    row = Credential.objects.filter(user=user, registry=registry).first() or Credential(user=user, registry=registry)
    return keep_in(row, username, password)


def keep_in(row: Credential, username: str, password: str) -> Credential:
    """Keeps in `row` what the registry has just accepted."""
    row.origin, row.username = row.registry.origin, username
    row.state, row.checked_at, row.asked_again_at = Credential.State.ACCEPTED, timezone.now(), None
    row.set_secret(password)
    row.save()
    access.forget()
    return row


def keep_for_group(*, group: Group, registry: Registry, username: str, password: str, actor: Actor) -> Verdict:
    """Verifies the credential of a group and, if it is accepted, keeps it in place of its earlier one."""
    verdict = verify(registry=registry, username=username, password=password)
    if verdict.accepted and not verdict.needless:
        row = Credential.objects.filter(group=group, registry=registry).first()
        keep_in(row or Credential(group=group, registry=registry), username, password)
        _note(actor, registry, "group-credential-set", f"{group.name}: {username}")
    return verdict


def remove_of_group(*, group: Group, registry: Registry, actor: Actor) -> bool:
    """Forgets the credential of a group; whether there was one."""
    count, _ = Credential.objects.filter(group=group, registry=registry).delete()
    access.forget()
    if count:
        _note(actor, registry, "group-credential-removed", group.name)
    return count > 0


def of_groups(registry: Registry) -> list[tuple[Group, Credential | None]]:
    """Every group, by name, with its credential on a registry; at most MAX_GROUPS."""
    rows = Credential.objects.filter(registry=registry, group__isnull=False).select_related("registry")
    kept = {row.group_id: row for row in rows}
    return [(group, kept.get(group.pk)) for group in Group.objects.order_by("name")[:MAX_GROUPS]]


def _note(actor: Actor, registry: Registry, code: str, reason: str) -> None:
    audit.record(
        actor=actor,
        action=AuditEntry.Action.CREDENTIAL,
        outcome=AuditEntry.Outcome.DONE,
        registry=registry.slug,
        code=code,
        reason=reason,
    )


def remove(*, user: User, registry: Registry, actor: Actor) -> bool:
    """Forgets the person's credential; whether there was one."""
    count, _ = Credential.objects.filter(user=user, registry=registry).delete()
    access.forget()
    if count:
        _note(actor, registry, "own-credential-removed", "")
    return count > 0


def rotate_all() -> tuple[int, int]:
    """Encrypts every stored secret, of people and of registries, anew under the newest key; how many, and how many no
    key can read.
    """
    rotated = unreadable = 0
    for row, column in _secrets():
        try:
            anew = encryption.rotate(getattr(row, column))
        except encryption.SecretUnreadable:
            unreadable += 1
            continue
        setattr(row, column, anew)
        row.save(update_fields=[column])
        rotated += 1
    return rotated, unreadable


def _secrets() -> Iterator[tuple[models.Model, str]]:
    """Each stored secret: its row, and the column that holds it."""
    for credential in Credential.objects.iterator(chunk_size=200):
        yield credential, "encrypted_secret"
    for registry in Registry.objects.all():
        for column in ("encrypted_default_password", "encrypted_events_token"):
            if getattr(registry, column):
                yield registry, column
