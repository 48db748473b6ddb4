"""Pointing a tag at a digest: what it would change by GET, the change by POST."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from dashboard.contexts import links
from dashboard.contexts.pointing import point_page, success, told
from dashboard.models import Role
from dashboard.registry.references import Digest, RepositoryName, Tag, is_tag
from dashboard.services import point_survey, pointing
from dashboard.services.access import Access

from .pages import actor, digest_text, enter_repository, render_page

MAX_TYPED = 200
SURVEY_BUDGET = 30.0
EXECUTE_BUDGET = 90.0


@require_http_methods(["GET", "HEAD", "POST"])
def point(request: HttpRequest, slug: str, repository: str) -> HttpResponse:
    """The page of a digest that is to get a tag, or to get one back."""
    posted = request.method == "POST"
    budget = EXECUTE_BUDGET if posted else SURVEY_BUDGET
    access, name = enter_repository(request, slug, repository, needs=Role.DEVELOPER, budget=budget)
    fields = request.POST if posted else request.GET
    digest = digest_text(fields.get("digest", ""))
    typed = fields.get("tag", "").strip()[:MAX_TYPED]
    if not is_tag(typed):
        error = _("“%(name)s” is not a tag: letters, digits, and after the first also . - _") % {"name": typed}
        if not typed:
            error = _("Name the tag.") if posted else ""
        page = point_page(access, name, point_survey.survey(access, name, digest, None), typed=typed, error=error)
        status = HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK
        return render_page(request, "point.html", {"page": page, "told": None}, status=status)
    if posted:
        return _execute(request, access, name, digest, Tag(typed))
    found = point_survey.survey(access, name, digest, Tag(typed))
    return render_page(request, "point.html", {"page": point_page(access, name, found), "told": None})


def _execute(request: HttpRequest, access: Access, name: RepositoryName, digest: Digest, tag: Tag) -> HttpResponse:
    expected = request.POST.get("expected", "")
    try:
        done = pointing.point(
            access,
            repository=name,
            tag=tag,
            digest=digest,
            expected=digest_text(expected) if expected else "",
            actor=actor(request, access),
        )
    except pointing.PointRefused as refused:
        found = point_survey.survey(access, name, digest, tag)
        context = {"page": point_page(access, name, found), "told": told(refused, tag)}
        return render_page(request, "point.html", context, status=HTTPStatus.CONFLICT)
    messages.success(request, success(access.registry, name, done))
    return redirect(links.tag(access.registry, name, tag))
