"""The list of repositories."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from dashboard.contexts import exports, frame, index_state
from dashboard.contexts.errors import problem_of
from dashboard.contexts.protection import moves_box
from dashboard.contexts.repositories import Surroundings, repositories_page
from dashboard.models import IndexState
from dashboard.services import access as gate
from dashboard.services import protected_moves
from dashboard.services.access import Access, Visible
from dashboard.services.index import lists, repository_list
from dashboard.services.index.refresh import ask_for_refresh, last_refresh
from dashboard.services.index.sums import can_be_freed
from dashboard.services.index.update import knows_revisions, state_of
from dashboard.services.notifications.receive import pulled_since

from .pages import (
    Request,
    as_file,
    enter,
    export_format,
    is_fragment,
    list_query,
    note_visible,
    render_page,
    repository_name,
)

VIEW_COOKIE = "strata_view"
YEAR = 365 * 24 * 3600
BUILDING = "building"


@require_safe
def repositories(request: Request, slug: str) -> HttpResponseBase:
    """A page of the list, or the list alone for htmx; the whole list as a file; how far the first refresh is."""
    access = enter(request, slug)
    registry = access.registry
    state = state_of(registry)
    view = request.GET.get("view") or request.COOKIES.get(VIEW_COOKIE)
    query = list_query(request, repository_list.COLUMNS, repository_list.DEFAULT_ORDER, flat=view == "flat")
    visible, error = lists.seen(access, state, repository_list.first_asked(query))
    if file_format := export_format(request):
        rows = repository_list.exported(registry, visible, query)
        records = map(exports.repository_record, rows)
        return as_file(records, exports.REPOSITORY_FIELDS, file_format, f"{registry.slug}-repositories")
    asks_for_progress = is_fragment(request) and request.htmx.target == BUILDING
    if asks_for_progress and state.refreshed_at is not None:
        return HttpResponseClientRefresh()
    job = last_refresh(registry)
    told = index_state.notices(
        state,
        job,
        _nameable(access, visible, state),
        unanswered=problem_of(error) if error else None,
    )
    request.index_as_of = state.refreshed_at
    around = Surroundings(
        building=index_state.building(state, job),
        notices=told,
        freeable=can_be_freed(registry),
        exact=knows_revisions(registry, state),
        pulled_since=pulled_since(registry),
        restricted=bool(visible.filter),
    )
    found = repository_list.repositories(registry, visible, query)
    if error is None and gate.took_back(access, found.names):
        visible = gate.visible(access)
        found = repository_list.repositories(registry, visible, query)
    if visible.filter and state.refreshed_at and not found.all.repositories and not found.empty_count:
        access.session.repositories()  # says why: a credential that is missing or no longer accepted is asked for
    note_visible(request, visible)
    page = repositories_page(access, query, found, around)
    fragment = BUILDING if asks_for_progress else "list"
    moves = moves_box(access, protected_moves.of_registry(registry, visible))
    response = render_page(request, "repositories.html", {"page": page, "moves": moves}, fragment=fragment)
    if request.GET.get("view") in ("flat", "tree"):
        response.set_cookie(VIEW_COOKIE, request.GET["view"], max_age=YEAR, samesite="Lax", httponly=True)
    return response


@require_safe
def checking(request: Request, slug: str) -> HttpResponseBase:
    """For htmx: asks about more repositories, and how far that is; once all were asked about the page is made anew."""
    access = enter(request, slug)
    if not is_fragment(request):
        return redirect("repositories", slug=access.registry.slug)
    visible = gate.visible(access)
    if visible.complete:
        return HttpResponseClientRefresh()
    before = request.GET.get("after", "")
    goes_on = before.isascii() and before.isdigit() and int(before[:9]) < visible.checked
    return render(request, "components/checking.html", {"checking": frame.checking(access, visible, goes_on=goes_on)})


@require_POST
def refresh(request: Request, slug: str) -> HttpResponseBase:
    """Asks for a refresh of the index; with `accept`, one that removes what the shrink guard held back."""
    access = enter(request, slug)
    if not access.administers:
        raise PermissionDenied
    if request.POST.get("accept"):
        IndexState.objects.filter(registry=access.registry).update(shrink_accepted=True)
    ask_for_refresh(registry=access.registry, user=request.user)
    return redirect("repositories", slug=access.registry.slug)


@require_safe
def open_by_name(request: HttpRequest, slug: str) -> HttpResponseBase:
    """To the repository that was typed: for registries that do not list theirs."""
    access = enter(request, slug)
    return redirect(
        "tags", slug=access.registry.slug, repository=repository_name(request.GET.get("repository", "").strip())
    )


def _nameable(access: Access, visible: Visible, state: IndexState) -> dict[str, bool] | None:
    """Which of the repositories that notices name may be named to this person; None for all of them."""
    if not visible.filter:
        return None
    known = lists.known(access.registry, visible).filter(name__in=index_state.named_in(state))
    return dict.fromkeys(known.values_list("name", flat=True), True)
