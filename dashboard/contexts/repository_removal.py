"""What remains of an emptied repository, the command that removes it, and the sentences of a removal by button."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from dashboard.services import repository_removal
from dashboard.services.access import Access
from dashboard.storage.layout import LAYERS, MANIFESTS, UPLOADS
from dashboard.storage.removal import RemovalRefused, Removed

from .formats import legible

_DEFAULT_ROOT = "/var/lib/registry"


@dataclass(frozen=True, slots=True)
class RemovalBox:
    """The directories that remain, how they are removed by hand, and whether a button does it."""

    repository: str
    command: str
    may_remove: bool
    url: str


def removal_box(access: Access, repository: str) -> RemovalBox:
    """For the page of an emptied repository; asks the database alone."""
    root = access.registry.storage_root or _DEFAULT_ROOT
    base = f"{root}/docker/registry/v2/repositories/{repository}"
    paths = " ".join(shlex.quote(f"{base}/{name}") for name in (MANIFESTS, LAYERS, UPLOADS))
    return RemovalBox(
        repository=repository,
        command=f"rm -rf {paths}",
        may_remove=repository_removal.may_remove(access),
        url=reverse("remove-directory", args=[access.registry.slug, repository]),
    )


def removed_sentence(repository: str, removed: Removed) -> str:
    """What went."""
    names = ", ".join(removed.names)
    if removed.whole:
        return _("The directory of %(name)s is gone (%(names)s).") % {"name": repository, "names": names}
    return _("Of %(name)s are gone: %(names)s. What is nested below it stays.") % {"name": repository, "names": names}


def refused_sentence(refused: RemovalRefused) -> str:
    """Why nothing was removed."""
    texts = {
        repository_removal.NOT_ALLOWED: _("No administrator has allowed it for this registry."),
        repository_removal.NOT_MOUNTED: _("The registry's storage is not mounted here, or is of another registry."),
        repository_removal.TYPE: _("The repository's name was not typed as it is."),
        repository_removal.BUSY: _("A deletion is running in this repository."),
        repository_removal.HAS_TAGS: _("The registry lists the tag %(subject)s in it."),
        "missing": _("There is no such directory (any more)."),
        "symlink": _("%(subject)s is a link to somewhere else; nothing behind a link is removed."),
        "foreign": _("%(subject)s is no directory; a registry did not make it."),
        "in-use": _("It still holds %(subject)s."),
        "upload": _("An upload may be going on (%(subject)s). Try again later."),
        "read-only": _("The storage is mounted read-only here, or belongs to somebody else. The command works there."),
    }
    text = texts.get(refused.code, _("It was refused."))
    return _("Nothing was removed. %(why)s") % {"why": text % {"subject": legible(refused.subject, 200)}}
