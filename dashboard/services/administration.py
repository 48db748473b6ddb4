"""What somebody administers: everything, or the repositories of some patterns, each on one registry or on every one.

Whoever administers a scope gives and takes access within it, and nowhere else: a rule is within it if it lies in it
wholly. Administrators themselves are made by administrators of everything alone. So nobody can widen what he
administers, keep it when it is taken, or take it from somebody beside him.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet

from dashboard.models import AccessRule, Registry, Role
from dashboard.registry import patterns

from .roles import NOBODY, Grant, Grants, Person, rules_for


@dataclass(frozen=True, slots=True)
class Scope:
    """Repositories of a pattern on a registry (its id), or on every one (None)."""

    registry: int | None
    pattern: str

    def holds(self, registry: int | None, pattern: str) -> bool:
        """Whether all that is like `pattern` there is within it."""
        return self.registry in (None, registry) and patterns.covers(self.pattern, pattern)


@dataclass(frozen=True, slots=True)
class Administration:
    """All that one person administers."""

    scopes: Sequence[Scope] = ()

    @property
    def something(self) -> bool:
        """Whether there is anything."""
        return bool(self.scopes)

    @property
    def everything(self) -> bool:
        """Every repository of every registry, and so people, groups and registries too."""
        return self.holds(None, patterns.EVERY)

    @property
    def every_registry(self) -> bool:
        """Whether something of it is on every registry there is and will be."""
        return any(scope.registry is None for scope in self.scopes)

    def holds(self, registry: int | None, pattern: str) -> bool:
        """Whether all that is like `pattern` on a registry (its id; None: on every one) is within one scope."""
        return any(scope.holds(registry, pattern) for scope in self.scopes)

    def holds_rule(self, rule: AccessRule) -> bool:
        """Whether a rule lies wholly within one scope: then it is shown."""
        return self.holds(rule.registry_id, rule.pattern)

    def may_take(self, rule: AccessRule) -> bool:
        """Whether this person may take it away."""
        return self.holds_rule(rule) and self.may_give(Role(rule.role))

    def may_give(self, role: Role) -> bool:
        """Whether this person may give that role anywhere."""
        return self.everything or (self.something and role < Role.ADMINISTRATOR)

    def registries(self) -> QuerySet[Registry]:
        """The registries that something of it is on."""
        rows = Registry.objects.all()
        return rows if self.every_registry else rows.filter(pk__in=[scope.registry for scope in self.scopes])

    def repositories_on(self, registry: Registry) -> Q:
        """A filter of rows with a repository's `name`: those on this registry; Q() for all."""
        here = [scope.pattern for scope in self.scopes if scope.registry in (None, registry.pk)]
        filters = [Grants((Grant(pattern, Role.ADMINISTRATOR),)).having(Role.ADMINISTRATOR) for pattern in here]
        return Q() if patterns.EVERY in here else reduce(or_, filters, NOBODY)


NOTHING, EVERYTHING = Administration(), Administration((Scope(None, patterns.EVERY),))


def administration_of(user: Person) -> Administration:
    """What somebody administers, by himself or by the rules; one query."""
    if not user.is_authenticated or not user.is_active:
        return NOTHING
    if user.is_superuser:
        return EVERYTHING
    rules = rules_for(user).filter(role=Role.ADMINISTRATOR)
    return Administration(
        tuple(Scope(registry, pattern) for registry, pattern in rules.values_list("registry", "pattern"))
    )
