"""The rules of access as administrators see them, and who may do what by them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext as _

from dashboard.models import AccessRule, Registry, Role, User
from dashboard.registry import patterns
from dashboard.services.access_rules import EXISTS, MAX_RULES, OUTSIDE, ROLE, TOO_MANY, VISITORS, Reason, Seen
from dashboard.services.administration import Administration

from . import links
from .formats import legible

MEANINGS = {
    Role.READER: gettext_lazy("sees the repositories and pulls"),
    Role.DEVELOPER: gettext_lazy("also gives tags and moves them"),
    Role.MAINTAINER: gettext_lazy("also deletes, restores and protects tags"),
    Role.ADMINISTRATOR: gettext_lazy("also gives those roles; of a whole registry, also collects garbage"),
}
_REFUSALS = {
    EXISTS: (None, gettext_lazy("There is that rule already, or one that gives more.")),
    TOO_MANY: (None, gettext_lazy("There are %(n)s rules, the most that is possible. Groups need fewer.")),
    OUTSIDE: ("pattern", gettext_lazy("That is not all within what you administer.")),
    ROLE: ("role", gettext_lazy("Only administrators of everything make administrators.")),
    VISITORS: ("who", gettext_lazy("Only administrators of everything let visitors in.")),
}


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule in the list. `name` is "" for everybody and visitors, `url` says what that user may; "" for the others."""

    pk: int
    whom: str
    kind: str
    name: str
    url: str
    role: str
    meaning: str
    pattern: str
    everywhere: bool
    registry: str
    words: str
    removable: bool
    created_at: dt.datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class RulesPage:
    """Everything that access_rules.html shows beside its form. `within`: what this person administers, where that is
    not everything.
    """

    lines: Sequence[RuleLine]
    within: Sequence[tuple[str, str]]
    roles: Sequence[tuple[str, str]]
    check_url: str


@dataclass(frozen=True, slots=True)
class SeenLine:
    """A repository, and the role that somebody has in it."""

    name: str
    url: str
    role: str
    meaning: str


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """Somebody with a role in the repository, and what gives it."""

    user: str
    url: str
    role: str
    meaning: str
    why: str


@dataclass(frozen=True, slots=True)
class CheckPage:
    """Everything that access_check.html shows. `lines` and `reasons` are None where that was not asked."""

    url: str
    rules_url: str
    registries: Sequence[tuple[str, str, bool]]
    host: str
    person: str
    known: bool
    disabled: bool
    contains: str
    lines: Sequence[SeenLine] | None
    more: bool
    of_all: tuple[int, int]
    repository: str
    reasons: Sequence[ReasonLine] | None
    within: Sequence[tuple[str, str]]


def rules_page(rules: Iterable[AccessRule], administration: Administration) -> RulesPage:
    """The view model of the rules."""
    return RulesPage(
        lines=[_rule_line(rule, removable=administration.may_take(rule)) for rule in rules],
        within=_within(administration),
        roles=[(str(role.label), str(MEANINGS[role])) for role in Role],
        check_url=reverse("access-check"),
    )


def check_page(
    *,
    administration: Administration,
    registries: Sequence[Registry],
    registry: Registry | None,
    person: str,
    user: User | None,
    contains: str,
    seen: Seen | None,
    repository: str,
    reasons: Sequence[Reason] | None,
) -> CheckPage:
    """The view model of who may do what."""
    return CheckPage(
        url=reverse("access-check"),
        rules_url=reverse("access-rules"),
        registries=[(each.slug, each.public_host, each == registry) for each in registries],
        host=registry.public_host if registry else "",
        person=user.username if user else person,
        known=user is not None,
        disabled=user is not None and not user.is_active,
        contains=contains,
        lines=None
        if seen is None or registry is None
        else [SeenLine(name, links.repository(registry, name), *_role(role)) for name, role in seen.lines],
        more=seen.more if seen else False,
        of_all=seen.of_all if seen else (0, 0),
        repository=repository,
        reasons=None if reasons is None else [_reason_line(reason, registry, administration) for reason in reasons],
        within=_within(administration),
    )


def in_words(rule: AccessRule) -> str:
    """A rule as a phrase."""
    values = {
        "whom": legible(_whom(rule), 150),
        "role": Role(rule.role).label,
        "pattern": rule.pattern,
        "registry": rule.registry,
    }
    if rule.registry is None:
        return gettext("%(whom)s is %(role)s of %(pattern)s on every registry") % values
    return gettext("%(whom)s is %(role)s of %(pattern)s on %(registry)s") % values


def refusal(code: str) -> tuple[str | None, str]:
    """The field that a rule was not added for, None for all of it; and why."""
    field, sentence = _REFUSALS[code]
    return field, str(sentence) % {"n": MAX_RULES}


def _within(administration: Administration) -> list[tuple[str, str]]:
    """The patterns that somebody administers, each with its registry ("" for every one); nothing for everything."""
    if administration.everything:
        return []
    hosts = {registry.pk: registry.public_host for registry in administration.registries()}
    return [(scope.pattern, hosts.get(scope.registry, "") if scope.registry else "") for scope in administration.scopes]


def _whom(rule: AccessRule) -> str:
    if rule.group:
        return _("group %(name)s") % {"name": rule.group.name}
    return rule.subject or str(rule.get_who_display())


def _rule_line(rule: AccessRule, *, removable: bool) -> RuleLine:
    role, meaning = _role(Role(rule.role))
    return RuleLine(
        pk=rule.pk,
        whom=str(rule.get_who_display()),
        kind={AccessRule.Who.USER: _("user"), AccessRule.Who.GROUP: _("group")}.get(AccessRule.Who(rule.who), ""),
        name=legible(rule.subject, 150),
        url=links.with_query(reverse("access-check"), person=rule.user.username) if rule.user else "",
        role=role,
        meaning=meaning,
        pattern=rule.pattern,
        everywhere=rule.pattern == patterns.EVERY,
        registry=str(rule.registry or ""),
        words=in_words(rule),
        removable=removable,
        created_at=rule.created_at,
        created_by=legible(rule.created_by, 150),
    )


def _reason_line(reason: Reason, registry: Registry | None, administration: Administration) -> ReasonLine:
    query = {"person": reason.user.username, "registry": registry.slug if registry else ""}
    return ReasonLine(
        legible(reason.user.username, 150),
        links.with_query(reverse("access-check"), **query),
        *_role(reason.role),
        _why(reason, administration),
    )


def _why(reason: Reason, administration: Administration) -> str:
    """The rule; one that is not within what this person administers is not told."""
    if reason.rule is None:
        return _("administrator of everything")
    return in_words(reason.rule) if administration.holds_rule(reason.rule) else _("a wider rule")


def _role(role: Role) -> tuple[str, str]:
    return str(role.label), str(MEANINGS[role])
