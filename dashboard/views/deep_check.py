"""The deep check: how it stands, what is damaged, and its button."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from dashboard.contexts.deep_check import deep_check_page
from dashboard.models import DeepCheck
from dashboard.services import access as gate
from dashboard.services import deep_check, deep_check_uses, storage_source
from dashboard.services.index import lists
from dashboard.services.index.update import state_of

from .pages import actor, enter, note_visible, render_page


@require_safe
def page(request: HttpRequest, slug: str) -> HttpResponse:
    """For everybody whom the registry accepts; for htmx the progress alone."""
    access = enter(request, slug, section="storage")
    visible, _ = lists.seen(access, state_of(access.registry))
    note_visible(request, visible)
    standing = deep_check.standing(access.registry)

    def found(check: DeepCheck | None) -> list[deep_check_uses.Found]:
        return deep_check_uses.found(access.registry, check, visible) if check and check.damaged else []

    context = deep_check_page(
        access,
        standing,
        storage_source.look(access.registry),
        so_far=found(standing.unfinished),
        last=found(standing.finished),
        mib_per_second=settings.CHECK_MIB_PER_SECOND,
    )
    return render_page(request, "deep_check.html", {"page": context}, fragment="progress")


@require_POST
def start(request: HttpRequest, slug: str) -> HttpResponse:
    """By administrators: begins, or goes on; with `anew` from the beginning."""
    access = enter(request, slug, section="storage")
    gate.has_rights_per_repository(access)
    if not access.administers:
        raise PermissionDenied
    if access.registry.storage_root:
        deep_check.ask_for(
            registry=access.registry, user=access.user, actor=actor(request, access), anew="anew" in request.POST
        )
    return redirect("deep-check", slug=slug)
