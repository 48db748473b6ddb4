"""Protected tags: the rules of a registry, for administrators, and of one repository, for its maintainers; dismissing a
notice of a tag that somebody moved.
"""

from __future__ import annotations

from http import HTTPStatus

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.contexts import links
from dashboard.contexts.protection import protection_page, protection_url, refusal, repository_protection_page
from dashboard.forms.rules import TagPatternForm, TagRuleForm
from dashboard.models import Registry, Role
from dashboard.services import access as gate
from dashboard.services import confirmed, protected_moves, protection

from .confirm import ask, confirmed_to_change
from .pages import actor, enter, enter_repository, for_administrators_of_it, render_page, row_id


@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators_of_it
@confirmed_to_change
def rules(request: HttpRequest, slug: str) -> HttpResponse:
    """The rules of a registry; one is added, or removed with `remove`."""
    registry = get_object_or_404(Registry, slug=slug)
    if request.method == "POST" and "remove" in request.POST:
        _remove(request, registry)
        return redirect(protection_url(registry))
    form = TagRuleForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and _added(request, registry, form):
        return redirect(protection_url(registry))
    found = protection.rules_of(registry)
    page = protection_page(registry, found, protection.protected_now(registry, found))
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render_page(request, "protection.html", {"page": page, "form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def of_repository(request: HttpRequest, slug: str, repository: str) -> HttpResponse:
    """The rules about one repository; those of it alone are added, or removed with `remove`, by its maintainers."""
    access, name = enter_repository(request, slug, repository, needs=Role.MAINTAINER)
    gate.require(access, name)
    address = links.protection(access.registry, name)
    if request.method == "POST" and not confirmed.is_recent(request):
        return ask(request, address)
    if request.method == "POST" and "remove" in request.POST:
        _remove(request, access.registry, name)
        return redirect(address)
    form = TagPatternForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and _added(request, access.registry, form, name):
        return redirect(address)
    found = protection.rules_about(access.registry, name)
    page = repository_protection_page(
        access, name, found, protection.protected_now(access.registry, found, repository=name)
    )
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render_page(request, "repository_protection.html", {"page": page, "form": form}, status=status)


@require_POST
def dismiss(request: HttpRequest, slug: str, move: int) -> HttpResponse:
    """Ends a notice: what the tag points at now is as it should be."""
    access = enter(request, slug)
    if not access.may_delete_somewhere:
        raise PermissionDenied
    found = protected_moves.open_move(access.registry, move)
    if found is not None:
        gate.require(access, found.repository)
        if not access.may_delete_in(found.repository):
            raise PermissionDenied
        if protected_moves.dismiss(move=found, actor=actor(request, access)):
            messages.success(request, _("The notice of %(tag)s was dismissed.") % {"tag": found})
    if found is not None and request.POST.get("to") == "repository":
        return redirect(links.repository(access.registry, found.repository))
    return redirect(links.repositories(access.registry))


def _added(request: HttpRequest, registry: Registry, form: TagPatternForm, repository: str = "") -> bool:
    """Whether the rule of a valid form was added, with `repository` to that one alone; else the form says why not."""
    wanted = {"repository_pattern": repository} if repository else {}
    try:
        rule = protection.add(registry=registry, actor=actor(request), **(form.cleaned_data | wanted))
    except protection.RuleRefused as refused:
        form.add_error(None, refusal(refused.code))
        return False
    messages.success(request, _("Tags like %(rule)s are protected now.") % {"rule": rule})
    return True


def _remove(request: HttpRequest, registry: Registry, repository: str = "") -> None:
    pk = row_id(request.POST["remove"], _("There is no such rule."))
    rule = protection.remove(registry=registry, pk=pk, actor=actor(request), repository=repository)
    if rule is not None:
        messages.success(request, _("Tags like %(rule)s are no longer protected.") % {"rule": rule})
