"""A layer or config, through the repository that holds it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from dashboard.contexts.blob import blob_page
from dashboard.services import inspect

from .pages import digest_text, enter_repository, render_page


@require_safe
def blob(request: HttpRequest, slug: str, repository: str, digest: str) -> HttpResponse:
    """The blob's page."""
    access, name = enter_repository(request, slug, repository)
    found = inspect.blob(access, name, digest_text(digest))
    return render_page(request, "blob.html", {"page": blob_page(access, name, found)})
