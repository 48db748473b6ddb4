"""The frame of every page: masthead, navigation, footer."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from dashboard.services.access import Access
from registryui import __version__

from . import links

THEMES = ("system", "light", "dark")
THEME_COOKIE = "strata_theme"


def frame(request: HttpRequest) -> dict[str, Any]:
    """A context processor. `access` is there on pages of a registry, `index_as_of` on lists of its index."""
    access: Access | None = getattr(request, "access", None)
    theme = request.COOKIES.get(THEME_COOKIE, "system")
    return {
        "version": __version__,
        "theme": theme if theme in THEMES else "system",
        "themes": THEMES,
        "zone": timezone.get_current_timezone_name(),
        "debug": settings.DEBUG,
        "access": access,
        "registry": access.registry if access else None,
        "home_url": links.repositories(access.registry) if access else "",
        "storage_url": links.storage(access.registry) if access else "",
        "status_url": links.status(access.registry) if access else "",
        "section": getattr(request, "section", ""),
        "index_as_of": getattr(request, "index_as_of", None),
        "htmx_fragment": getattr(request, "is_fragment", False),
    }
