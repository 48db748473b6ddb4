"""What one repository takes on the disk."""

from __future__ import annotations

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.contexts.repository_storage import repository_storage_page
from dashboard.services import untagged
from dashboard.services.access import Visible
from dashboard.services.index import lists
from dashboard.services.index.tag_list import repository_row
from dashboard.services.index.update import state_of
from dashboard.services.usage import growth
from dashboard.services.usage import lists as measured_lists

from .pages import enter_repository, list_query, note_visible, render_page


@require_safe
def of_repository(request: HttpRequest, slug: str, repository: str) -> HttpResponse:
    """Its bytes by what needs them, tag by tag, whom it shares with, and how it grew."""
    access, name = enter_repository(request, slug, repository)
    state = state_of(access.registry)
    lists.enter(access, state, name)
    measured = measured_lists.repository(access.registry, name)
    if measured is None and repository_row(access.registry, name) is None:
        access.session.tags(name)  # says itself that there is none
    query = list_query(request, measured_lists.TAG_COLUMNS, measured_lists.DEFAULT_TAG_ORDER)
    visible, _ = lists.seen(access, state)
    note_visible(request, visible)
    page = repository_storage_page(
        access,
        name,
        measured,
        tags=measured_lists.tags(measured.row, query) if measured else None,
        largest=measured_lists.largest_tags(measured.row) if measured else [],
        partners=measured_lists.partners(measured, visible) if measured else [],
        points=growth.repository_points(access.registry, name),
        query=query,
        now=timezone.now(),
    )
    row = repository_row(access.registry, name)
    scope = untagged.Scope(access.registry, state, Visible(Q()), name)
    context = {"page": page, "tags": row.tags if row else None, "untagged": untagged.count(scope)}
    return render_page(request, "repository_storage.html", context, fragment="list")
