"""The page where people take their credentials over from Docker's configuration file."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from dashboard.contexts.docker_config import TakenLine, taken_lines
from dashboard.forms.account import DockerConfigForm
from dashboard.registry import docker_config
from dashboard.services import credential_import

from .confirm import confirmed_to_change
from .pages import Request, actor, render_page


@sensitive_variables("entries")
@sensitive_post_parameters("text")
@require_http_methods(["GET", "HEAD", "POST"])
@confirmed_to_change
def take_over(request: HttpRequest) -> HttpResponse:
    """What was pasted or chosen is verified entry by entry; nothing of it comes back in the page."""
    form = DockerConfigForm(request.POST, request.FILES) if request.method == "POST" else DockerConfigForm()
    lines: list[TakenLine] | None = None
    if form.is_valid():
        try:
            entries = docker_config.parse(form.cleaned_data["text"])
        except docker_config.NotAConfig:
            form.add_error("text", _("That is no config.json of Docker: it has no “auths”."))
        else:
            user = cast(Request, request).user
            found = credential_import.take_over(user=user, entries=entries, actor=actor(request))
            lines = taken_lines(found)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    shown = DockerConfigForm() if lines is not None else form
    return render_page(request, "docker_config.html", {"form": shown, "lines": lines}, status=status)
