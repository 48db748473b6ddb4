"""The page where administrators set the credentials of groups on a registry."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from dashboard.contexts.errors import problem_of
from dashboard.contexts.group_credentials import group_credentials_page
from dashboard.forms.registries import GroupCredentialForm
from dashboard.models import Registry
from dashboard.models.encryption import SecretUnreadable
from dashboard.services import credential_checks, credentials

from .confirm import confirmed_to_change
from .pages import actor, for_administrators_of_it, render_page, row_id


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators_of_it
@confirmed_to_change
def group_credentials(request: HttpRequest, slug: str) -> HttpResponse:
    """The groups and how their credentials stand; one is set, removed (`remove`), asked about (`check`)."""
    registry = get_object_or_404(Registry, slug=slug)
    if request.method == "POST" and "remove" in request.POST:
        return _remove(request, registry)
    if request.method == "POST" and "check" in request.POST:
        return _check(request, registry)
    form = GroupCredentialForm(request.POST if request.method == "POST" else None)
    problem = None
    if form.is_valid():
        group = form.cleaned_data["group"]
        verdict = credentials.keep_for_group(registry=registry, actor=actor(request), **form.cleaned_data)
        if verdict.accepted and not verdict.needless:
            messages.success(
                request,
                _("%(registry)s accepted the credential of %(group)s.") % {"registry": registry, "group": group},
            )
            return redirect("group-credentials", slug)
        if verdict.error:
            problem = problem_of(verdict.error)
        elif verdict.needless:
            form.add_error(
                None, _("%(registry)s asks nobody for a password, so none was kept.") % {"registry": registry}
            )
        else:
            form.add_error("password", _("%(registry)s refused that name and password.") % {"registry": registry})
    page = group_credentials_page(registry, credentials.of_groups(registry))
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors or problem else HTTPStatus.OK
    context = {"page": page, "form": form, "problem": problem}
    return render_page(request, "group_credentials.html", context, status=status)


def _remove(request: HttpRequest, registry: Registry) -> HttpResponse:
    group = _group(request.POST["remove"])
    if credentials.remove_of_group(group=group, registry=registry, actor=actor(request)):
        messages.success(request, _("The credential of %(group)s was removed.") % {"group": group})
    return redirect("group-credentials", registry.slug)


def _check(request: HttpRequest, registry: Registry) -> HttpResponse:
    group = _group(request.POST["check"])
    names = {"registry": registry, "group": group}
    try:
        verdict = credential_checks.of_group(group=group, registry=registry, actor=actor(request))
    except SecretUnreadable:
        verdict = None
    except credential_checks.TooSoon:
        text = _("%(registry)s refused the credential of %(group)s less than a minute ago, and was not asked again.")
        messages.error(request, text % names)
        return redirect("group-credentials", registry.slug)
    if verdict is None:
        messages.error(request, _("The credential of %(group)s has to be entered again.") % names)
    elif verdict.error is not None:
        messages.warning(request, problem_of(verdict.error).title)
    elif verdict.accepted:
        messages.success(request, _("%(registry)s accepts the credential of %(group)s.") % names)
    else:
        messages.error(request, _("%(registry)s refuses the credential of %(group)s. Enter it again.") % names)
    return redirect("group-credentials", registry.slug)


def _group(number: str) -> Group:
    return get_object_or_404(Group, pk=row_id(number, _("There is no such group.")))
