"""What somebody who has just used an invitation sees of the user of the registry that came with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from dashboard.models import Registry
from dashboard.registry import docker_config
from dashboard.services.registry_welcome import GONE, Welcome


@dataclass(frozen=True, slots=True)
class WelcomePage:
    """Everything that registry_welcome.html shows: the password this once. `acts`: they act with it here at once."""

    host: str
    name: str
    password: str = field(repr=False)
    logins: tuple[str, ...]
    acts: bool


def welcome_page(registry: Registry, welcome: Welcome) -> WelcomePage:
    """The view model."""
    docker = docker_config.snippet(registry.public_host, welcome.name)
    return WelcomePage(
        host=registry.public_host,
        name=welcome.name,
        password=welcome.password,
        logins=(docker, f"skopeo{docker.removeprefix('docker')}"),
        acts=registry.act_with == Registry.ActWith.OWN,
    )


def not_made(welcome: Welcome) -> str:
    """That there is none, for somebody who cannot change it; what hindered it is for administrators."""
    if welcome.code == GONE or welcome.registry is None:
        text = _("No user of the registry came with the invitation: its password file is not here any more.")
    elif welcome.verdict is not None:
        text = _(
            "The registry did not accept the user %(name)s that was to come with the invitation; nothing was kept."
        )
    else:
        text = _("The user %(name)s of the registry, which was to come with the invitation, could not be made.")
    return text % {"name": welcome.name} + " " + _("Ask an administrator, who finds it in the activity.")
