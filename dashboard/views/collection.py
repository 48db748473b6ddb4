"""Garbage collections: what the next one would do, and running one."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from dashboard.contexts import links
from dashboard.contexts.collection import collection_page, refused_sentence
from dashboard.contexts.collection_recipe import Recipe, recipe
from dashboard.models import IndexedRepository
from dashboard.registry.client import Family as Kind
from dashboard.services import access as gate
from dashboard.services import confirmed, status, untagged, untagged_summary
from dashboard.services.access import Access, Visible
from dashboard.services.collection import ask, preview
from dashboard.services.collection.ask import CollectionRefused
from dashboard.services.index.update import state_of
from dashboard.storage.collection import Family

from . import confirm
from .pages import actor, enter, is_fragment, note_visible, render_page

_FAMILIES = {Kind.DISTRIBUTION_2: Family.TWO, Kind.DISTRIBUTION_3: Family.THREE}


@require_safe
def collection(request: HttpRequest, slug: str) -> HttpResponse:
    """The preview of the last scan, the steps by hand, the button, and what was collected; for htmx the progress."""
    access = enter(request, slug, section="storage")
    seen = gate.visible(access)
    note_visible(request, seen)
    known = status.capabilities(access)
    page = collection_page(
        access,
        preview.latest(access.registry),
        _FAMILIES.get(known.family) if known else None,
        ask.recent(access.registry),
        _names(access, seen),
        ask.why_not(access.registry),
    )
    context = {"page": page, "recipe": None if is_fragment(request) else _recipe(access, seen)}
    return render_page(request, "collection.html", context, fragment="run")


@require_POST
def collect(request: HttpRequest, slug: str) -> HttpResponse:
    """The button: an administrator has the worker collect."""
    access = enter(request, slug, section="storage")
    gate.has_rights_per_repository(access)
    if not access.administers:
        raise PermissionDenied
    if not confirmed.is_recent(request):
        return confirm.ask(request, links.collection(access.registry))
    try:
        ask.ask_for(access, typed=request.POST.get("typed", "")[:300], actor=actor(request, access))
    except CollectionRefused as refused:
        messages.error(request, refused_sentence(refused.code))
    return redirect("collection", slug=slug)


def _recipe(access: Access, seen: Visible) -> Recipe:
    registry, days = access.registry, settings.GRACE_DAYS
    scope = untagged.Scope(registry, state_of(registry), seen)
    found = untagged_summary.amount(scope, untagged.by_age(days))
    return recipe(registry, found, days, complete=seen.complete and seen.filter == Q())


def _names(access: Access, seen: Visible) -> set[str] | None:
    """Names of the repositories that this person may know of; None for all there are."""
    if seen.filter == Q():
        return None
    rows = IndexedRepository.objects.filter(seen.filter, registry=access.registry)
    return set(rows.values_list("name", flat=True))
