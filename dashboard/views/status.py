"""The status of a registry."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from dashboard.contexts.alerts import status_line
from dashboard.contexts.status import status_page
from dashboard.services import status as services
from dashboard.services.alerts import send

from .pages import enter, render_page


@require_safe
def status(request: HttpRequest, slug: str) -> HttpResponse:
    """Looked at afresh each time."""
    access = enter(request, slug, section="status", budget=10.0)
    more = [status_line(send.told(access.registry))] if access.administers else []
    return render_page(request, "status.html", {"page": status_page(access, services.look(access), more)})
