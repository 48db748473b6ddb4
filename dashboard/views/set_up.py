"""The set-up page: the first administrator, for whoever knows the code that the start printed."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from dashboard.forms import SetUpForm
from dashboard.models import Registry
from dashboard.services import set_up as service
from dashboard.services.client_address import client_address

from .pages import render_page

BACKEND = "django.contrib.auth.backends.ModelBackend"


@login_not_required
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def set_up(request: HttpRequest) -> HttpResponse:
    """Asks for the code, makes the administrator, and leads to the registry's status. 404 once somebody is here."""
    if not service.is_needed():
        raise Http404(_("The first administrator is there already."))
    form = SetUpForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            user = service.make_administrator(
                code=form.cleaned_data["code"],
                username=form.cleaned_data["username"],
                password=form.cleaned_data["password1"],
                address=client_address(request),
            )
        except service.SetUpRefused as refused:
            form.add_error("code", _refusal(refused.code))
        else:
            login(request, user, backend=BACKEND)
            registry = Registry.objects.first()
            return redirect("status", registry.slug) if registry else redirect("home")
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render_page(request, "set_up.html", {"form": form}, status=status)


def _refusal(code: str) -> str:
    if code == service.WRONG:
        return _("That is not the code. It stands in the output of the last start.")
    return _("This code is spent. Start the dashboard again: it prints a new one.")
