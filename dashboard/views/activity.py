"""What happened on a registry, or in one of its repositories; also as a file."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from django.http import HttpResponseBase
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_safe

from dashboard.contexts.activity import activity_page
from dashboard.contexts.activity_file import FIELDS, record
from dashboard.services import untagged
from dashboard.services.activity import rows, seen, stream
from dashboard.services.activity.asked import Asked, Place, What
from dashboard.services.index import lists
from dashboard.services.index.tag_list import repository_row
from dashboard.services.index.update import state_of

from .pages import MAX_FILTER, Request, as_file, enter, enter_repository, export_format, note_visible, render_page

FIRST_YEAR, LAST_YEAR = 1970, 9000


@require_safe
def of_registry(request: Request, slug: str) -> HttpResponseBase:
    """A page of the registry's stream, the list alone for htmx, or all of it as a file."""
    access = enter(request, slug, section="activity")
    visible, _error = lists.seen(access, state_of(access.registry))
    note_visible(request, visible)
    asked, shown = _asked(request), seen.of_registry(access, visible)
    if file_format := export_format(request):
        return _file(shown, asked, file_format, f"{slug}-activity")
    page = activity_page(access, asked, stream.page(shown, asked))
    return render_page(request, "activity.html", {"page": page}, fragment="list")


@require_safe
def of_repository(request: Request, slug: str, repository: str) -> HttpResponseBase:
    """The same of one repository. One that neither the index nor the stream knows is asked for, as its history is."""
    access, name = enter_repository(request, slug, repository)
    lists.enter(access, state_of(access.registry), name)
    asked, shown = replace(_asked(request), repository=""), seen.of_repository(access, name)
    row = repository_row(access.registry, name)
    if row is None and not rows.any_of(shown):
        access.session.tags(name)
    if file_format := export_format(request):
        return _file(shown, asked, file_format, f"{name.replace('/', '-')}-activity")
    page = activity_page(access, asked, stream.page(shown, asked), repository=name, row=row)
    context = {"page": page, "untagged": untagged.count_of(access.registry, state_of(access.registry), name)}
    return render_page(request, "activity.html", context, fragment="list")


def _file(shown: seen.Seen, asked: Asked, file_format: str, name: str) -> HttpResponseBase:
    records = (record(row, with_addresses=shown.is_administrator) for row in stream.exported(shown, asked))
    return as_file(records, FIELDS, file_format, name)


def _asked(request: Request) -> Asked:
    """The filter and the place from the address; whatever makes no sense there counts as not given."""

    def text(name: str) -> str:
        return request.GET.get(name, "").replace("\0", "").strip()[:MAX_FILTER]

    return Asked(
        who=text("who"),
        what=_what(text("what")),
        repository=text("repository"),
        first_day=_day(text("from")),
        last_day=_day(text("to")),
        before=Place.read(text("before")),
    )


def _what(text: str) -> What:
    try:
        return What(text)
    except ValueError:
        return What.ALL


def _day(text: str) -> dt.date | None:
    try:
        day = parse_date(text)
    except ValueError:
        return None
    return day if day is not None and FIRST_YEAR < day.year < LAST_YEAR else None
