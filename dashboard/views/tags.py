"""The tags of a repository."""

from __future__ import annotations

from django.http import HttpResponseBase
from django.views.decorators.http import require_safe

from dashboard.contexts import exports
from dashboard.contexts.protection import moves_box
from dashboard.contexts.repository_removal import removal_box
from dashboard.contexts.tags import Surroundings, tags_page
from dashboard.registry.client import Deletion as Ability
from dashboard.services import protected_moves, protection, repository_removal, status, untagged
from dashboard.services.access import Access
from dashboard.services.index import lists, tag_list
from dashboard.services.index.check import check
from dashboard.services.index.image_strata import made_of
from dashboard.services.index.update import knows_revisions, state_of
from dashboard.services.notifications.receive import pulled_since

from .pages import Request, as_file, enter_repository, export_format, list_query, render_page


@require_safe
def tags(request: Request, slug: str, repository: str) -> HttpResponseBase:
    """A page of the tags, checked with its source first; the list alone for htmx; the whole list as a file."""
    access, name = enter_repository(request, slug, repository)
    state = state_of(access.registry)
    lists.enter(access, state, name)
    query = list_query(request, tag_list.COLUMNS, tag_list.DEFAULT_ORDER)
    known = tag_list.repository_row(access.registry, name)
    checked = check(access, name, tag_list.names_on_page(known, query) if known else [])
    row = tag_list.repository_row(access.registry, name)
    if row is None:
        return render_page(
            request, "tags_unwritten.html", {"name": name, "retry_url": request.get_full_path()}, status=503
        )
    if file_format := export_format(request):
        records = (exports.tag_record(name, each) for each in tag_list.exported(row, query))
        return as_file(records, exports.TAG_FIELDS, file_format, name.replace("/", "-"))
    request.index_as_of = state.refreshed_at
    around = Surroundings(
        checked=checked,
        made_of=made_of(row),
        exact=knows_revisions(access.registry, state),
        pulled_since=pulled_since(access.registry),
        rules=protection.rules_of(access.registry) if access.may_delete else (),
        ability=_ability(access) if access.may_delete and not checked.error else Ability.UNKNOWN,
        untagged=untagged.count_of(access.registry, state, name),
    )
    page = tags_page(access, row, query, tag_list.tags(row, query), around)
    moves = moves_box(access, protected_moves.of_repository(access.registry, name), repository=name)
    removal = None
    if page.is_empty and access.may_delete:
        removal = removal_box(access, name, repository_removal.remains(access, name))
    return render_page(request, "tags.html", {"page": page, "moves": moves, "removal": removal}, fragment="list")


def _ability(access: Access) -> Ability:
    """How the registry deletes, as it said within the last minute; what it does not say closes no button."""
    found = status.capabilities(access)
    return found.deletion if found else Ability.UNKNOWN
