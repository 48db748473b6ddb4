"""The registry's own users, for administrators: those of its password file, where that is mounted."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from dashboard.contexts import registry_users as contexts
from dashboard.forms.registries import MapForm, RegistryUserForm
from dashboard.models import Registry
from dashboard.registry import htpasswd
from dashboard.services import registry_users
from dashboard.services.registry_users import FileProblem, Written

from .confirm import confirmed_to_change
from .pages import actor, for_administrators, render_page

Forms = dict[str, Any]


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators
@confirmed_to_change
def users(request: HttpRequest, slug: str) -> HttpResponse:
    """The users of a registry; one is added, changed, switched off or on, removed, or made for somebody."""
    registry = Registry.objects.filter(slug=slug).first()
    if registry is None or not registry_users.are_of(registry):
        raise Http404(_("There are no users of such a registry to be changed here."))
    if request.method != "POST":
        return _page(request, registry, {}, chosen=request.GET.get("user", ""))
    act = _ACTIONS.get(request.POST.get("action", ""))
    if act is None:
        raise Http404(_("There is nothing of that name to be done."))
    try:
        return act(request, registry)
    except FileProblem as problem:
        return _page(request, registry, {}, code=problem.code, chosen=request.POST.get("name", ""))


def _add(request: HttpRequest, registry: Registry) -> HttpResponse:
    form = RegistryUserForm(request.POST)
    if not form.is_valid():
        return _page(request, registry, {"form": form})
    name, password = form.cleaned_data["username"], form.cleaned_data["password"]
    try:
        written = registry_users.add(registry=registry, name=name, password=password, **_common(request))
    except htpasswd.Refused as refused:
        form.add_error("username", contexts.refusal(refused.code))
        return _page(request, registry, {"form": form})
    return _done(request, registry, written, _("%(name)s was added.") % {"name": name})


def _password(request: HttpRequest, registry: Registry) -> HttpResponse:
    name = request.POST.get("name", "")
    form = RegistryUserForm({"username": name, "password": request.POST.get("password", "")})
    if not form.is_valid():
        return _page(request, registry, {"password_errors": form.errors.get("password", [])}, chosen=name)
    password = form.cleaned_data["password"]
    try:
        written = registry_users.set_password(registry=registry, name=name, password=password, **_common(request))
    except htpasswd.Refused as refused:
        return _refused(request, registry, refused)
    return _done(request, registry, written, _("The password of %(name)s was changed.") % {"name": name})


def _switch(change: Callable[..., Written], text: Promise) -> Callable[[HttpRequest, Registry], HttpResponse]:
    def act(request: HttpRequest, registry: Registry) -> HttpResponse:
        name = request.POST.get("name", "")
        try:
            written = change(registry=registry, name=name, **_common(request))
        except htpasswd.Refused as refused:
            return _refused(request, registry, refused)
        return _done(request, registry, written, str(text) % {"name": name})

    return act


def _remove(request: HttpRequest, registry: Registry) -> HttpResponse:
    name = request.POST.get("name", "")
    if request.POST.get("typed", "").strip() != name:
        error = _("Type %(name)s to remove it.") % {"name": name}
        return _page(request, registry, {"typed_error": error}, chosen=name)
    return _switch(registry_users.remove, gettext_lazy("%(name)s was removed."))(request, registry)


def _mend(request: HttpRequest, registry: Registry) -> HttpResponse:
    registry_users.mend(registry=registry, **_common(request))
    messages.success(request, _("Those lines are comments now: the registry reads the file again."))
    return redirect(contexts.users_url(registry))


def _map(request: HttpRequest, registry: Registry) -> HttpResponse:
    if registry.act_with != Registry.ActWith.OWN:
        raise Http404(_("On %(registry)s people act with the default credential.") % {"registry": registry})
    form = MapForm(request.POST, people=registry_users.candidates())
    if not form.is_valid():
        return _page(request, registry, {"map_form": form})
    person, name = form.cleaned_data["person"], form.cleaned_data["username"]
    try:
        written = registry_users.map_to(registry=registry, user=person, name=name, **_common(request))
    except htpasswd.Refused as refused:
        form.add_error("username", contexts.refusal(refused.code))
        return _page(request, registry, {"map_form": form})
    said = contexts.said_of_mapping(written, person.username)
    messages.add_message(request, getattr(messages, said.level.upper()), said.text)
    return redirect(contexts.users_url(registry))


_ACTIONS: dict[str, Callable[[HttpRequest, Registry], HttpResponse]] = {
    "add": _add,
    "password": _password,
    "disable": _switch(
        registry_users.disable, gettext_lazy("%(name)s was disabled: the registry refuses it from now on.")
    ),
    "enable": _switch(registry_users.enable, gettext_lazy("%(name)s is a user again, with the password from before.")),
    "remove": _remove,
    "mend": _mend,
    "map": _map,
}


def _common(request: HttpRequest) -> dict[str, Any]:
    return {"seen": request.POST.get("seen", ""), "actor": actor(request)}


def _done(request: HttpRequest, registry: Registry, written: Written, text: str) -> HttpResponse:
    """Back to the list; but a generated password is shown at once, in this answer alone."""
    if written.password:
        return _page(request, registry, {"made": contexts.new_password(written)})
    messages.success(request, " ".join(filter(None, [text, contexts.said_of_following(written)])))
    if said := contexts.said_of(written):
        messages.add_message(request, getattr(messages, said.level.upper()), said.text)
    return redirect(contexts.users_url(registry))


def _refused(request: HttpRequest, registry: Registry, refused: htpasswd.Refused) -> HttpResponse:
    return _page(request, registry, {"refused": contexts.refusal(refused.code)})


def _page(request: HttpRequest, registry: Registry, given: Forms, *, code: str = "", chosen: str = "") -> HttpResponse:
    """The page as the file is now; `given` holds what was made, or a form with its errors."""
    try:
        shown = registry_users.shown(registry)
    except FileProblem as problem:
        shown, code = None, problem.code
    context: Forms = {
        "form": RegistryUserForm(),
        "map_form": MapForm(people=registry_users.candidates()),
        "made": None,
        "refused": "",
        "password_errors": [],
        "typed_error": "",
        "page": contexts.users_page(registry, shown, chosen=chosen, code=code),
    }
    bad = request.method == "POST" and "made" not in given
    status = HTTPStatus.UNPROCESSABLE_ENTITY if bad else HTTPStatus.OK
    response = render_page(request, "registry_users.html", context | given, status=status)
    response.headers["Cache-Control"] = "no-store"
    return response
