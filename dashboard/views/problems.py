"""Errors of registry and storage as pages: what happened, where, as whom, what to change, and Retry."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django_htmx.http import HttpResponseClientRedirect

from dashboard.contexts.errors import problem_of
from dashboard.models import Registry
from dashboard.registry.errors import Forbidden, NotFound, RegistryError, Unauthorized
from dashboard.services.access import Access
from dashboard.services.connections import ActingWith, OwnCredential
from dashboard.storage.errors import StorageError

from .pages import is_fragment, render_page

logger = logging.getLogger(__name__)
_NOT_FOR_VISITORS = (PermissionDenied, Http404, NotFound, Unauthorized, Forbidden)
_NOT_ACCEPTED = frozenset({"credential-refused", "token-server-refused"})


class ProblemPages:
    """Middleware: a view need not catch what its page cannot do without."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Passes the request on."""
        return self.get_response(request)

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
        if isinstance(exception, Unauthorized) and access is not None and _wants_own_credential(access, exception):
            return credential_question(request, access)
        problem = problem_of(exception)
        if not problem.is_missing:
            logger.warning("%s", exception)
        context = {"problem": problem, "now": timezone.now(), "retry_url": request.get_full_path()}
        return render_page(request, "problem.html", context, status=problem.status)


def credential_question(request: HttpRequest, access: Access) -> HttpResponse:
    """The one question to somebody without an accepted credential of their own: no repository is named."""
    url = reverse("credential", args=[access.registry.slug])
    usable = access.acting.own == OwnCredential.USABLE
    own = OwnCredential.REFUSED if usable else access.acting.own
    by_group = access.registry.act_with == Registry.ActWith.GROUP
    context = {"own": own, "credential_url": url, "by_group": by_group, "group": access.acting.group}
    return render_page(request, "credential_needed.html", context, status=403)


def _wants_own_credential(access: Access, refusal: Unauthorized) -> bool:
    """Where people act with their own or a group's: there is none, or it is refused now (not: it lacks a right)."""
    if access.registry.act_with == Registry.ActWith.DEFAULT:
        return False
    return access.acting.acting_with == ActingWith.NOBODY or refusal.reason in _NOT_ACCEPTED
