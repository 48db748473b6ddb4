"""Middleware: who comes through a proxy that signs people in is signed in here.

A session that the proxy began ends when the proxy names nobody or somebody else. One that was begun with a password
on the sign-in page stands beside it, so that an administrator made here can come in.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse

from dashboard.contexts.sign_in import not_let_in
from dashboard.models import AuditEntry
from dashboard.services import audit, confirmed, proxy_signin
from dashboard.services.audit import Actor
from dashboard.services.client_address import client_address
from dashboard.services.external_people import NotLetIn

from .pages import render_page

TOLD = "told_by_proxy"
WITHOUT = frozenset({"login", "healthz", "readyz", "metrics", "events"})
"""Names of addresses where nobody is signed in: the page for a password of this dashboard, and those for machines."""


class ProxySignIn:
    """Does nothing where no header is configured."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Passes the request on."""
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponse | None:
        """Signs in or out before the page is asked for; a page in words for whom it does not let in."""
        if request.resolver_match is not None and request.resolver_match.url_name in WITHOUT:
            return None
        by_proxy = confirmed.signed_in_by(request) == confirmed.PROXY_BACKEND
        if request.user.is_authenticated and not by_proxy:
            return None
        told = [proxy_signin.told_name(request), proxy_signin.told_groups(request)]
        known = request.session.get(TOLD, ["", ""]) if by_proxy else ["", ""]
        if told == known and request.user.is_authenticated:
            return None
        if by_proxy and told[0] != known[0]:
            logout(request)
        return _sign_in(request, *told) if told[0] else None


def _sign_in(request: HttpRequest, name: str, groups: str) -> HttpResponse | None:
    try:
        user = proxy_signin.welcome(name, groups)
    except NotLetIn as refused:
        logout(request)
        audit.record(
            actor=Actor("", client_address(request)),
            action=AuditEntry.Action.SIGN_IN,
            outcome=AuditEntry.Outcome.REFUSED,
            code=refused.code,
        )
        return render_page(request, "not_let_in.html", {"page": not_let_in(refused.code)}, status=HTTPStatus.FORBIDDEN)
    if request.user != user:
        login(request, user, backend=confirmed.PROXY_BACKEND)
    request.session[TOLD] = [name, groups]
    return None
