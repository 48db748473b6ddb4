"""Deleting: the plan by GET, its execution by POST, and how a deletion stands."""

from __future__ import annotations

import uuid
from http import HTTPStatus

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.contexts import links
from dashboard.contexts.deletion import delete_page, refusal
from dashboard.contexts.deletion_result import result_page
from dashboard.contexts.repository_removal import removal_box
from dashboard.models import Deletion, DeletionPlan, Role
from dashboard.registry.references import RepositoryName
from dashboard.services import access as gate
from dashboard.services import confirmed, repository_removal
from dashboard.services.access import Access
from dashboard.services.client_address import client_address
from dashboard.services.deletion import choice, execute, plan, recover

from .confirm import ask
from .pages import enter_repository, render_page

PLAN_BUDGET = 30.0
EXECUTE_BUDGET = 150.0


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, slug: str, repository: str) -> HttpResponse:
    """The plan of what was chosen in the address; its execution."""
    posted = request.method == "POST"
    access, name = _enter(request, slug, repository, EXECUTE_BUDGET if posted else PLAN_BUDGET)
    if posted:
        return _execute(request, access, name)
    try:
        chosen = choice.choice_of(request.GET, access, name)
        if chosen.is_empty:
            raise Http404(_("Nothing was chosen."))
        made = plan.make(access, name, chosen, request.GET.urlencode(), access.session.probe(name))
    except choice.TooMany:
        return _refused(request, access, name, "too-many", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    except plan.DatabaseBusy:
        return _refused(request, access, name, "database-busy", HTTPStatus.SERVICE_UNAVAILABLE)
    items = plan.effect_in(made).items
    if items and all(item.refused == plan.VANISHED for item in items):
        raise Http404(_("None of it is there (any more)."))
    if not items:
        code = "nothing-untagged" if chosen.untagged else "nothing-chosen"
        return _refused(request, access, name, code, HTTPStatus.OK)
    return render_page(request, "delete.html", {"page": delete_page(access, made)})


@require_POST
def choose(request: HttpRequest, slug: str, repository: str) -> HttpResponse:
    """Takes the names that were ticked to their plan; where they do not fit in an address, they are stored."""
    access, name = _enter(request, slug, repository, PLAN_BUDGET)
    tags, digests = request.POST.getlist("tag"), request.POST.getlist("digest")
    path = links.delete_path(access.registry, name)
    if not tags and not digests:
        messages.warning(request, _("Nothing was chosen."))
        return redirect(links.repository(access.registry, name))
    if len(tags) + len(digests) <= choice.MAX_NAMED:
        return HttpResponseRedirect(links.with_list(path, tag=tags, digest=digests))
    try:
        stored = choice.store(access, name, tags, digests)
    except choice.TooMany:
        return _refused(request, access, name, "too-many", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return redirect(links.with_query(path, chosen=stored.pk))


@require_safe
def deleted(request: HttpRequest, slug: str, repository: str, deletion: uuid.UUID) -> HttpResponse:
    """How a deletion stands; readable to whoever may delete here and can read the repository now."""
    access, name = _enter(request, slug, repository, PLAN_BUDGET)
    row = _row(access, name, deletion)
    page = result_page(row)
    status = HTTPStatus.CONFLICT if page.level == "danger" else HTTPStatus.OK
    removal = None
    if repository_removal.was_emptied_by(row):
        removal = removal_box(access, name, repository_removal.remains(access, name, just_emptied=True))
    context = {"page": page, "removal": removal}
    return render_page(request, "deletion.html", context, status=status, fragment="result")


@require_POST
def resume(request: HttpRequest, slug: str, repository: str, deletion: uuid.UUID) -> HttpResponse:
    """Has the worker go on with a deletion that waits."""
    access, name = _enter(request, slug, repository, PLAN_BUDGET)
    row = _row(access, name, deletion)
    recover.resume(row)
    return redirect(links.deletion(access.registry, name, row.pk))


@require_POST
def abandon(request: HttpRequest, slug: str, repository: str, deletion: uuid.UUID) -> HttpResponse:
    """Leaves what has not begun as it is."""
    access, name = _enter(request, slug, repository, PLAN_BUDGET)
    row = _row(access, name, deletion)
    recover.abandon(row)
    recover.resume(row)
    return redirect(links.deletion(access.registry, name, row.pk))


def _enter(request: HttpRequest, slug: str, repository: str, budget: float) -> tuple[Access, RepositoryName]:
    return enter_repository(request, slug, repository, needs=Role.MAINTAINER, budget=budget)


def _row(access: Access, name: RepositoryName, pk: uuid.UUID) -> Deletion:
    rows = Deletion.objects.select_related("registry", "user", "plan")
    row = get_object_or_404(rows, pk=pk, registry=access.registry, repository=name)
    gate.require(access, name)
    return row


def _execute(request: HttpRequest, access: Access, name: RepositoryName) -> HttpResponse:
    made = get_object_or_404(
        DeletionPlan,
        pk=_uuid(request.POST.get("plan", "")),
        user=access.user,
        registry=access.registry,
        repository=name,
    )
    if plan.is_bulk(made) and not confirmed.is_recent(request):
        return ask(request, f"{links.delete_path(access.registry, name)}?{made.choice}")
    try:
        row = execute.execute(
            access,
            made,
            shown=request.POST.get("fingerprint", ""),
            method=request.POST.get("method", ""),
            accepts_loss=request.POST.get("accepts_loss") == "yes",
            typed=request.POST.get("typed", "")[:300],
            reason=request.POST.get("reason", ""),
            address=client_address(request),
        )
    except execute.PlanRefused as refused:
        return _refused(request, access, name, refused.code, HTTPStatus.CONFLICT, query=made.choice)
    return redirect(links.deletion(access.registry, name, row.pk))


def _refused(
    request: HttpRequest, access: Access, name: str, code: str, status: HTTPStatus, *, query: str | None = None
) -> HttpResponse:
    path = links.delete_path(access.registry, name)
    context = {
        "reason": refusal(code),
        "name": name,
        "again_url": f"{path}?{request.GET.urlencode() if query is None else query}",
        "repository_url": links.repository(access.registry, name),
    }
    return render_page(request, "delete_refused.html", context, status=status)


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Http404(_("There is no such plan.")) from None
