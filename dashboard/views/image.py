"""An image, by tag or by digest."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from dashboard.contexts.image import image_page
from dashboard.services import inspect

from .pages import digest_text, enter_repository, render_page, tag_name

MAX_PLATFORM = 200


@require_safe
def tag(request: HttpRequest, slug: str, repository: str, tag: str) -> HttpResponse:
    """The image that a tag names."""
    return _image(request, slug, repository, tag_name(tag), tag=tag)


@require_safe
def manifest(request: HttpRequest, slug: str, repository: str, digest: str) -> HttpResponse:
    """A manifest by digest."""
    return _image(request, slug, repository, digest_text(digest), tag="")


def _image(request: HttpRequest, slug: str, repository: str, reference: str, *, tag: str) -> HttpResponse:
    access, name = enter_repository(request, slug, repository)
    platform, show = request.GET.get("platform", "")[:MAX_PLATFORM], request.GET.get("show", "")
    found = inspect.image(access, name, reference, tag=tag, platform=platform, show=show)
    return render_page(request, "image.html", {"page": image_page(access, name, tag, found)})
