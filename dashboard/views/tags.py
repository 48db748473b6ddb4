"""The tags of a repository."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from dashboard.contexts.tags import tags_page
from dashboard.services import browse

from .pages import enter, list_query, render_page, repository_name


@require_safe
def tags(request: HttpRequest, slug: str, repository: str) -> HttpResponse:
    """A page of the tags, or the list alone for htmx."""
    access = enter(request, slug)
    name = repository_name(repository)
    query = list_query(request, descending=True)
    found = browse.tags(access, name, query)
    return render_page(request, "tags.html", {"page": tags_page(access, name, query, found)}, fragment="list")
