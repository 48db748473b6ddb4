"""The root: to the only registry, or the list of registries."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from dashboard.contexts.registries import state_of
from dashboard.models import Registry
from dashboard.services import roles
from dashboard.services.registry_health import standings

from .pages import Request, render_page


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """To the only registry; a list where there are several; what to do where there is none, or none for somebody."""
    user = cast(Request, request).user
    found = standings(roles.registries_for(user), counted=True)
    if len(found) == 1:
        return redirect("repositories", slug=found[0].registry.slug)
    lines = [state_of(standing) for standing in found]
    closed = not found and Registry.objects.exists()
    return render_page(request, "home.html", {"lines": lines, "closed": closed})
