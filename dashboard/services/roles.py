"""Which role somebody has in which repositories of a registry, by the access rules. One query, no request.

An administrator made by the environment or at the first start (`is_superuser`) is one everywhere. Whoever is disabled
has no role. The gate (`access.py`) asks this first, and what a registry itself allows counts too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from django.contrib.auth.models import AnonymousUser
from django.db.models import Exists, OuterRef, Q, QuerySet, Value

from dashboard.models import AccessRule, Registry, Role, User
from dashboard.registry import patterns

NOBODY = Q(pk__in=())
Person = User | AnonymousUser


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in the repositories like `pattern`."""

    pattern: str
    role: Role


@dataclass(frozen=True, slots=True)
class Grants:
    """All roles of one person on one registry."""

    grants: Sequence[Grant] = ()

    @property
    def everywhere(self) -> Role | None:
        """The role in every repository; None where there is none in all of them."""
        return max((grant.role for grant in self.grants if grant.pattern == patterns.EVERY), default=None)

    @property
    def anywhere(self) -> Role | None:
        """The highest role in any repository, whether there is one like the pattern or not."""
        return max((grant.role for grant in self.grants), default=None)

    def role_in(self, repository: str) -> Role | None:
        """The role in this repository; None for nobody, who may not know of it."""
        return max((grant.role for grant in self.grants if patterns.matches(grant.pattern, repository)), default=None)

    def allow(self, role: Role, repository: str) -> bool:
        """Whether the role in this repository is `role` or more."""
        return (self.role_in(repository) or 0) >= role

    def having(self, role: Role) -> Q:
        """A filter of rows with a repository's `name`: those in which the role is `role` or more; Q() for all."""
        enough = [grant.pattern for grant in self.grants if grant.role >= role]
        if patterns.EVERY in enough:
            return Q()
        return reduce(or_, map(_like, sorted(set(enough))), NOBODY) if enough else NOBODY


EVERYTHING = Grants((Grant(patterns.EVERY, Role.ADMINISTRATOR),))


def grants_of(*, user: Person, registry: Registry) -> Grants:
    """The roles of `user` on `registry`; without sign-in those of visitors."""
    if user.is_authenticated and user.is_active and user.is_superuser:
        return EVERYTHING
    rules = rules_for(user).filter(Q(registry=registry) | Q(registry=None))
    return Grants(tuple(Grant(pattern, Role(role)) for pattern, role in rules.values_list("pattern", "role")))


def registries_for(user: Person) -> QuerySet[Registry]:
    """The registries on which somebody has any role, with `seen_whole`: whether that is in every repository."""
    if user.is_authenticated and user.is_active and user.is_superuser:
        return Registry.objects.annotate(seen_whole=Value(True))
    rules = rules_for(user).filter(Q(registry=OuterRef("pk")) | Q(registry=None))
    whole = Exists(rules.filter(pattern=patterns.EVERY))
    return Registry.objects.filter(Exists(rules)).annotate(seen_whole=whole)


def rules_for(user: Person) -> QuerySet[AccessRule]:
    """The rules that count for somebody: his own, those of his groups and of everybody; visitors' for a visitor."""
    if not user.is_authenticated:
        return AccessRule.objects.filter(who=AccessRule.Who.VISITORS)
    if not user.is_active:
        return AccessRule.objects.none()
    groups = user.groups.values("pk")
    return AccessRule.objects.filter(
        Q(who=AccessRule.Who.EVERYBODY) | Q(who=AccessRule.Who.VISITORS) | Q(user=user) | Q(group__in=groups)
    )


def _like(pattern: str) -> Q:
    begins = patterns.literal(pattern)
    if begins == pattern:
        return Q(name=pattern)
    if pattern == f"{begins}{patterns.EVERY}":
        return Q(name__startswith=begins)
    return Q(name__startswith=begins, name__regex=patterns.expression(pattern))
