"""A person's own sessions: the page that lists and ends them, and the middleware that notes their use."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from dashboard.contexts.sessions import session_lines
from dashboard.services import sessions as services

from .pages import Request, render_page


class NotedSessions:
    """Middleware: a session's last use is noted, every few minutes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Passes the request on."""
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            services.seen(request, request.user)
        return self.get_response(request)


@require_http_methods(["GET", "HEAD", "POST"])
def own(request: HttpRequest) -> HttpResponse:
    """The list; one session is ended with `end`, all others with `others`."""
    user, key = cast(Request, request).user, request.session.session_key or ""
    if "others" in request.POST:
        ended = services.end_others(user, key)
        text = ngettext("%(n)s other session was ended.", "%(n)s other sessions were ended.", ended)
        messages.success(request, text % {"n": ended})
        return redirect("sessions")
    pk = request.POST.get("end", "")
    if request.method == "POST":
        if pk.isascii() and pk.isdigit() and len(pk) < 19 and services.end(user, int(pk)):
            messages.success(request, _("The session was ended."))
        return redirect("sessions")
    lines = session_lines(services.listed(user), key)
    return render_page(request, "sessions.html", {"lines": lines})
