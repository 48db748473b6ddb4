"""Protected tags as pages show them: the rules of a registry, and notices of what others did to such tags."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from dashboard.models import ProtectedMove, Registry, Role, TagRule
from dashboard.services.access import Access
from dashboard.services.protected_moves import Listed
from dashboard.services.protection import EXISTS, MAX_RULES, TOO_MANY

from . import links
from .formats import count, legible

MAX_SHOWN = 20
MAX_NAME = 255

_REFUSALS = {
    EXISTS: _("There is that rule already."),
    TOO_MANY: _("A registry has at most %(n)s rules. Remove one, or make one that covers several."),
}


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule in the list. `protects`: how many tags of the index it protects now; `removable` by who looks at it."""

    pk: int
    tags: str
    repositories: str
    everywhere: bool
    note: str
    protects: int
    created_at: dt.datetime
    created_by: str
    removable: bool


@dataclass(frozen=True, slots=True)
class RepositoryProtectionPage:
    """Everything that repository_protection.html shows beside its form. `all_url` leads to all rules, or is ""."""

    repository: str
    host: str
    url: str
    home_url: str
    all_url: str
    lines: Sequence[RuleLine]


@dataclass(frozen=True, slots=True)
class ProtectionPage:
    """Everything that protection.html shows beside its form."""

    slug: str
    host: str
    url: str
    edit_url: str
    home_url: str
    lines: Sequence[RuleLine]


@dataclass(frozen=True, slots=True)
class MoveLine:
    """A protected tag that was moved, or `deleted`. Addresses are empty where there is nothing, or no right to it."""

    name: str
    url: str
    deleted: bool
    before: str
    after: str
    after_url: str
    at: dt.datetime
    by: str
    rule: str
    back_url: str
    dismiss_url: str


@dataclass(frozen=True, slots=True)
class MovesBox:
    """The notice. `more` are further ones, which follow when these are dismissed."""

    title: str
    lines: Sequence[MoveLine]
    more: int


def protection_page(registry: Registry, rules: Sequence[TagRule], protects: Mapping[int, int]) -> ProtectionPage:
    """The view model of the settings page."""
    return ProtectionPage(
        slug=registry.slug,
        host=registry.public_host,
        url=protection_url(registry),
        edit_url=reverse("edit-registry", args=[registry.slug]),
        home_url=links.repositories(registry),
        lines=[_rule_line(rule, protects.get(rule.pk, 0), removable=True) for rule in rules],
    )


def repository_protection_page(
    access: Access, repository: str, rules: Sequence[TagRule], protects: Mapping[int, int]
) -> RepositoryProtectionPage:
    """The view model of a repository's own page: rules of others are shown, and removed where they were set."""
    lines = [
        _rule_line(rule, protects.get(rule.pk, 0), removable=rule.repository_pattern == repository) for rule in rules
    ]
    return RepositoryProtectionPage(
        repository=repository,
        host=access.registry.public_host,
        url=links.protection(access.registry, repository),
        home_url=links.repository(access.registry, repository),
        all_url=protection_url(access.registry) if access.administers else "",
        lines=lines,
    )


def protection_url(registry: Registry) -> str:
    """Where administrators set the rules."""
    return reverse("protection", args=[registry.slug])


def refusal(code: str) -> str:
    """Why a rule was not added."""
    return str(_REFUSALS[code]) % {"n": MAX_RULES}


def moves_box(access: Access, found: Listed, *, repository: str = "") -> MovesBox:
    """The notice on the page of `repository`, or on the list of repositories, where names are whole."""
    shown = found.moves[:MAX_SHOWN]
    return MovesBox(
        title=_title(found) if found.moves else "",
        lines=[_move_line(access, move, whole_name=not repository) for move in shown],
        more=len(found.moves) - len(shown),
    )


def _rule_line(rule: TagRule, protects: int, *, removable: bool) -> RuleLine:
    return RuleLine(
        pk=rule.pk,
        tags=rule.tag_pattern,
        repositories=rule.repository_pattern,
        everywhere=rule.repository_pattern == "*",
        note=legible(rule.note),
        protects=protects,
        created_at=rule.created_at,
        created_by=rule.created_by,
        removable=removable,
    )


def _title(found: Listed) -> str:
    n = len(found.moves)
    values = {"n": gettext("more than %(n)s") % {"n": count(n)} if found.more else count(n)}
    deleted = sum(not move.after for move in found.moves)
    if not deleted:
        return ngettext("%(n)s protected tag was moved", "%(n)s protected tags were moved", n) % values
    if deleted == n:
        return ngettext("%(n)s protected tag was deleted", "%(n)s protected tags were deleted", n) % values
    return (
        ngettext("%(n)s protected tag was moved or deleted", "%(n)s protected tags were moved or deleted", n) % values
    )


def _move_line(access: Access, move: ProtectedMove, *, whole_name: bool) -> MoveLine:
    registry, repository, tag = access.registry, move.repository, move.tag
    return MoveLine(
        name=legible(f"{repository}:{tag}" if whole_name else tag, 2 * MAX_NAME),
        url=links.repository(registry, repository) if whole_name else "",
        deleted=not move.after,
        before=move.before,
        after=move.after,
        after_url=links.tag(registry, repository, tag) if move.after else "",
        at=move.at,
        by=legible(move.by, MAX_NAME),
        rule=move.rule,
        back_url=links.point(registry, repository, tag, move.before)
        if access.grants.allow(Role.DEVELOPER, repository)
        else "",
        dismiss_url=reverse("dismiss-move", args=[registry.slug, move.pk]) if access.may_delete_in(repository) else "",
    )
