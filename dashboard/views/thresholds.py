"""The thresholds of a registry's storage, for administrators; the environment's registry too."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from dashboard.contexts.alerts import thresholds_page, thresholds_url
from dashboard.forms.registries import ThresholdsForm
from dashboard.models import Registry, Thresholds
from dashboard.services.alerts import raise_and_end, shown

from .confirm import confirmed_to_change
from .pages import for_administrators_of_it, render_page


@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators_of_it
@confirmed_to_change
def thresholds(request: HttpRequest, slug: str) -> HttpResponse:
    """What is watched, what is passed now, and what was told of it."""
    registry = get_object_or_404(Registry, slug=slug)
    row = Thresholds.objects.filter(registry=registry).first() or Thresholds(registry=registry)
    form = ThresholdsForm(request.POST if request.method == "POST" else None, row=row)
    if form.is_valid():
        form.apply().save()
        raise_and_end.look([registry])
        messages.success(request, _("The thresholds were saved, and what is known was held against them."))
        return redirect(thresholds_url(registry))
    page = thresholds_page(registry, shown.open_alerts(registry), shown.last_alerts(registry))
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render_page(request, "thresholds.html", {"page": page, "form": form}, status=status)
