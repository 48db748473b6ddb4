"""Removing what remains of an emptied repository from the storage."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from dashboard.contexts import links
from dashboard.contexts.repository_removal import refused_sentence, removed_sentence
from dashboard.services import confirmed, repository_removal
from dashboard.storage.removal import RemovalRefused

from . import confirm
from .pages import actor, enter_repository

BUDGET = 30.0


@require_POST
def remove(request: HttpRequest, slug: str, repository: str) -> HttpResponse:
    """The button on the page of an emptied repository."""
    access, name = enter_repository(request, slug, repository, budget=BUDGET)
    if not access.administers:
        raise PermissionDenied
    if not confirmed.is_recent(request):
        return confirm.ask(request, links.repository(access.registry, name))
    typed = request.POST.get("typed", "")[:300]
    try:
        removed = repository_removal.remove(access, name, typed=typed, actor=actor(request, access))
    except RemovalRefused as refused:
        messages.error(request, refused_sentence(refused))
        return redirect(links.repository(access.registry, name))
    messages.success(request, removed_sentence(name, removed))
    return redirect(links.repositories(access.registry))
