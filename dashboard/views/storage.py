"""The storage page, and Scan now."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from dashboard.contexts.storage import storage_page
from dashboard.services import access as gate
from dashboard.services import status, usage

from .pages import enter, render_page


@require_safe
def storage(request: HttpRequest, slug: str) -> HttpResponse:
    """The last scan, its age, and how the current one goes; for htmx the progress alone."""
    access = enter(request, slug, section="storage")
    snapshot = usage.latest(access.registry)
    names = [row["name"] for row in snapshot.report["by_repository"]] if snapshot else []
    visible = {name for name, answer in gate.readable(access, names).items() if answer is True}
    page = storage_page(access, snapshot, usage.last_scan(access.registry), status.storage_of(access.registry), visible)
    return render_page(request, "storage.html", {"page": page}, fragment="scan")


@require_POST
def scan(request: HttpRequest, slug: str) -> HttpResponse:
    """Asks for a scan and shows the page, where its progress is told."""
    access = enter(request, slug, section="storage")
    gate.has_rights_per_repository(access)
    if access.registry.storage_root:
        usage.ask_for_scan(registry=access.registry, user=access.user)
    return redirect("storage", slug=access.registry.slug)
