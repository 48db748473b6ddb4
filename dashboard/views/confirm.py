"""Asking for the password again before something is changed that is hard to undo.

A form that was interrupted is not sent again by itself: the person is led back to the page it stands on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from dashboard.forms.account import ConfirmForm
from dashboard.services import confirmed, passwords

from .pages import Request, actor, is_fragment, render_page

View = Callable[..., HttpResponse]
MAX_NEXT = 2000


def confirmed_recently(view: View) -> View:
    """A view that is for people who gave their password in the last minutes; others are asked before they begin."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if confirmed.is_recent(request):
            return view(request, *args, **kwargs)
        return ask(request, request.get_full_path())

    return guarded


def confirmed_to_change(view: View) -> View:
    """As `confirmed_recently`, for a page that may be looked at without: only its POST wants the password."""
    guarded_post = confirmed_recently(view)

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return (guarded_post if request.method == "POST" else view)(request, *args, **kwargs)

    return guarded


def ask(request: HttpRequest, back: str) -> HttpResponse:
    """Leads to the question, and from there to the page `back`, an address of ours."""
    if request.method == "POST":
        messages.info(request, _("Nothing was changed yet. Send the form again once you gave your password."))
    url = f"{reverse('confirm')}?{urlencode({'next': back})}"
    return HttpResponseClientRedirect(url) if is_fragment(request) else HttpResponseRedirect(url)


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """The question. People whom a provider signs in are sent there; a proxy's people need not answer."""
    back = _safe(request, request.POST.get("next", "") or request.GET.get("next", ""))
    if confirmed.signed_in_by(request) == confirmed.PROXY_BACKEND:
        return HttpResponseRedirect(back)
    if confirmed.signed_in_by(request) == confirmed.OIDC_BACKEND:
        again_url = f"{reverse('oidc')}?{urlencode({'again': 1, 'next': back})}"
        there = {"form": None, "again_url": again_url, "provider": settings.OIDC_NAME, "minutes": confirmed.MINUTES}
        return render_page(request, "confirm.html", there)
    form = ConfirmForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        user = cast(Request, request).user
        if passwords.is_right(request, user=user, password=form.cleaned_data["password"]):
            passwords.confirm(request, actor=actor(request))
            return HttpResponseRedirect(back)
        form.add_error("password", _("That is not your password."))
    context = {"form": form, "next": back, "minutes": confirmed.MINUTES}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render_page(request, "confirm.html", context, status=status)


def _safe(request: HttpRequest, address: str) -> str:
    """`address` if it is one of ours, else the account page."""
    if len(address) > MAX_NEXT or not url_has_allowed_host_and_scheme(
        address, {request.get_host()}, require_https=request.is_secure()
    ):
        return reverse("account")
    return address
