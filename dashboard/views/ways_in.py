"""Ways in without a password: the first start, and links by which people set theirs. Open without sign-in."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from dashboard.contexts import registry_welcome as contexts
from dashboard.forms.people import NewPasswordForm, SetUpForm
from dashboard.models import Invitation, Registry, User
from dashboard.services import invitations, registry_welcome, set_up
from dashboard.services.client_address import client_address

from .pages import render_page

BACKEND = "django.contrib.auth.backends.ModelBackend"


@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "HEAD", "POST"])
@login_not_required
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """The person of a link sets a password and is signed in; 404 for no link of ours, 410 for one that was used.

    Perhaps with a user of the registry, made in the same step.
    """
    found = invitations.look_up(token)
    if found is None or not invitations.is_open(found):
        return _private(_no_longer(request, HTTPStatus.GONE if found else HTTPStatus.NOT_FOUND))
    form = NewPasswordForm(request.POST if request.method == "POST" else None, user=found.user)
    if form.is_valid():
        try:
            user = invitations.accept(found, password=form.cleaned_data["password"], address=client_address(request))
        except invitations.NoLonger:
            return _private(_no_longer(request, HTTPStatus.GONE))
        login(request, user, backend=BACKEND)
        return _private(_welcome(request, user, found.registry_user))
    context = {
        "form": form,
        "person": found.user,
        "is_invitation": found.kind == Invitation.Kind.INVITE,
        "until": found.expires_at,
        "registry_user": found.registry_user,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return _private(render_page(request, "invitation.html", context, status=status))


def _welcome(request: HttpRequest, user: User, registry_user: str) -> HttpResponse:
    """On to the pages; with a user of the registry that comes along, first its password, in this answer alone."""
    welcome = (
        registry_welcome.make(user=user, name=registry_user, address=client_address(request)) if registry_user else None
    )
    if welcome is not None and welcome.registry is not None and welcome.password:
        return render_page(request, "registry_welcome.html", {"page": contexts.welcome_page(welcome.registry, welcome)})
    messages.success(request, _("Your password is set, and you are signed in."))
    if welcome is not None:
        messages.warning(request, contexts.not_made(welcome))
    return redirect("home")


@sensitive_post_parameters("code", "password", "again")
@require_http_methods(["GET", "HEAD", "POST"])
@login_not_required
def first_start(request: HttpRequest) -> HttpResponse:
    """The administrator is made, while there is nobody; the registry's status comes next. 404 afterwards."""
    if not set_up.is_needed():
        raise Http404(_("This dashboard is set up."))
    form = SetUpForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        user = _administrator(request, form)
        if user is not None:
            login(request, user, backend=BACKEND)
            messages.success(request, _("You are the administrator, and signed in."))
            registry = Registry.objects.order_by("-from_environment", "pk").first()
            return redirect("status", slug=registry.slug) if registry else redirect("home")
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return _private(render_page(request, "set_up.html", {"form": form}, status=status))


def _administrator(request: HttpRequest, form: SetUpForm) -> User | None:
    """The person, if the code is right; the form has the error otherwise."""
    found = form.cleaned_data
    try:
        return set_up.make_administrator(
            code=found["code"],
            username=found["username"],
            password=found["password"],
            address=client_address(request),
        )
    except set_up.WrongCode as wrong:
        text = ngettext(
            "That is not the code. It can be tried once more.",
            "That is not the code. It can be tried %(left)s times more.",
            wrong.left,
        )
        if not wrong.left:
            text = _("That is not the code, and no other try is left. Start the dashboard again: it prints a new one.")
        form.add_error("code", text % {"left": wrong.left})
    except set_up.OutOfCodes:
        form.add_error("code", _("There is no code to be tried. Start the dashboard again: it prints a new one."))
    except set_up.Taken:
        raise Http404(_("This dashboard is set up.")) from None
    return None


def _no_longer(request: HttpRequest, status: HTTPStatus) -> HttpResponse:
    return render_page(request, "invitation_over.html", {}, status=status)


def _private(response: HttpResponse) -> HttpResponse:
    """Neither kept nor named to anybody: the address is the secret. ("no-referrer" would take the forms' origin.)"""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "strict-origin"
    return response
