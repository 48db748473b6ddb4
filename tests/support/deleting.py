"""Deleting tags as the pages do, without pages: a registry's row, a person who may, a plan, its execution."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dashboard.models import Deletion, DeletionItem, DeletionPlan, Registry, Role, User
from dashboard.registry.client import RegistryClient, RegistrySession
from dashboard.registry.errors import ManifestUnknown
from dashboard.registry.references import RepositoryName
from dashboard.services import access, connections
from dashboard.services.access import Access
from dashboard.services.deletion import execute, plan
from dashboard.services.deletion.choice import Choice
from tests.support.people import let


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

    def plan(self, repository: RepositoryName, *tags: str, **more: Any) -> DeletionPlan:
        """What the page would show of the plan of some tags, or of what `more` chooses (see choice.Choice)."""
        now = self.access
        return plan.make(now, repository, Choice(tags=tags, **more), "", now.session.probe(repository))

    def begin(self, made: DeletionPlan, method: str = "", *, accepts_loss: bool = False) -> Deletion:
        """What the button does; by default in the way that is offered first."""
        return execute.execute(
            self.access,
            made,
            shown=made.fingerprint,
            method=method or plan.effect_in(made).methods[0],
            accepts_loss=accepts_loss,
            typed=made.repository,
        )

    def confirm(self, made: DeletionPlan, method: str = "", *, accepts_loss: bool = False) -> DeletionItem:
        """The same of a plan with one item: how that ended."""
        return self.begin(made, method, accepts_loss=accepts_loss).items.select_related("deletion").get()

    def delete(self, repository: RepositoryName, tag: str, method: str = "") -> DeletionItem:
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
    let(user, Role.MAINTAINER)
    with connections.clients_made_by(lambda _row: client):
        access.forget()
        yield Desk(registry, User.objects.get(pk=user.pk), session)
