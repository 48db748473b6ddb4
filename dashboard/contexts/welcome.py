"""The registry user that came with an invitation, as its person sees it once; or why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.urls import reverse
from django.utils.translation import gettext as _

from dashboard.models import Registry
from dashboard.registry import docker_config
from dashboard.services import registry_welcome
from dashboard.services.registry_welcome import Welcome

from .registry_users import why_not


@dataclass(frozen=True, slots=True)
class WelcomePage:
    """Everything that welcome.html shows."""

    host: str
    name: str
    password: str = field(repr=False)
    login: str
    home_url: str


def welcome_page(registry: Registry, name: str, password: str) -> WelcomePage:
    """The view model."""
    host = registry.public_host
    return WelcomePage(host, name, password, docker_config.snippet(host, name), reverse("home"))


def not_made(made: Welcome) -> str:
    """What to tell somebody who was to have a registry user and got none."""
    why = "" if made.code in ("", registry_welcome.GONE) else why_not(made.code)
    told = _("The user %(name)s of the registry, which was to come with the invitation, could not be made. %(why)s")
    return " ".join((told % {"name": made.name, "why": why}).split()) + " " + _("Tell an administrator.")
