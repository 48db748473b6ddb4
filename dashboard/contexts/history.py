"""The history of a repository's tags as its page and its files show it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dashboard.models import IndexedRepository, Registry, TagPeriod
from dashboard.registry.references import is_tag
from dashboard.services.access import Access
from dashboard.services.activity.pushers import BEFORE, Pair, Push, began
from dashboard.services.index.lists import ListQuery
from dashboard.services.index.tag_history import COLUMNS, DEFAULT_ORDER, PeriodList, PeriodRow

from . import links
from .formats import legible, moment, relative
from .last_pull import Told, push
from .lists import Head, Pagination, address, heads, pagination

MAX_NAME, MAX_WHO = 128, 60
FIELDS = ("repository", "tag", "digest", "from", "from_is_push", "until", "learnt")

_LEARNT = {
    TagPeriod.Learnt.STORAGE: _("the push, from the storage"),
    TagPeriod.Learnt.EVENT: _("the push, by notification"),
    TagPeriod.Learnt.REFRESH: _("read by us"),
}


@dataclass(frozen=True, slots=True)
class PeriodLine:
    """A row. `tag_url` is empty where the tag is gone, `digest_url` where the repository does not hold the digest.

    `gone`: it is certain that the repository does not hold it; over the API nobody can tell. `by` tells who pushed it
    and `by_title` when and how; a dash and why where that is not known.
    """

    tag: str
    tag_url: str
    digest: str
    digest_url: str
    gone: bool
    began: Told
    ended: Told | None
    learnt: str
    by: str
    by_title: str
    point_url: str


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Everything that history.html shows. `tags` None: the repository is not in the index (any more)."""

    repository: str
    namespace: str
    namespace_url: str
    short_name: str
    reference: str
    host: str
    url: str
    tags_url: str
    tags: int | None
    known: int
    lines: Sequence[PeriodLine]
    contains: str
    total: int
    head: Head
    newest_first: bool
    pagination: Pagination
    clear_url: str
    csv_url: str
    json_url: str


def history_page(
    access: Access,
    name: str,
    repository: IndexedRepository | None,
    query: ListQuery,
    found: PeriodList,
    pushes: Mapping[Pair, Sequence[Push]],
    *,
    exact: bool,
) -> HistoryPage:
    """The view model of the list. `exact`: the index was read from the storage, so it knows all that is held."""
    registry = access.registry
    path = history_url(registry, name)
    current = {(row.tag, row.digest) for row in found.page.rows if row.ended_at is None}
    namespace, _sep, short_name = name.rpartition("/")
    return HistoryPage(
        repository=name,
        namespace=namespace,
        namespace_url=links.with_query(links.repositories(registry), namespace=namespace) if namespace else "",
        short_name=short_name,
        reference=f"{registry.public_host}/{name}",
        host=registry.public_host,
        url=path,
        tags_url=links.repository(registry, name),
        tags=repository.tags if repository else None,
        known=found.known,
        lines=[
            _line(
                registry,
                name,
                row,
                pushes.get((row.tag, row.digest), ()),
                exact=exact or repository is None,
                may_point=access.may_point and is_tag(row.tag) and (row.tag, row.digest) not in current,
            )
            for row in found.page.rows
        ],
        contains=query.contains,
        total=found.page.total,
        head=heads(path, query, COLUMNS, DEFAULT_ORDER)["pushed"],
        newest_first=query.order.descending,
        pagination=pagination(path, query, found.page),
        clear_url=address(path, replace(query, contains="", page=1)),
        csv_url=address(path, query, format="csv"),
        json_url=address(path, query, format="json"),
    )


def history_url(registry: Registry, name: str) -> str:
    """The history of a repository's tags."""
    return reverse("history", args=[registry.slug, name])


def period_record(repository: str, row: PeriodRow) -> dict[str, Any]:
    """A period as a record; "until" is empty while it lasts."""
    until = _iso(row.ended_at) if row.ended_at else None
    values = (repository, row.tag, row.digest, _iso(row.began_at), row.began_by_push, until, str(row.learnt))
    return dict(zip(FIELDS, values, strict=True))


def _line(
    registry: Registry, name: str, row: PeriodRow, pushes: Sequence[Push], *, exact: bool, may_point: bool
) -> PeriodLine:
    by, by_title = _by(registry, row, pushes)
    return PeriodLine(
        tag=legible(row.tag, MAX_NAME),
        tag_url=links.tag(registry, name, row.tag) if row.ended_at is None and is_tag(row.tag) else "",
        digest=row.digest,
        digest_url=links.manifest(registry, name, row.digest) if row.held else "",
        gone=exact and not row.held,
        began=_began(row),
        ended=push(row.ended_at, is_push=True) if row.ended_at else None,
        learnt=str(_LEARNT[row.learnt]),
        by=by,
        by_title=by_title,
        point_url=links.point(registry, name, row.tag, row.digest) if may_point and row.ended_at else "",
    )


def _by(registry: Registry, row: PeriodRow, pushes: Sequence[Push]) -> tuple[str, str]:
    """Who pushed it, and when and how. What was only read may have been pushed as long ago as the reading before."""
    patience = BEFORE if row.began_by_push else max(BEFORE, 2 * dt.timedelta(minutes=registry.refresh_minutes))
    push = began(pushes, row.began_at, patience=patience)
    shown = moment(push.at if push else None)
    if push is None or shown is None:
        return "—", gettext("Who pushed it is not known.")
    if push.here:
        return legible(push.who, MAX_WHO), gettext("With this dashboard, %(when)s") % {"when": shown.exact}
    if not push.who:
        return "—", gettext("Pushed %(when)s; the registry named nobody.") % {"when": shown.exact}
    return legible(push.who, MAX_WHO), gettext("Pushed %(when)s") % {"when": shown.exact}


def _began(row: PeriodRow) -> Told:
    told = push(row.began_at, is_push=row.began_by_push)
    if row.began_by_push:
        return told
    return replace(told, text=gettext("%(when)s or before") % {"when": relative(row.began_at)})


def _iso(when: dt.datetime) -> str:
    return when.astimezone(dt.UTC).isoformat()
