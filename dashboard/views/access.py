"""The page where administrators give and take access, and the one that says who may do what."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.contexts.access import check_page, in_words, refusal, rules_page
from dashboard.forms.rules import AccessRuleForm
from dashboard.models import Role, User
from dashboard.registry.references import is_repository
from dashboard.services import access_rules
from dashboard.services.administration import Administration

from .confirm import confirmed_to_change
from .pages import actor, for_administrators_of_something, render_page, row_id


@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators_of_something
@confirmed_to_change
def rules(request: HttpRequest, administration: Administration) -> HttpResponse:
    """The rules within what this person administers; one is added, or removed with `remove`."""
    if request.method == "POST" and "remove" in request.POST:
        return _remove(request, administration)
    form = AccessRuleForm(request.POST if request.method == "POST" else None, administration=administration)
    if form.is_valid():
        try:
            rule = access_rules.add(form.wanted, administration=administration, actor=actor(request))
        except access_rules.RuleRefused as refused:
            form.add_error(*refusal(refused.code))
        else:
            messages.success(request, _("From now on: %(rule)s.") % {"rule": in_words(rule)})
            return redirect("access-rules")
    page = rules_page(access_rules.listed_for(administration), administration)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render_page(request, "access_rules.html", {"page": page, "form": form}, status=status)


@require_safe
@for_administrators_of_something
def check(request: HttpRequest, administration: Administration) -> HttpResponse:
    """What one person can see and do, or who may do something in one repository, as the address asks; of what this
    person administers.
    """
    registries = list(administration.registries()[:100])
    asked = request.GET.get("registry", "")
    registry = next((each for each in registries if each.slug == asked), registries[0] if registries else None)
    person = request.GET.get("person", "").replace("\0", "").strip()[:150]
    repository = request.GET.get("repository", "").replace("\0", "").strip()[:255]
    contains = request.GET.get("name", "").replace("\0", "").strip()[:200]
    user = User.objects.like(person).first() if person else None
    seen = reasons = None
    if registry is not None and user is not None:
        seen = access_rules.seen_by(user=user, registry=registry, administration=administration, contains=contains)
    if registry is not None and is_repository(repository) and administration.holds(registry.pk, repository):
        reasons = access_rules.who_may(registry=registry, repository=repository, role=Role.READER)
    page = check_page(
        administration=administration,
        registries=registries,
        registry=registry,
        person=person,
        user=user,
        contains=contains,
        seen=seen,
        repository=repository,
        reasons=reasons,
    )
    return render_page(request, "access_check.html", {"page": page})


def _remove(request: HttpRequest, administration: Administration) -> HttpResponse:
    pk = row_id(request.POST["remove"], _("There is no such rule."))
    rule = access_rules.remove(pk=pk, administration=administration, actor=actor(request))
    if rule is not None:
        messages.success(request, _("No longer: %(rule)s.") % {"rule": in_words(rule)})
    return redirect("access-rules")
