"""Groups of people: made, renamed, filled, deleted, by those who administer everything."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from dashboard.contexts import people as contexts
from dashboard.forms.people import MAX_NAME, GroupForm
from dashboard.models import User
from dashboard.services import groups as services
from dashboard.services import people_list

from .confirm import confirmed_to_change
from .pages import actor, for_administrators, list_query, render_page


@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators
@confirmed_to_change
def listed(request: HttpRequest) -> HttpResponse:
    """All groups; one is made."""
    form = GroupForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            group = services.make(name=form.cleaned_data["name"], actor=actor(request))
        except (services.GroupExists, services.TooMany) as refused:
            form.add_error("name", contexts.group_refusal(refused))
        else:
            messages.success(request, _("The group %(group)s was made. It has no members yet.") % {"group": group})
            return redirect("group", pk=group.pk)
    context = {"lines": contexts.group_lines(services.listed()), "form": form}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render_page(request, "groups.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators
@confirmed_to_change
def group(request: HttpRequest, pk: int) -> HttpResponse:
    """One group: renamed, members taken in and out."""
    found = get_object_or_404(Group, pk=pk)
    if "join" in request.POST:
        return _join(request, found)
    if "leave" in request.POST:
        return _leave(request, found)
    form = GroupForm(request.POST if request.method == "POST" else None, initial={"name": found.name})
    if form.is_valid():
        try:
            services.rename(group=found, name=form.cleaned_data["name"], actor=actor(request))
        except services.GroupExists as refused:
            form.add_error("name", contexts.group_refusal(refused))
        else:
            messages.success(request, _("The group is called %(name)s now.") % form.cleaned_data)
            return redirect("group", pk=pk)
    return _page(request, found, form)


@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators
@confirmed_to_change
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """What goes with a group, and the button; its name has to be typed."""
    found = get_object_or_404(Group, pk=pk)
    error = ""
    if request.method == "POST":
        if request.POST.get("name", "").strip() == found.name.strip():
            services.delete(group=found, actor=actor(request))
            messages.success(request, _("The group %(name)s was deleted.") % {"name": found.name})
            return redirect("groups")
        error = _("Type %(name)s to delete this group.") % {"name": found.name}
    context = {"line": contexts.group_line(services.line_of(found)), "error": error}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK
    return render_page(request, "group_delete.html", context, status=status)


def _page(request: HttpRequest, found: Group, form: GroupForm, *, join: str = "", error: str = "") -> HttpResponse:
    query = list_query(request, people_list.COLUMNS, contexts.DEFAULT)
    page = contexts.group_page(services.line_of(found), query, services.members(found, query.page))
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors or error else HTTPStatus.OK
    context = {"page": page, "form": form, "join": join, "error": error}
    return render_page(request, "group.html", context, status=status)


def _join(request: HttpRequest, found: Group) -> HttpResponse:
    name = request.POST["join"].replace("\0", "").strip()[:MAX_NAME]
    user = User.objects.like(name).first()
    if user is None:
        text = _("There is nobody of the user name “%(name)s”.") % {"name": name}
        return _page(request, found, GroupForm(initial={"name": found.name}), join=name, error=text)
    if services.join(group=found, user=user, actor=actor(request)):
        messages.success(request, _("%(name)s is a member now.") % {"name": user})
    else:
        messages.info(request, _("%(name)s is a member already.") % {"name": user})
    return redirect("group", pk=found.pk)


def _leave(request: HttpRequest, found: Group) -> HttpResponse:
    text = request.POST["leave"]
    user = User.objects.filter(pk=int(text)).first() if text.isascii() and text.isdigit() and len(text) < 19 else None
    if user is not None and services.leave(group=found, user=user, actor=actor(request)):
        messages.success(request, _("%(name)s is no member any more.") % {"name": user})
    return redirect("group", pk=found.pk)
