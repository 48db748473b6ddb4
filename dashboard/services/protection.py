"""Rules that protect tags: what they match, and how they are set and removed.

A rule binds this dashboard alone: a plain registry cannot refuse a push. What a push does to a protected tag is noticed
(`protected_moves.py`).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from django.db import IntegrityError, transaction
from django.utils import timezone

from dashboard.models import AuditEntry, IndexedTag, Registry, TagRule

from . import audit
from .audit import Actor

MAX_RULES = 200
"""For one registry: every tag that is shown is held against each of them."""
EXISTS, TOO_MANY = "exists", "too-many"
ADDED, REMOVED = "rule-added", "rule-removed"

_TAG_PATTERN = re.compile(r"[A-Za-z0-9_.\-*?!\[\]]+", re.ASCII)
_REPOSITORY_PATTERN = re.compile(r"[a-z0-9_.\-/*?!\[\]]+", re.ASCII)


class RuleRefused(Exception):
    """A rule was not added. `code`: EXISTS, TOO_MANY."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def rules_of(registry: Registry) -> list[TagRule]:
    """The rules of a registry, the oldest first; one query, to be asked once for a page."""
    return list(TagRule.objects.filter(registry=registry).order_by("pk"))


def rule_for(rules: Sequence[TagRule], repository: str, tag: str) -> TagRule | None:
    """The first of `rules` that protects this tag; None where none does. Asks no database."""
    for rule in rules:
        if matches(rule.tag_pattern, tag) and matches(rule.repository_pattern, repository):
            return rule
    return None


def matches(pattern: str, name: str) -> bool:
    """Whether the whole of `name` is like the glob `pattern`, in time linear in both: no pattern makes it try again."""
    return _matcher(pattern)(name)


def is_tag_pattern(text: str) -> bool:
    """Whether it consists of what tags and globs consist of; anything else could match no tag."""
    return len(text) <= TagRule.MAX_PATTERN and _TAG_PATTERN.fullmatch(text) is not None


def is_repository_pattern(text: str) -> bool:
    """The same of the names of repositories, which have no upper case."""
    return len(text) <= TagRule.MAX_PATTERN and _REPOSITORY_PATTERN.fullmatch(text) is not None


def add(*, registry: Registry, tag_pattern: str, repository_pattern: str, note: str, actor: Actor) -> TagRule:
    """Adds a rule of checked patterns, and says so in the audit. Raises RuleRefused."""
    if TagRule.objects.filter(registry=registry).count() >= MAX_RULES:
        raise RuleRefused(TOO_MANY)
    try:
        with transaction.atomic():
            rule = TagRule.objects.create(
                registry=registry,
                repository_pattern=repository_pattern,
                tag_pattern=tag_pattern,
                note=note,
                created_at=timezone.now(),
                created_by=actor.user[:150],
            )
            _record(rule, ADDED, actor)
    except IntegrityError:
        raise RuleRefused(EXISTS) from None
    return rule


def remove(*, registry: Registry, pk: int, actor: Actor, repository: str = "") -> TagRule | None:
    """Removes a rule, with `repository` only one of that repository alone, and says so in the audit.

    None where there is none (any more).
    """
    only = {"repository_pattern": repository} if repository else {}
    with transaction.atomic():
        rule = TagRule.objects.select_for_update().filter(registry=registry, pk=pk, **only).first()
        if rule is not None:
            _record(rule, REMOVED, actor)
            TagRule.objects.filter(pk=rule.pk).delete()
    return rule


def rules_about(registry: Registry, repository: str) -> list[TagRule]:
    """Those of a registry's rules that are about tags of this repository."""
    return [rule for rule in rules_of(registry) if matches(rule.repository_pattern, repository)]


def protected_now(registry: Registry, rules: Sequence[TagRule], repository: str = "") -> Mapping[int, int]:
    """How many tags of the index, or of one repository there, each rule (by its id) protects, whatever the others do;
    one query for all of them.
    """
    counts = dict.fromkeys((rule.pk for rule in rules), 0)
    if not rules:
        return counts
    tags = IndexedTag.objects.filter(repository__registry=registry, repository__read_at__isnull=False)
    if repository:
        tags = tags.filter(repository__name=repository)
    concerned: dict[str, list[TagRule]] = {}
    for repository, tag in tags.values_list("repository__name", "name").iterator(2000):
        if repository not in concerned:
            concerned[repository] = [rule for rule in rules if matches(rule.repository_pattern, repository)]
        for rule in concerned[repository]:
            counts[rule.pk] += matches(rule.tag_pattern, tag)
    return counts


@lru_cache(maxsize=1024)
def _matcher(pattern: str) -> Callable[[str], bool]:
    # Since Python 3.11 every `*` of it is an atomic group: what it has matched is never given back.
    compiled = re.compile(fnmatch.translate(pattern))
    return lambda name: compiled.match(name) is not None


def _record(rule: TagRule, code: str, actor: Actor) -> None:
    audit.record(
        actor=actor,
        action=AuditEntry.Action.RULE,
        outcome=AuditEntry.Outcome.DONE,
        registry=rule.registry.slug,
        repository=rule.repository_pattern,
        tags=[rule.tag_pattern],
        code=code,
        reason=rule.note,
    )
