"""What the tags of a repository pointed to, and when."""

from __future__ import annotations

from django.http import HttpResponseBase
from django.views.decorators.http import require_safe

from dashboard.contexts.history import FIELDS, history_page, period_record
from dashboard.services import untagged
from dashboard.services.activity.pushers import pushes
from dashboard.services.index import lists, tag_history
from dashboard.services.index.tag_list import repository_row
from dashboard.services.index.update import knows_revisions, state_of

from .pages import Request, as_file, enter_repository, export_format, list_query, render_page


@require_safe
def history(request: Request, slug: str, repository: str) -> HttpResponseBase:
    """A page of the history; the list alone for htmx; the whole history as a file. Asks only the gate's questions.

    A repository that is gone keeps its history. One that neither the index nor the history knows is asked for, so that
    a name that never was is a 404.
    """
    access, name = enter_repository(request, slug, repository)
    state = state_of(access.registry)
    lists.enter(access, state, name)
    query = list_query(request, tag_history.COLUMNS, tag_history.DEFAULT_ORDER)
    row = repository_row(access.registry, name)
    found = tag_history.periods(access.registry, name, query)
    if row is None and not found.known:
        access.session.tags(name)
    if file_format := export_format(request):
        records = (period_record(name, each) for each in tag_history.exported(access.registry, name, query))
        return as_file(records, FIELDS, file_format, f"{name.replace('/', '-')}-history")
    request.index_as_of = state.refreshed_at
    exact = knows_revisions(access.registry, state)
    pairs = {(each.tag, each.digest) for each in found.page.rows}
    known = pushes(registry=access.registry, repository=name, pairs=pairs)
    page = history_page(access, name, row, query, found, known, exact=exact)
    context = {"page": page, "untagged": untagged.count_of(access.registry, state, name)}
    return render_page(request, "history.html", context, fragment="list")
