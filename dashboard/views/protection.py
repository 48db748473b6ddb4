"""Protected tags: the rules of a registry, for administrators; dismissing a notice of a tag that somebody moved."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.contexts import links
from dashboard.contexts.protection import protection_page, protection_url, refusal
from dashboard.forms.rules import TagRuleForm
from dashboard.models import Registry
from dashboard.services import access as gate
from dashboard.services import protected_moves, protection

from .confirm import confirmed_to_change
from .pages import actor, enter, for_administrators_of_it, render_page, row_id


@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators_of_it
@confirmed_to_change
def rules(request: HttpRequest, slug: str) -> HttpResponse:
    """The rules of a registry; one is added, or removed with `remove`."""
    registry = get_object_or_404(Registry, slug=slug)
    if request.method == "POST" and "remove" in request.POST:
        return _remove(request, registry)
    form = TagRuleForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            rule = protection.add(registry=registry, actor=actor(request), **form.cleaned_data)
        except protection.RuleRefused as refused:
            form.add_error(None, refusal(refused.code))
        else:
            messages.success(request, _("Tags like %(rule)s are protected now.") % {"rule": rule})
            return redirect(protection_url(registry))
    found = protection.rules_of(registry)
    page = protection_page(registry, found, protection.protected_now(registry, found))
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render_page(request, "protection.html", {"page": page, "form": form}, status=status)


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


def _remove(request: HttpRequest, registry: Registry) -> HttpResponse:
    pk = row_id(request.POST["remove"], _("There is no such rule."))
    rule = protection.remove(registry=registry, pk=pk, actor=actor(request))
    if rule is not None:
        messages.success(request, _("Tags like %(rule)s are no longer protected.") % {"rule": rule})
    return redirect(protection_url(registry))
