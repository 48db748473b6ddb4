"""The list of repositories."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from dashboard.contexts.repositories import repositories_page
from dashboard.services import browse

from .pages import enter, list_query, render_page, repository_name


@require_safe
def repositories(request: HttpRequest, slug: str) -> HttpResponse:
    """A page of the list, or the list alone for htmx."""
    access = enter(request, slug)
    query = list_query(request, descending=False)
    found = browse.repositories(access, query)
    return render_page(request, "repositories.html", {"page": repositories_page(access, query, found)}, fragment="list")


@require_safe
def open_by_name(request: HttpRequest, slug: str) -> HttpResponse:
    """To the repository that was typed: for registries that do not list theirs."""
    access = enter(request, slug)
    return redirect(
        "tags", slug=access.registry.slug, repository=repository_name(request.GET.get("repository", "").strip())
    )
