"""Giving and taking access: rules are added and removed, each with an entry in the audit; who may do what by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from dashboard.models import AccessRule, AuditEntry, IndexedRepository, Registry, Role, User
from dashboard.registry import patterns

from . import audit, roles
from .administration import Administration
from .audit import Actor

MAX_RULES = 1000
MAX_SEEN = 500
EXISTS, TOO_MANY, OUTSIDE, VISITORS, ROLE = "exists", "too-many", "outside", "visitors", "role"
ADDED, REMOVED = "access-added", "access-removed"
"""Codes in the audit."""


class RuleRefused(Exception):
    """A rule was not added. `code`: EXISTS, TOO_MANY, OUTSIDE (of what its giver administers), VISITORS, ROLE (whom
    only administrators of everything let in; which only they give).
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rule to be added: for whom (`user` or `group` where `who` says so), which role, where (None: everywhere)."""

    who: AccessRule.Who
    role: Role
    user: User | None = None
    group: Group | None = None
    registry: Registry | None = None
    pattern: str = patterns.EVERY


@dataclass(frozen=True, slots=True)
class Reason:
    """Somebody's role in a repository, and the rule that gives it; None for one who is an administrator by himself."""

    user: User
    role: Role
    rule: AccessRule | None


@dataclass(frozen=True, slots=True)
class Seen:
    """Repositories with somebody's role; `more` follow. `of_all`: how many he may see, of how many there are."""

    lines: Sequence[tuple[str, Role]]
    more: bool
    of_all: tuple[int, int]


def listed() -> QuerySet[AccessRule]:
    """All rules, those for everybody first, with what they name."""
    rows = AccessRule.objects.select_related("user", "group", "registry")
    return rows.order_by("who", "group__name", "user__username", "registry__slug", "pattern", "-role")


def listed_for(administration: Administration) -> list[AccessRule]:
    """The rules that lie wholly within what somebody administers."""
    return [rule for rule in listed() if administration.holds_rule(rule)]


def add(wanted: Wanted, *, administration: Administration, actor: Actor) -> AccessRule:
    """Adds a rule whose pattern was parsed, and says so in the audit. Raises RuleRefused."""
    if not administration.holds(wanted.registry.pk if wanted.registry else None, wanted.pattern):
        raise RuleRefused(OUTSIDE)
    if wanted.who == AccessRule.Who.VISITORS and not administration.everything:
        raise RuleRefused(VISITORS)
    if not administration.may_give(wanted.role):
        raise RuleRefused(ROLE)
    if AccessRule.objects.count() >= MAX_RULES:
        raise RuleRefused(TOO_MANY)
    same = {
        "who": wanted.who,
        "user": wanted.user,
        "group": wanted.group,
        "registry": wanted.registry,
        "pattern": wanted.pattern,
    }
    with transaction.atomic():
        if AccessRule.objects.filter(**same, role__gte=wanted.role).exists():
            raise RuleRefused(EXISTS)
        AccessRule.objects.filter(**same).delete()  # the higher role takes its place
        rule = AccessRule.objects.create(
            **same, role=wanted.role, created_at=timezone.now(), created_by=actor.user[:150]
        )
        _record(rule, ADDED, actor)
    return rule


def remove(*, pk: int, administration: Administration, actor: Actor) -> AccessRule | None:
    """Removes a rule, and says so in the audit; None where there is none (any more) that this person may change."""
    with transaction.atomic():
        rule = listed().select_for_update(of=("self",)).filter(pk=pk).first()
        if rule is None or not administration.may_take(rule):
            return None
        _record(rule, REMOVED, actor)
        AccessRule.objects.filter(pk=rule.pk).delete()
    return rule


def seen_by(*, user: User, registry: Registry, administration: Administration, contains: str = "") -> Seen:
    """What of a registry's index the rules let somebody see, each repository with his role, in the order of names; of
    what whoever asks administers.
    """
    grants = roles.grants_of(user=user, registry=registry)
    rows = IndexedRepository.objects.filter(
        administration.repositories_on(registry), registry=registry, read_at__isnull=False
    )
    allowed = rows.filter(grants.having(Role.READER))
    shown = allowed.filter(name__contains=contains) if contains else allowed
    names = list(shown.order_by("sort_key").values_list("name", flat=True)[: MAX_SEEN + 1])
    lines = [(name, role) for name in names[:MAX_SEEN] if (role := grants.role_in(name)) is not None]
    return Seen(lines, more=len(names) > MAX_SEEN, of_all=(allowed.count(), rows.count()))


def who_may(*, registry: Registry, repository: str, role: Role) -> list[Reason]:
    """Everybody with `role` or more in a repository, by name, each with the rule that gives the highest role."""
    rules = [
        rule
        for rule in listed().filter(Q(registry=registry) | Q(registry=None), role__gte=role).order_by("-role", "pk")
        if patterns.matches(rule.pattern, repository)
    ]
    members: dict[int, set[int]] = {}
    belongs = User.groups.through.objects.filter(group__in=[rule.group_id for rule in rules if rule.group_id])
    for group_id, user_id in belongs.values_list("group_id", "user_id"):
        members.setdefault(group_id, set()).add(user_id)
    found = []
    for user in User.objects.filter(is_active=True).order_by("username"):
        if user.is_superuser:
            found.append(Reason(user, Role.ADMINISTRATOR, None))
            continue
        rule = next((rule for rule in rules if _is_for(rule, user, members)), None)
        if rule is not None:
            found.append(Reason(user, Role(rule.role), rule))
    return found


def _is_for(rule: AccessRule, user: User, members: dict[int, set[int]]) -> bool:
    if rule.user_id is not None:
        return rule.user_id == user.pk
    if rule.group_id is not None:
        return user.pk in members.get(rule.group_id, ())
    return True


def _record(rule: AccessRule, code: str, actor: Actor) -> None:
    whom = rule.subject or rule.get_who_display()
    audit.record(
        actor=actor,
        action=AuditEntry.Action.ACCESS,
        outcome=AuditEntry.Outcome.DONE,
        registry=rule.registry.slug if rule.registry else "",
        repository=rule.pattern,
        code=code,
        reason=f"{Role(rule.role).label}: {whom}",
    )
