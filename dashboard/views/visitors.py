"""Visitors: pages that somebody may look at without signing in, where a rule of access lets visitors read something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from dashboard.services import roles

_VISITED = ("", "search/", "registries/")
"""What the addresses of pages begin with that are read alone: the root, the search, and registries."""


class SignInOrVisit(LoginRequiredMiddleware):
    """Middleware: who has not signed in is led to do so, unless it is a page that visitors may read.

    What is not there for a visitor, and what is forbidden, leads to sign in as well (problems.py): it tells nothing.
    """

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        """None to go on."""
        answer: HttpResponseBase | None = super().process_view(request, view_func, view_args, view_kwargs)
        if answer is None or request.method not in ("GET", "HEAD") or not _is_visited(request):
            return answer
        if not roles.registries_for(request.user).exists():
            return answer
        request.is_visitor = True  # type: ignore[attr-defined]  # asked below
        return None


def _is_visited(request: HttpRequest) -> bool:
    route = request.resolver_match.route if request.resolver_match else "-"
    return route == "" or any(begin and route.startswith(begin) for begin in _VISITED)
