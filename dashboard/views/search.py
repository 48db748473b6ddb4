"""Search: its page, and the results below the box in the masthead."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from dashboard.contexts import exports
from dashboard.contexts.search import search_page, shown_in_group
from dashboard.services import access as gate
from dashboard.services import roles
from dashboard.services.index.search import FINDERS, search

from .pages import Request, as_file, export_format, is_fragment, render_page

MAX_REGISTRIES = 50


@require_safe
def results(request: HttpRequest) -> HttpResponseBase:
    """`?q=` across every registry; `only=` one group whole. htmx gets the few best of each group, a file gets all."""
    user = cast(Request, request).user
    registries = list(roles.registries_for(user)[:MAX_REGISTRIES])
    accesses = [gate.access_to(user=user, registry=row) for row in registries]
    if len(accesses) == 1:
        cast(Request, request).access = accesses[0]
    query, only = request.GET.get("q", ""), request.GET.get("only", "")
    only = only if only in FINDERS else ""
    if file_format := export_format(request):
        found = search(accesses, query, only=only)
        records = (exports.search_record(group.kind, hit) for group in found.groups for hit in group.hits)
        return as_file(records, exports.SEARCH_FIELDS, file_format, "search")
    in_box = is_fragment(request)
    found = search(accesses, query, only=only, limit=shown_in_group(only=only, in_box=in_box))
    page = search_page(found, path=reverse("search"), only=only, several=len(registries) > 1, in_box=in_box)
    return render_page(request, "search.html", {"page": page}, fragment="box")
