"""Registries in the interface: listed, added, edited, removed, by people who may change them."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.contexts import settings_registries as contexts
from dashboard.forms.registries import RegistryForm
from dashboard.models import Registry
from dashboard.services import registries, registry_health, registry_removal
from dashboard.services.index.refresh import ask_for_refresh

from .confirm import confirmed_recently
from .pages import Request, for_administrators, render_page


@require_safe
@for_administrators
def listed(request: HttpRequest) -> HttpResponse:
    """All registries, the environment's among them."""
    lines = contexts.settings_list(registry_health.standings())
    return render_page(request, "settings_registries.html", {"lines": lines})


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators
@confirmed_recently
def new(request: HttpRequest) -> HttpResponse:
    """A registry is described; what it answers is said on its page."""
    return _form(request, Registry(), None)


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators
@confirmed_recently
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """A registry is changed, or given a token for its notifications, which is shown in the answer and never again."""
    registry = _registry(slug)
    if registry.from_environment:
        if request.method == "POST":
            return _read_only(request, registry)
        return render_page(request, "settings_registry.html", {"page": contexts.settings_page(registry)})
    action = request.POST.get("action", "")
    if action == "make-token":
        made = contexts.new_token(registry, registries.make_events_token(registry))
        response = _form(request, registry, registry, made=made)
        response.headers["Cache-Control"] = "no-store"
        return response
    if action == "drop-token":
        registries.drop_events_token(registry)
        messages.success(
            request, _("The token is gone: notifications of %(registry)s are refused.") % {"registry": registry}
        )
        return redirect("edit-registry", slug=slug)
    return _form(request, registry, _registry(slug))


@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators
@confirmed_recently
def remove(request: HttpRequest, slug: str) -> HttpResponse:
    """What goes with a registry, and the button; the slug has to be typed."""
    registry = _registry(slug)
    if registry.from_environment:
        return _read_only(request, registry)
    error = ""
    if request.method == "POST":
        if request.POST.get("slug", "").strip() != slug:
            error = _("Type %(slug)s to remove it.") % {"slug": slug}
        else:
            try:
                registry_removal.remove(registry)
            except registry_removal.StillBusy:
                error = _("Something is being deleted or put back on it right now. Try again in a minute.")
            else:
                messages.success(request, _("%(registry)s was removed from here.") % {"registry": registry})
                return redirect("registries")
    context = {
        "page": contexts.settings_page(registry),
        "goes": contexts.goes(registry_removal.belongings(registry)),
        "error": error,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK
    return render_page(request, "settings_registry_remove.html", context, status=status)


def _registry(slug: str) -> Registry:
    registry = Registry.objects.filter(slug=slug).first()
    if registry is None:
        raise Http404(_("There is no registry “%(slug)s” here.") % {"slug": slug})
    return registry


def _read_only(request: HttpRequest, registry: Registry) -> HttpResponse:
    text = _("%(registry)s comes from the environment and is read-only here.") % {"registry": registry}
    messages.error(request, text)
    return redirect("edit-registry", slug=registry.slug)


def _form(
    request: HttpRequest, registry: Registry, shown: Registry | None, made: contexts.NewToken | None = None
) -> HttpResponse:
    """The form of `registry`, kept if it is right; `shown` is its row as it is, None for a new one."""
    sent = request.method == "POST" and made is None
    before = (registry.pk, registry.url, registry.storage_address)
    form = RegistryForm(request.POST if sent else None, instance=registry)
    if sent and form.is_valid():
        saved = registries.save(registry=registry, password=form.cleaned_data["password"])
        if saved.kept:
            for said in contexts.sentences(registry, saved):
                messages.add_message(request, getattr(messages, said.level.upper()), said.text)
            if before != (registry.pk, registry.url, registry.storage_address):
                ask_for_refresh(registry=registry, user=cast(Request, request).user)
            return redirect("edit-registry", slug=registry.slug)
        form.add_error("password", _("%(registry)s refuses that name and password.") % {"registry": registry})
    context = {"form": form, "page": contexts.settings_page(shown) if shown else None, "made": made}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render_page(request, "settings_registry.html", context, status=status)
