"""What every view needs: typed requests, the access gate, validated names, and pages that are fragments for htmx."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, cast

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django_htmx.middleware import HtmxDetails

from dashboard.contexts.exports import FORMATS, lines
from dashboard.models import Registry, Role, User
from dashboard.registry.references import (
    Digest,
    InvalidReference,
    RepositoryName,
    Tag,
    parse_digest,
    parse_repository,
    parse_tag,
)
from dashboard.services import access as gate
from dashboard.services import roles
from dashboard.services.access import Access, Visible
from dashboard.services.administration import administration_of
from dashboard.services.audit import Actor
from dashboard.services.client_address import client_address
from dashboard.services.connections import PAGE_BUDGET
from dashboard.services.index.lists import Column, ListQuery, order_of

MAX_FILTER = 200
MAX_PAGE = 100_000


class Request(HttpRequest):
    """A signed-in person's request, as the middleware leaves it.

    `access` is set once a registry is chosen, `visible` where a list of it is shown.
    """

    htmx: HtmxDetails
    user: User
    access: Access
    section: str
    index_as_of: dt.datetime | None
    visible: Visible


def enter(request: HttpRequest, slug: str, section: str = "repositories", budget: float | None = PAGE_BUDGET) -> Access:
    """The gate to the registry `slug` for this request's person; 404 if there is none for him. `budget` in seconds."""
    typed = cast(Request, request)
    registry = Registry.objects.filter(slug=slug).first()
    access = gate.access_to(user=typed.user, registry=registry, budget=budget) if registry else None
    if access is None or access.grants.anywhere is None:
        raise Http404(_("There is no registry “%(slug)s” here.") % {"slug": slug})
    typed.access, typed.section = access, section
    return access


def for_administrators_of_it(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A view with a `slug`, for those who administer that registry; 403 for anybody else, be it there or not."""

    @wraps(view)
    def guarded(request: HttpRequest, slug: str, *args: Any, **kwargs: Any) -> HttpResponse:
        registry = Registry.objects.filter(slug=slug).first()
        if registry is None:
            allowed = administration_of(request.user).everything
        else:
            allowed = roles.grants_of(user=request.user, registry=registry).everywhere == Role.ADMINISTRATOR
        if not allowed:
            raise PermissionDenied
        return view(request, slug, *args, **kwargs)

    return guarded


def for_administrators(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A view for those who administer everything; 403 for anybody else."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not administration_of(request.user).everything:
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


def for_administrators_of_something(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A view for those who administer anything at all, which it is told; 403 for anybody else."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        administration = administration_of(request.user)
        if not administration.something:
            raise PermissionDenied
        return view(request, administration, *args, **kwargs)

    return guarded


def enter_repository(
    request: HttpRequest,
    slug: str,
    repository: str,
    *,
    needs: Role = Role.READER,
    budget: float | None = PAGE_BUDGET,
) -> tuple[Access, RepositoryName]:
    """The gate to a repository of the registry `slug`, and its name.

    Where the access rules do not let this person read it, it is not there (RepositoryUnknown, 404); with less than the
    role that the page `needs` it is forbidden (403).
    """
    access = enter(request, slug, budget=budget)
    name = repository_name(repository)
    gate.require_by_rules(access, name)
    typed = cast(Request, request)
    typed.access = access.within(name)
    if not access.grants.allow(needs, name):
        raise PermissionDenied
    return typed.access, name


def repository_name(text: str) -> RepositoryName:
    """A repository's name from the address; 404 if the grammar forbids it."""
    try:
        return parse_repository(text)
    except InvalidReference:
        raise Http404(_("“%(name)s” is not a repository name.") % {"name": text[:300]}) from None


def tag_name(text: str) -> Tag:
    """A tag from the address; 404 if the grammar forbids it."""
    try:
        return parse_tag(text)
    except InvalidReference:
        raise Http404(_("“%(name)s” is not a tag.") % {"name": text[:300]}) from None


def digest_text(text: str) -> Digest:
    """A digest from the address; 404 if it is none."""
    try:
        return parse_digest(text)
    except InvalidReference:
        raise Http404(_("“%(name)s” is not a digest.") % {"name": text[:300]}) from None


def note_visible(request: HttpRequest, visible: Visible) -> None:
    """The page is of what is `visible`: where that is not all yet, the frame says so and goes on asking."""
    cast(Request, request).visible = visible


def row_id(text: str, missing: str) -> int:
    """The number of a row from a form; 404, saying `missing`, for what can be none."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Http404(missing)
    return int(text)


def actor(request: HttpRequest, access: Access | None = None) -> Actor:
    """Who acts, for the audit; with `access` as whom on its registry."""
    name = cast(Request, request).user.get_username()
    return Actor(name, client_address(request), access.acting.name if access else "")


def list_query(request: HttpRequest, columns: Mapping[str, Column], default: str, *, flat: bool = False) -> ListQuery:
    """Filter, order and page from the address; whatever makes no sense there counts as not given."""
    page = request.GET.get("page", "1")
    return ListQuery(
        order=order_of(request.GET.get("sort", ""), columns, default),
        contains=_asked(request, "name"),
        namespace=_asked(request, "namespace").strip("/"),
        platform=_asked(request, "platform"),
        flat=flat,
        page=min(max(1, int(page)), MAX_PAGE) if page.isascii() and page.isdigit() and len(page) < 8 else 1,
    )


def _asked(request: HttpRequest, name: str) -> str:
    return request.GET.get(name, "").replace("\0", "").strip()[:MAX_FILTER]


def export_format(request: HttpRequest) -> str:
    """The file that is asked for instead of the page; "" for none."""
    asked = request.GET.get("format", "")
    return asked if asked in FORMATS else ""


def as_file(
    records: Iterable[Mapping[str, Any]], fields: Iterable[str], file_format: str, name: str
) -> StreamingHttpResponse:
    """A list as a file to be kept, sent row after row."""
    response = StreamingHttpResponse(lines(records, fields, file_format), content_type=FORMATS[file_format])
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{file_format}"'
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def is_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks for a part of the page: not a boosted link, not a restored history entry."""
    htmx = cast(Request, request).htmx
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def render_page(
    request: HttpRequest, template: str, context: dict[str, Any], *, fragment: str = "", status: int = 200
) -> HttpResponse:
    """The page, or only its `fragment` where htmx asks for that."""
    if fragment and is_fragment(request):
        request.is_fragment = True  # type: ignore[attr-defined]  # read by the frame: fragments carry their own title
        template = f"{template}#{fragment}"
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    response.headers["Cache-Control"] = "private, no-cache"
    return response
