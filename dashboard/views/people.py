"""People: listed, invited, changed, disabled, deleted, by those who administer everything."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.contexts import people as contexts
from dashboard.forms.people import NewPersonForm, PersonForm
from dashboard.models import Registry, User
from dashboard.services import invitations, people_list, registry_welcome
from dashboard.services import people as services

from .confirm import confirmed_to_change
from .pages import Request, actor, for_administrators, list_query, render_page


@require_safe
@for_administrators
@confirmed_to_change
def listed(request: HttpRequest) -> HttpResponse:
    """Everybody, a page at a time."""
    query = list_query(request, people_list.COLUMNS, contexts.DEFAULT)
    page = contexts.people_page(query, people_list.page_of(query))
    return render_page(request, "people.html", {"page": page}, fragment="list")


@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators
@confirmed_to_change
def new(request: HttpRequest) -> HttpResponse:
    """Somebody is invited: the answer shows the link, once."""
    registry = registry_welcome.registry_of_users()
    form = NewPersonForm(request.POST if request.method == "POST" else None, registry=registry)
    if form.is_valid() and (answer := _invite(request, form, registry)):
        return answer
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    context = {"form": form, "host": registry.public_host if registry else ""}
    return render_page(request, "person_new.html", context, status=status)


def _invite(request: HttpRequest, form: NewPersonForm, registry: Registry | None) -> HttpResponse | None:
    """The page with the link; None where the form has an error then."""
    found = form.cleaned_data
    wish = found["username"] if registry and found["registry_user"] else ""
    if registry and wish and (code := registry_welcome.hindrance(registry, wish)):
        form.add_error("registry_user", contexts.hindrance(code))
        return None
    try:
        user, made = services.invite(
            username=found["username"],
            full_name=found["full_name"],
            groups=found["groups"],
            actor=actor(request),
            registry_user=wish,
        )
    except services.PersonRefused as refused:
        form.add_error("username", contexts.refusal(refused.code))
        return None
    return _page(request, user, link=contexts.new_link(user, made))


@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators
@confirmed_to_change
def person(request: HttpRequest, pk: int) -> HttpResponse:
    """One person: changed, given a new link, disabled, enabled."""
    user = get_object_or_404(User, pk=pk)
    action = request.POST.get("action", "save") if request.method == "POST" else ""
    if action == "link":
        return _link(request, user)
    if action in ("disable", "enable"):
        return _switch(request, user, action)
    return _page(request, user, sent=request.method == "POST")


@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators
@confirmed_to_change
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """What goes with a person and what stays, and the button; the user name has to be typed."""
    user = get_object_or_404(User, pk=pk)
    name, error = user.get_username(), ""
    if request.method == "POST":
        if request.POST.get("name", "").strip() != name:
            error = _("Type %(name)s to delete this person.") % {"name": name}
        else:
            try:
                services.delete(user=user, actor=actor(request))
            except services.PersonRefused as refused:
                error = contexts.refusal(refused.code)
            else:
                messages.success(request, _("%(name)s was deleted.") % {"name": name})
                return redirect("people")
    context = {"name": name, "pk": pk, "goes": contexts.goes_with(services.belongings(user)), "error": error}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK
    return render_page(request, "person_delete.html", context, status=status)


def _link(request: HttpRequest, user: User) -> HttpResponse:
    try:
        made = invitations.make(user=user, actor=actor(request))
    except invitations.NoLonger:
        messages.error(request, _("Nobody who is disabled gets a link. Enable the person first."))
        return redirect("person", pk=user.pk)
    return _page(request, user, link=contexts.new_link(user, made))


def _switch(request: HttpRequest, user: User, action: str) -> HttpResponse:
    try:
        if action == "disable":
            services.disable(user=user, actor=actor(request))
            text = _("%(name)s cannot sign in any more, and is signed out everywhere.")
        else:
            services.enable(user=user, actor=actor(request))
            text = _("%(name)s may sign in again.")
    except services.PersonRefused as refused:
        messages.error(request, contexts.refusal(refused.code))
    else:
        messages.success(request, text % {"name": user.get_username()})
    return redirect("person", pk=user.pk)


def _page(
    request: HttpRequest, user: User, *, sent: bool = False, link: contexts.NewLink | None = None
) -> HttpResponse:
    """The page of `user`; `sent`: with the form that came. A link is in this answer alone, which nobody may keep."""
    initial: dict[str, Any] = {
        "full_name": user.get_full_name(),
        "groups": user.groups.all(),
        "administers": user.is_superuser,
    }
    form = PersonForm(request.POST if sent else None, initial=initial)
    if sent and form.is_valid():
        try:
            services.change(user=user, actor=actor(request), **form.cleaned_data)
        except services.PersonRefused as refused:
            form.add_error("administers", contexts.refusal(refused.code))
        else:
            messages.success(request, _("%(name)s was changed.") % {"name": user.get_username()})
            return redirect("person", pk=user.pk)
    oneself = cast(Request, request).user.pk == user.pk
    wish = invitations.registry_user_with(user)
    page = contexts.person_page(people_list.people([user])[0], oneself=oneself, registry_user=wish)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    response = render_page(request, "person.html", {"page": page, "form": form, "link": link}, status=status)
    if link is not None:
        response.headers["Cache-Control"] = "no-store"
    return response
