"""Revisions that no tag reaches, of a repository and of a registry."""

from __future__ import annotations

from dataclasses import replace

from django.db.models import Q
from django.http import HttpResponseBase
from django.views.decorators.http import require_safe

from dashboard.contexts.untagged import FIELDS, untagged_page, untagged_record
from dashboard.registry.client import Deletion as Ability
from dashboard.services import status, untagged_age, untagged_summary
from dashboard.services import untagged as service
from dashboard.services.access import Access, Visible
from dashboard.services.index import lists
from dashboard.services.index.tag_list import repository_row
from dashboard.services.index.update import state_of

from .pages import Request, as_file, enter, enter_repository, export_format, list_query, note_visible, render_page


@require_safe
def of_repository(request: Request, slug: str, repository: str) -> HttpResponseBase:
    """Those of one repository."""
    access, name = enter_repository(request, slug, repository)
    state = state_of(access.registry)
    lists.enter(access, state, name)
    scope = service.Scope(access.registry, state, Visible(Q()), name)
    if not service.is_known(scope):
        access.session.tags(name)  # says itself that there is none
    return _answer(request, access, scope)


@require_safe
def of_registry(request: Request, slug: str) -> HttpResponseBase:
    """Those of every repository that this person may see."""
    access = enter(request, slug, "storage")
    state = state_of(access.registry)
    visible, _ = lists.seen(access, state)
    note_visible(request, visible)
    return _answer(request, access, service.Scope(access.registry, state, visible))


def _answer(request: Request, access: Access, scope: service.Scope) -> HttpResponseBase:
    query = replace(list_query(request, service.COLUMNS, service.DEFAULT_ORDER), older=_days(request))
    if file_format := export_format(request):
        records = (untagged_record(row) for row in service.exported(scope, query))
        return as_file(
            records, FIELDS, file_format, f"{(scope.repository or access.registry.slug).replace('/', '-')}-untagged"
        )
    request.index_as_of = scope.state.refreshed_at
    found = service.untagged(scope, query, access.session)
    may_delete = access.may_delete if scope.repository else access.may_delete_somewhere
    known = status.capabilities(access) if may_delete else None
    summary = None
    if may_delete and not scope.repository and found.page.total:
        summary = untagged_summary.summary(scope, query), untagged_summary.amount(scope, query)
    page = untagged_page(access, scope, query, found, known.deletion if known else Ability.UNKNOWN, summary)
    row = repository_row(access.registry, scope.repository) if scope.repository else None
    context = {"page": page, "tags": row.tags if row else None}
    return render_page(request, "untagged.html", context, fragment="list")


def _days(request: Request) -> int:
    """The age in days that is asked for; 0 for none, and for what makes no sense."""
    text = request.GET.get("older", "")
    return min(int(text), untagged_age.MAX_DAYS) if text.isascii() and text.isdigit() and len(text) < 7 else 0
