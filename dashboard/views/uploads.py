"""Unfinished uploads of a registry, and removing abandoned ones."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from dashboard.contexts import links
from dashboard.contexts import uploads as contexts
from dashboard.services import confirmed
from dashboard.services import uploads as services
from dashboard.storage.uploads import RemovalRefused

from . import confirm
from .pages import actor, enter, render_page

BUDGET = 30.0


@require_safe
def uploads(request: HttpRequest, slug: str) -> HttpResponse:
    """As the disk says now."""
    access = enter(request, slug, section="storage")
    page = contexts.uploads_page(access, services.listing(access))
    return render_page(request, "uploads.html", {"page": page})


@require_POST
def remove(request: HttpRequest, slug: str) -> HttpResponse:
    """What goes, to be confirmed; with `confirmed` it goes, and the page tells what became of each."""
    access = enter(request, slug, section="storage", budget=BUDGET)
    if not access.administers:
        raise PermissionDenied
    if not confirmed.is_recent(request):
        return confirm.ask(request, links.uploads(access.registry))
    chosen = contexts.chosen_of(request.POST.getlist("upload"))
    if not chosen:
        messages.error(request, _("No upload was ticked."))
        return redirect(links.uploads(access.registry))
    if request.POST.get("confirmed") != "1":
        found = services.listing(access)
        page = contexts.confirm_page(access, found, services.abandoned_of(found, chosen), len(chosen))
        return render_page(request, "uploads_remove.html", {"page": page})
    try:
        outcomes = services.remove(access, chosen, actor=actor(request, access))
    except RemovalRefused as refused:
        messages.error(request, contexts.refused_sentence(refused))
        return redirect(links.uploads(access.registry))
    return render_page(request, "uploads_removed.html", {"page": contexts.result_page(access, outcomes)})
