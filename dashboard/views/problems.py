"""Errors of registry and storage as pages: what happened, where, as whom, what to change, and Retry.

A kept credential that the registry refuses, on whatever page, becomes one question; it is asked about once more first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect

from dashboard.contexts.credential_needed import question
from dashboard.contexts.errors import problem_of
from dashboard.models import Registry
from dashboard.registry.auth import PASSWORD_REFUSED
from dashboard.registry.errors import Forbidden, NotFound, RegistryError, Unauthorized
from dashboard.services import access as gate
from dashboard.services import connections, credential_checks
from dashboard.services.access import Access
from dashboard.services.connections import ActingWith
from dashboard.services.credential_checks import Standing
from dashboard.storage.errors import StorageError

from .pages import actor, is_fragment, render_page

logger = logging.getLogger(__name__)
_NOT_FOR_VISITORS = (PermissionDenied, Http404, NotFound, Unauthorized, Forbidden)
_READS = ("GET", "HEAD")
_SAYS_ITSELF = frozenset({"status"})
"""Pages that tell of a refused credential in their own words."""


class ProblemPages:
    """Middleware: a view need not catch what its page cannot do without."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Passes the request on. What was read of the registry before it refused the password is not shown."""
        response = self.get_response(request)
        access: Access | None = getattr(request, "access", None)
        if access is None or not access.session.password_refused or response.status_code >= HTTPStatus.BAD_REQUEST:
            return response
        if credential_checks.after_refusal(acting=access.acting, actor=actor(request, access)) != Standing.REFUSED:
            return response
        if request.method not in _READS:
            messages.error(request, _refused_meanwhile(access))
            return response
        match = request.resolver_match
        if response.status_code != HTTPStatus.OK or (match is not None and match.url_name in _SAYS_ITSELF):
            return response
        return HttpResponseClientRedirect(request.get_full_path()) if is_fragment(request) else _ask(request, access)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A page for an error of registry or storage; None for any other. A fragment's problem takes the whole page.

        A visitor is led to sign in, whether something is not there or not for him.
        """
        if getattr(request, "is_visitor", False) and isinstance(exception, _NOT_FOR_VISITORS):
            return redirect_to_login(request.get_full_path())
        if not isinstance(exception, RegistryError | StorageError):
            return None
        if is_fragment(request):
            return HttpResponseClientRedirect(request.get_full_path())
        access: Access | None = getattr(request, "access", None)
        if access is not None and isinstance(exception, Unauthorized):
            answer = _credential_answer(request, access, exception)
            if answer is not None:
                return answer
        problem = problem_of(exception)
        if not problem.is_missing:
            logger.warning("%s", exception)
        context = {"problem": problem, "now": timezone.now(), "retry_url": request.get_full_path()}
        return render_page(request, "problem.html", context, status=problem.status)


def _credential_answer(request: HttpRequest, access: Access, refusal: Unauthorized) -> HttpResponse | None:
    """The question, where people act with their own credential or a group's, and there is none or it is refused now.

    None where it is accepted and lacks a right. A refusal that was only remembered, of a credential that is accepted by
    now, is forgotten, and the page looked at again.
    """
    if access.registry.act_with == Registry.ActWith.DEFAULT:
        return None
    if access.acting.acting_with == ActingWith.NOBODY:
        return _ask(request, access)
    if refusal.reason not in PASSWORD_REFUSED:
        return None
    standing = credential_checks.after_refusal(acting=access.acting, actor=actor(request, access))
    if standing != Standing.ACCEPTED:
        return _ask(request, access)
    gate.forget()
    again = not access.session.password_refused and request.method in _READS
    return redirect(request.get_full_path()) if again else None


def _ask(request: HttpRequest, access: Access) -> HttpResponse:
    """The one question: no repository is named."""
    now = connections.acting(user=access.user, registry=access.registry)
    return render_page(request, "credential_needed.html", {"question": question(access, now)}, status=403)


def _refused_meanwhile(access: Access) -> str:
    names = {"registry": access.registry, "name": access.acting.name, "group": access.acting.group}
    if access.acting.acting_with == ActingWith.GROUP:
        text = _("%(registry)s no longer accepts the password of %(name)s, the credential of your group %(group)s.")
        return text % names + " " + _("An administrator has to enter it again.")
    text = _("%(registry)s no longer accepts the password of %(name)s, your own credential.")
    return text % names + " " + _("Enter it again on the account page.")
