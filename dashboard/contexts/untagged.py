"""Revisions without a tag as their page shows them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.registry.client import Deletion as Ability
from dashboard.services.access import Access
from dashboard.services.index.lists import ListQuery
from dashboard.services.untagged import COLUMNS, DEFAULT_ORDER, Scope, UntaggedList, UntaggedRow

from . import links
from .deletion import why_impossible
from .formats import legible, relative
from .kinds import kind_name
from .lists import Choice, Head, Pagination, address, heads, orders, pagination
from .platforms import PlatformName, platform_box

FIELDS = ("repository", "digest", "kind", "platforms", "bytes", "exclusive_bytes", "last_tag", "untagged_since")
ORDERS = {
    "age": gettext_lazy("Untagged since, newest first"),
    "-age": gettext_lazy("Untagged since, oldest first"),
    "size": gettext_lazy("Size, largest first"),
    "-size": gettext_lazy("Size, smallest first"),
}


@dataclass(frozen=True, slots=True)
class UntaggedLine:
    """A row: what it is, why it is there, what can be done about it. Sizes in bytes, None where unknown."""

    repository: str
    repository_url: str
    digest: str
    url: str
    kind: str
    platforms: Sequence[PlatformName]
    why: str
    since: dt.datetime | None
    bytes: int | None
    exclusive: int | None
    state: str
    delete_url: str
    point_url: str


@dataclass(frozen=True, slots=True)
class UntaggedPage:
    """Everything that untagged.html shows. `repository` is "" for a whole registry.

    `known` counts them all, whatever the filter; `alone` are the bytes that only they need, None where nobody can tell.
    """

    repository: str
    namespace: str
    namespace_url: str
    short_name: str
    reference: str
    url: str
    exact: bool
    complete: bool
    lines: Sequence[UntaggedLine]
    contains: str
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


def untagged_url(scope: Scope) -> str:
    """The page of a repository's, or of a registry's."""
    slug = scope.registry.slug
    return (
        reverse("untagged", args=[slug, scope.repository])
        if scope.repository
        else reverse("registry-untagged", args=[slug])
    )


def untagged_page(
    access: Access, scope: Scope, query: ListQuery, found: UntaggedList, ability: Ability
) -> UntaggedPage:
    """The view model of the list."""
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
        complete=scope.visible.complete,
        lines=[_line(access, row) for row in found.page.rows],
        contains=query.contains,
        total=found.page.total,
        known=found.known,
        alone=found.alone,
        heads=heads(path, query, COLUMNS, DEFAULT_ORDER),
        orders=orders(query, ORDERS),
        pagination=pagination(path, query, found.page),
        clear_url=address(path, replace(query, contains="", page=1)),
        csv_url=address(path, query, format="csv"),
        json_url=address(path, query, format="json"),
        may_delete=access.may_delete,
        impossible=impossible,
        fix=fix,
    )


def untagged_record(row: UntaggedRow) -> dict[str, Any]:
    """A row of the file."""
    last = row.was[0] if row.was else None
    since = last.until.astimezone(dt.UTC).isoformat() if last else None
    values = (
        row.repository,
        row.digest,
        row.kind,
        " ".join(row.platforms),
        row.bytes,
        row.exclusive,
        last.tag if last else "",
        since,
    )
    return dict(zip(FIELDS, values, strict=True))


def _line(access: Access, row: UntaggedRow) -> UntaggedLine:
    registry = access.registry
    here = row.held is not False
    path = links.delete_path(registry, row.repository)
    return UntaggedLine(
        repository=row.repository,
        repository_url=reverse("untagged", args=[registry.slug, row.repository]),
        digest=row.digest,
        url=links.manifest(registry, row.repository, row.digest) if here else "",
        kind=kind_name(row.kind, row.artifact_type)
        or (_("Index") if row.kind == "index" and not row.platforms else ""),
        platforms=platform_box(row.platforms),
        why=_why(row),
        since=row.was[0].until if row.was else None,
        bytes=row.bytes,
        exclusive=row.exclusive,
        state="" if row.held else "gone" if row.held is False else "unknown",
        delete_url=links.with_query(path, digest=row.digest) if access.may_delete and here else "",
        point_url=links.point(registry, row.repository, row.was[0].tag if row.was else "", row.digest)
        if access.may_delete and here
        else "",
    )


def _why(row: UntaggedRow) -> str:
    """Why it is there: which tags it lost."""
    if not row.was:
        return _("Pushed by its digest alone, or its tags went before they were seen here.")
    told = [_("%(tag)s until %(when)s") % {"tag": legible(w.tag, 60), "when": relative(w.until)} for w in row.was]
    tags = ", ".join([*told, _("others before")] if row.was_more else told)
    return _("Was %(tags)s.") % {"tags": tags}
