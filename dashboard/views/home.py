"""The root: to the only registry, or the list of registries."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from dashboard.models import Registry

from .pages import render_page


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """To the only registry; a list where there are several; what to do where there is none."""
    registries = list(Registry.objects.all()[:100])
    if len(registries) == 1:
        return redirect("repositories", slug=registries[0].slug)
    return render_page(request, "home.html", {"registries": registries})
