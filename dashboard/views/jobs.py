"""The jobs of a registry: looked at, asked for, cancelled."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from dashboard.contexts import exports
from dashboard.contexts.jobs import jobs_page
from dashboard.models import Job
from dashboard.services import access as gate
from dashboard.services import jobs as services
from dashboard.services.index import refresh as index

from .pages import as_file, enter, export_format, render_page


@require_safe
def jobs(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Looked at by anybody whom the registry accepts; while one is live the page asks again by itself. Also a file."""
    access = enter(request, slug, section="status")
    gate.has_rights_per_repository(access)
    found = services.recent(access.registry)
    if file_format := export_format(request):
        return as_file(map(exports.job_record, found), exports.JOB_FIELDS, file_format, "jobs")
    return render_page(request, "jobs.html", {"page": jobs_page(access, found)}, fragment="jobs")


@require_POST
def refresh(request: HttpRequest, slug: str) -> HttpResponse:
    """Asks for a refresh of the index; one that waits or runs already is that one."""
    access = enter(request, slug, section="status")
    gate.has_rights_per_repository(access)
    index.ask_for_refresh(registry=access.registry, user=access.user)
    return redirect("jobs", slug=slug)


@require_POST
def cancel(request: HttpRequest, slug: str, job: uuid.UUID) -> HttpResponse:
    """By an administrator, or by who asked for it."""
    access = enter(request, slug, section="status")
    mine = Job.objects.filter(pk=job, registry=access.registry, requested_by=access.user).exists()
    if not mine and not access.administers:
        raise PermissionDenied
    if not services.cancel(registry=access.registry, job_id=job):
        messages.info(request, _("That job had ended already."))
    return redirect("jobs", slug=slug)
