"""The storage of a registry: the page, all repositories on the disk, the largest layers, problems; and Scan now."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from dashboard.contexts.storage import storage_page
from dashboard.contexts.storage_lists import FIELDS, layers_page, problems_page, repositories_page, repository_record
from dashboard.models import UsageSnapshot
from dashboard.services import access as gate
from dashboard.services import deep_check, storage_source, untagged
from dashboard.services.access import Access, Visible
from dashboard.services.index import lists
from dashboard.services.index.update import state_of
from dashboard.services.usage import lists as measured
from dashboard.services.usage import overview, scans

from .pages import as_file, enter, export_format, is_fragment, list_query, note_visible, render_page

MAX_NAMESPACE = 300


@require_safe
def storage(request: HttpRequest, slug: str) -> HttpResponse:
    """The last scan, its age, and how the current one goes; for htmx the progress alone, the map, or the list."""
    access = enter(request, slug, section="storage")
    snapshot, visible = _last(request, access)
    namespace = request.GET.get("in", "").replace("\0", "").strip("/")[:MAX_NAMESPACE]
    query = list_query(request, measured.COLUMNS, measured.DEFAULT_ORDER)
    found = None
    if snapshot is not None:
        found = overview.overview(access.registry, snapshot, visible, namespace=namespace, order=query.order)
        if namespace and found.map is None:
            return redirect("storage", slug=access.registry.slug)
    storage = storage_source.look(access.registry)
    checked = deep_check.standing(access.registry)
    older = _older(access, visible) if snapshot is not None and not is_fragment(request) else 0
    page = storage_page(access, found, query, scans.last_scan(access.registry), storage, checked, older)
    fragment = {"map": "map", "by": "repositories"}.get(request.headers.get("HX-Target", ""), "scan")
    return render_page(request, "storage.html", {"page": page}, fragment=fragment)


@require_safe
def repositories(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Every repository on the disk that this person may see, to be sorted."""
    access = enter(request, slug, section="storage")
    snapshot, visible = _last(request, access)
    if snapshot is None:
        return redirect("storage", slug=access.registry.slug)
    query = list_query(request, measured.COLUMNS, measured.DEFAULT_ORDER)
    if file_format := export_format(request):
        records = (repository_record(row) for row in measured.exported(snapshot, visible, query))
        return as_file(records, FIELDS, file_format, f"{access.registry.slug}-storage")
    found = measured.repositories(snapshot, visible, query)
    page = repositories_page(access, snapshot, query, found)
    return render_page(request, "storage_repositories.html", {"page": page}, fragment="list")


@require_safe
def layers(request: HttpRequest, slug: str) -> HttpResponse:
    """The largest blobs, and layers that are stored several times."""
    access = enter(request, slug, section="storage")
    snapshot, visible = _last(request, access)
    if snapshot is None:
        return redirect("storage", slug=access.registry.slug)
    found = overview.largest(access.registry, snapshot, visible)
    return render_page(request, "storage_layers.html", {"page": layers_page(access, found)})


@require_safe
def problems(request: HttpRequest, slug: str) -> HttpResponse:
    """What the last scan found malformed, and repositories without tags."""
    access = enter(request, slug, section="storage")
    snapshot, visible = _last(request, access)
    if snapshot is None:
        return redirect("storage", slug=access.registry.slug)
    found = overview.problems(snapshot, visible)
    return render_page(request, "storage_problems.html", {"page": problems_page(access, found)})


@require_POST
def scan(request: HttpRequest, slug: str) -> HttpResponse:
    """Asks for a scan and shows the page, where its progress is told."""
    access = enter(request, slug, section="storage")
    gate.has_rights_per_repository(access)
    if access.registry.storage_address:
        scans.ask_for_scan(registry=access.registry, user=access.user, full="full" in request.POST)
    return redirect("storage", slug=access.registry.slug)


def _last(request: HttpRequest, access: Access) -> tuple[UsageSnapshot | None, Visible]:
    visible, _ = lists.seen(access, state_of(access.registry))
    note_visible(request, visible)
    return scans.latest(access.registry), visible


def _older(access: Access, visible: Visible) -> int:
    """How many images are untagged for the days of grace."""
    scope = untagged.Scope(access.registry, state_of(access.registry), visible)
    return untagged.listed(scope, untagged.by_age(settings.GRACE_DAYS)).count()
