"""Revisions without a tag as their page shows them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.models import Role
from dashboard.registry.client import Deletion as Ability
from dashboard.services.access import Access
from dashboard.services.deletion.choice import MAX_CHOSEN
from dashboard.services.index.lists import ListQuery
from dashboard.services.untagged import COLUMNS, DEFAULT_ORDER, Scope, UntaggedList, UntaggedRow
from dashboard.services.untagged_summary import Amount, Summary

from . import links
from .deletion import age_in_words, why_impossible
from .formats import legible, relative
from .kinds import kind_name
from .lists import Choice, Head, Pagination, address, heads, orders, pagination
from .platforms import PlatformName, platform_box

FIELDS = (
    "repository", "digest", "kind", "platforms", "bytes", "exclusive_bytes", "last_tag", "untagged_since", "pushed_at",
)  # fmt: skip
AGES = (1, 7, 30, 90)
ORDERS = {
    "age": gettext_lazy("Untagged since, newest first"),
    "-age": gettext_lazy("Untagged since, oldest first"),
    "size": gettext_lazy("Size, largest first"),
    "-size": gettext_lazy("Size, smallest first"),
}


@dataclass(frozen=True, slots=True)
class UntaggedLine:
    """A row: what it is, why it is there, what can be done about it. Sizes in bytes, None where unknown.

    `pushed` is its last push where that is the younger of the two, or nobody knows since when it has no tag.
    """

    repository: str
    repository_url: str
    digest: str
    url: str
    kind: str
    platforms: Sequence[PlatformName]
    why: str
    since: dt.datetime | None
    pushed: dt.datetime | None
    bytes: int | None
    exclusive: int | None
    state: str
    delete_url: str
    point_url: str


@dataclass(frozen=True, slots=True)
class ShareLine:
    """What a repository has of what the page shows: how many, the bytes that only they need, the plan of deleting it.

    `bytes` is None where nobody can tell.
    """

    repository: str
    url: str
    images: int
    bytes: int | None
    plan_url: str


@dataclass(frozen=True, slots=True)
class SummaryTable:
    """By repository, the worst first; `more` other repositories, and what all of them have together."""

    lines: Sequence[ShareLine]
    more: int
    images: int
    bytes: int | None


@dataclass(frozen=True, slots=True)
class UntaggedPage:
    """Everything that untagged.html shows. `repository` is "" for a whole registry.

    `known` counts them all, whatever the filter; `alone` are the bytes that only they need, None where nobody can tell.
    `age` says the chosen one in words. `rule_url` is the plan of deleting all that the filter shows, at most `at_once`.
    """

    repository: str
    namespace: str
    namespace_url: str
    short_name: str
    reference: str
    url: str
    exact: bool
    lines: Sequence[UntaggedLine]
    contains: str
    older: int
    age: str
    ages: Sequence[Choice]
    total: int
    known: int
    alone: int | None
    heads: dict[str, Head]
    orders: Sequence[Choice]
    pagination: Pagination
    clear_url: str
    csv_url: str
    json_url: str
    may_delete: bool
    impossible: str
    fix: str
    rule_url: str
    at_once: int
    summary: SummaryTable | None
    any_age_url: str
    collection_url: str

    @property
    def is_filtered(self) -> bool:
        """Whether not all of them may be shown."""
        return bool(self.contains or self.older)


def untagged_url(scope: Scope) -> str:
    """The page of a repository's, or of a registry's."""
    slug = scope.registry.slug
    return (
        reverse("untagged", args=[slug, scope.repository])
        if scope.repository
        else reverse("registry-untagged", args=[slug])
    )


def untagged_page(
    access: Access,
    scope: Scope,
    query: ListQuery,
    found: UntaggedList,
    ability: Ability,
    summary: tuple[Summary, Amount] | None = None,
) -> UntaggedPage:
    """The view model of the list. `summary`: the same by repository, and together."""
    path, registry = untagged_url(scope), access.registry
    closed = ability in (Ability.DISABLED, Ability.READ_ONLY)
    impossible, fix = why_impossible(ability, registry.public_host, access.acting.name) if closed else ("", "")
    namespace, _sep, short_name = scope.repository.rpartition("/")
    return UntaggedPage(
        repository=scope.repository,
        namespace=namespace,
        namespace_url=links.with_query(links.repositories(registry), namespace=namespace) if namespace else "",
        short_name=short_name,
        reference=f"{registry.public_host}/{scope.repository}" if scope.repository else registry.public_host,
        url=path,
        exact=scope.exact,
        lines=[_line(access, row) for row in found.page.rows],
        contains=query.contains,
        older=query.older,
        age=age_in_words(query.older),
        ages=_ages(query.older),
        total=found.page.total,
        known=found.known,
        alone=found.alone,
        heads=heads(path, query, COLUMNS, DEFAULT_ORDER),
        orders=orders(query, ORDERS),
        pagination=pagination(path, query, found.page),
        clear_url=address(path, replace(query, contains="", older=0, page=1)),
        csv_url=address(path, query, format="csv"),
        json_url=address(path, query, format="json"),
        may_delete=access.may_delete if scope.repository else access.may_delete_somewhere,
        impossible=impossible,
        fix=fix,
        rule_url=_rule_url(access, scope.repository, query)
        if scope.repository and access.may_delete and not impossible
        else "",
        at_once=min(found.page.total, MAX_CHOSEN),
        summary=_summary(access, query, *summary) if summary and not impossible else None,
        any_age_url=address(path, replace(query, older=0, page=1)),
        collection_url=links.collection(registry),
    )


def untagged_record(row: UntaggedRow) -> dict[str, Any]:
    """A row of the file."""
    last = row.was[0] if row.was else None
    since = last.until.astimezone(dt.UTC).isoformat() if last else None
    pushed_at = row.pushed_at.astimezone(dt.UTC).isoformat() if row.pushed_at else None
    values = (
        row.repository,
        row.digest,
        row.kind,
        " ".join(row.platforms),
        row.bytes,
        row.exclusive,
        last.tag if last else "",
        since,
        pushed_at,
    )
    return dict(zip(FIELDS, values, strict=True))


def _ages(older: int) -> list[Choice]:
    days = sorted({*AGES, settings.GRACE_DAYS, *([older] if older else [])})
    named = [Choice(str(n), _("Untagged %(age)s") % {"age": age_in_words(n)}, n == older) for n in days]
    return [Choice("", _("Untagged for any time"), not older), *named]


def _rule_url(access: Access, repository: str, query: ListQuery) -> str:
    path = links.delete_path(access.registry, repository)
    return links.with_query(path, untagged=1, older=query.older or "", name=query.contains)


def _summary(access: Access, query: ListQuery, found: Summary, together: Amount) -> SummaryTable:
    lines = [
        ShareLine(
            share.repository,
            address(links.untagged(access.registry, share.repository), replace(query, page=1)),
            share.amount.images,
            share.amount.bytes,
            _rule_url(access, share.repository, query) if access.may_delete_in(share.repository) else "",
        )
        for share in found.shares
    ]
    return SummaryTable(lines, found.repositories - len(lines), together.images, together.bytes)


def _line(access: Access, row: UntaggedRow) -> UntaggedLine:
    registry = access.registry
    may_delete = row.held is not False and access.may_delete_in(row.repository)
    may_point = row.held is not False and access.grants.allow(Role.DEVELOPER, row.repository)
    path = links.delete_path(registry, row.repository)
    return UntaggedLine(
        repository=row.repository,
        repository_url=reverse("untagged", args=[registry.slug, row.repository]),
        digest=row.digest,
        url=links.manifest(registry, row.repository, row.digest) if row.held is not False else "",
        kind=kind_name(row.kind, row.artifact_type)
        or (_("Index") if row.kind == "index" and not row.platforms else ""),
        platforms=platform_box(row.platforms),
        why=_why(row),
        since=row.was[0].until if row.was else None,
        pushed=row.pushed_at if row.pushed_at and (not row.was or row.pushed_at > row.was[0].until) else None,
        bytes=row.bytes,
        exclusive=row.exclusive,
        state="" if row.held else "gone" if row.held is False else "unknown",
        delete_url=links.with_query(path, digest=row.digest) if may_delete else "",
        point_url=links.point(registry, row.repository, row.was[0].tag if row.was else "", row.digest)
        if may_point
        else "",
    )


def _why(row: UntaggedRow) -> str:
    """Why it is there: which tags it lost."""
    if not row.was:
        return _("Pushed by its digest alone, or its tags went before they were seen here.")
    told = [_("%(tag)s until %(when)s") % {"tag": legible(w.tag, 60), "when": relative(w.until)} for w in row.was]
    tags = ", ".join([*told, _("others before")] if row.was_more else told)
    return _("Was %(tags)s.") % {"tags": tags}
