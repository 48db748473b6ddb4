"""What became of the entries of Docker's configuration file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from dashboard.registry import docker_config
from dashboard.services import credential_import as taking
from dashboard.services.credential_import import Taken

from .formats import legible

_SENTENCES = {
    taking.KEPT: _("Accepted by the registry, and kept encrypted."),
    taking.REFUSED: _("The registry refuses that name and password. Nothing was kept."),
    taking.NEEDLESS: _("The registry asks nobody for a password. Nothing was kept."),
    taking.UNANSWERED: _("The registry did not answer. Nothing was kept."),
    taking.DEFAULT: _("On this registry people act with its default credential."),
    taking.UNKNOWN: _("There is no such registry here."),
    docker_config.HELPER: _("A credential helper keeps the password, not the file. Set the credential by hand."),
    docker_config.TOKEN: _("It is an identity token, which only Docker can use. Set the credential by hand."),
    docker_config.EMPTY: _("The entry holds no password. Sign in with docker login first, or set it by hand."),
    docker_config.MALFORMED: _("The entry cannot be read."),
}


@dataclass(frozen=True, slots=True)
class TakenLine:
    """An entry, whether it was kept, and in a sentence why not."""

    host: str
    username: str
    kept: bool
    sentence: str


def taken_lines(found: Iterable[Taken]) -> list[TakenLine]:
    """Those that were kept first."""
    lines = [
        TakenLine(
            legible(each.host, 255), legible(each.username, 255), each.code == taking.KEPT, str(_SENTENCES[each.code])
        )
        for each in found
    ]
    return sorted(lines, key=lambda line: not line.kept)
