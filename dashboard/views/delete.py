"""Deleting one tag: the plan by GET, its execution by POST, and how it ended."""

from __future__ import annotations

import uuid
from http import HTTPStatus

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from dashboard.contexts import links
from dashboard.contexts.deletion import delete_page, refusal, result
from dashboard.models import Deletion, DeletionPlan
from dashboard.registry.references import RepositoryName
from dashboard.services.access import Access
from dashboard.services.deletion import execute, plan

from .pages import enter, render_page, repository_name, tag_name

PLAN_BUDGET = 30.0
EXECUTE_BUDGET = 150.0


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, slug: str, repository: str) -> HttpResponse:
    """The page of one tag's deletion."""
    posted = request.method == "POST"
    access = enter(request, slug, budget=EXECUTE_BUDGET if posted else PLAN_BUDGET)
    name = repository_name(repository)
    if not access.may_delete:
        raise PermissionDenied
    if posted:
        return _execute(request, access, name)
    if "deletion" in request.GET:
        return _result(request, access, name)
    tag = tag_name(request.GET.get("tag", ""))
    capabilities = access.session.probe(name)
    try:
        made = plan.make(access, name, tag, capabilities)
    except plan.DatabaseBusy:
        return _refused(request, access, name, tag, "database-busy", HTTPStatus.SERVICE_UNAVAILABLE)
    return render_page(request, "delete.html", {"page": delete_page(access, made)})


def _execute(request: HttpRequest, access: Access, name: RepositoryName) -> HttpResponse:
    made = get_object_or_404(
        DeletionPlan,
        pk=_uuid(request.POST.get("plan", "")),
        user=access.user,
        registry=access.registry,
        repository=name,
    )
    try:
        row = execute.execute(
            access,
            made,
            shown=request.POST.get("fingerprint", ""),
            method=request.POST.get("method", ""),
            accepts_loss=request.POST.get("accepts_loss") == "yes",
        )
    except execute.PlanRefused as refused:
        return _refused(request, access, name, made.tag, refused.code, HTTPStatus.CONFLICT)
    if row.state == Deletion.State.DONE:
        shown = result(row)
        messages.success(request, f"{shown.title}. {shown.sentence} {shown.advice}")
        return redirect(links.repository(access.registry, name))
    return redirect(links.with_query(request.path, deletion=row.pk))


def _result(request: HttpRequest, access: Access, name: RepositoryName) -> HttpResponse:
    """How a deletion stands; readable to whoever may delete here and can read the repository now."""
    row = get_object_or_404(
        Deletion.objects.select_related("registry"),
        pk=_uuid(request.GET.get("deletion", "")),
        registry=access.registry,
        repository=name,
    )
    access.session.tags(name)
    status = HTTPStatus.OK if row.state in (Deletion.State.DONE, Deletion.State.IN_PROGRESS) else HTTPStatus.CONFLICT
    context = {"result": result(row), "row": row, "repository_url": links.repository(access.registry, name)}
    context["again_url"] = links.delete(access.registry, name, row.tag)
    return render_page(request, "deletion.html", context, status=status, fragment="result")


def _refused(request: HttpRequest, access: Access, name: str, tag: str, code: str, status: HTTPStatus) -> HttpResponse:
    context = {
        "reason": refusal(code),
        "tag": tag,
        "again_url": links.delete(access.registry, name, tag),
        "repository_url": links.repository(access.registry, name),
    }
    return render_page(request, "delete_refused.html", context, status=status)


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Http404(_("There is no such plan.")) from None
