"""Deleting tags as the pages do, without pages: a registry's row, a person who may, a plan, its execution."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.contrib.auth.models import Permission

from dashboard.models import Deletion, DeletionPlan, Registry, User
from dashboard.registry.client import RegistryClient, RegistrySession
from dashboard.registry.errors import ManifestUnknown
from dashboard.registry.references import RepositoryName, Tag
from dashboard.services import access, connections
from dashboard.services.access import Access
from dashboard.services.deletion import execute, plan


@dataclass(frozen=True)
class Desk:
    """Somebody who may delete, at one registry."""

    registry: Registry
    user: User
    session: RegistrySession

    @property
    def access(self) -> Access:
        """A fresh access, as a request has."""
        return access.access_to(user=self.user, registry=self.registry, budget=60)

    def plan(self, repository: RepositoryName, tag: str) -> DeletionPlan:
        """What the page would show."""
        now = self.access
        return plan.make(now, repository, Tag(tag), now.session.probe(repository))

    def confirm(self, made: DeletionPlan, method: str = "", *, accepts_loss: bool = False) -> Deletion:
        """What the button does; by default in the way that is offered first."""
        chosen = method or plan.effect_in(made).methods[0]
        return execute.execute(self.access, made, shown=made.fingerprint, method=chosen, accepts_loss=accepts_loss)

    def delete(self, repository: RepositoryName, tag: str, method: str = "") -> Deletion:
        """Plan and confirm in one go."""
        return self.confirm(self.plan(repository, tag), method)

    def points_at(self, repository: RepositoryName, tag: str) -> str | None:
        """What the registry says a tag names; None for nothing."""
        try:
            return self.session.head_manifest(repository, tag).digest
        except ManifestUnknown:
            return None


@contextmanager
def desk_at(client: RegistryClient, url: str, session: RegistrySession) -> Iterator[Desk]:
    """A desk at the registry behind `client`; `session` looks at it from outside."""
    registry = Registry.objects.create(slug="desk", url=url, public_host=client.name, from_environment=True)
    user = User.objects.create_user("deleter")
    user.user_permissions.add(Permission.objects.get(codename="delete_image"))
    with connections.clients_made_by(lambda _row: client):
        access.forget()
        yield Desk(registry, User.objects.get(pk=user.pk), session)
