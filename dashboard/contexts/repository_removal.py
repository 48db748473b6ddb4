"""What remains of an emptied repository, the command that removes it, and the sentences of a removal by button."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.models import Registry
from dashboard.services import repository_removal
from dashboard.services.access import Access
from dashboard.services.repository_removal import Remains
from dashboard.storage import layout, removal
from dashboard.storage.errors import StorageError
from dashboard.storage.removal import RemovalRefused, Removed

from .formats import count, legible

_BELOW = "docker/registry/v2"
_DEFAULT_V2 = "/var/lib/registry/docker/registry/v2"
"""Where the registry's own image keeps its storage."""


@dataclass(frozen=True, slots=True)
class RemovalBox:
    """The directories that remain, how they are removed by hand, and whether a button does it.

    Where `untagged` says that images are still in it, there is neither command nor button: those go first. `lost` says
    what could not be brought back afterwards. `impossible` why the button cannot be used, `settings_url` where that is
    changed; "" for nothing.
    """

    repository: str
    untagged: str
    untagged_url: str
    unknown: bool
    lost: str
    directories: Sequence[str]
    command: str
    has_button: bool
    impossible: str
    settings_url: str
    url: str


def removal_box(access: Access, repository: str, remains: Remains) -> RemovalBox:
    """For the pages of an emptied repository."""
    registry = access.registry
    base = f"{_v2(registry)}/{layout.repository(repository)}"
    paths = [f"{base}/{name}" for name in removal.OWN]
    rmdir = f"rmdir --ignore-fail-on-non-empty {shlex.quote(repository.rpartition('/')[2])}"
    allowed = remains.impossible != repository_removal.NOT_ALLOWED
    return RemovalBox(
        repository=repository,
        untagged=_untagged(remains.untagged or 0),
        untagged_url=reverse("untagged", args=[registry.slug, repository]),
        unknown=remains.untagged is None,
        lost=_lost(remains.in_trash),
        directories=paths,
        command=_in_bucket(paths)
        if registry.storage_url
        else f"cd {shlex.quote(base)} && rm -rf {' '.join(removal.OWN)} && cd .. && {rmdir}",
        has_button=remains.offered and allowed,
        impossible=_why(remains.impossible, "") if allowed else "",
        settings_url=reverse("edit-registry", args=[registry.slug]) if remains.offered and not allowed else "",
        url=reverse("remove-directory", args=[registry.slug, repository]),
    )


def removed_sentence(repository: str, removed: Removed) -> str:
    """What went."""
    values = {"name": repository, "names": ", ".join(removed.names), "left": ", ".join(removed.left)}
    if removed.whole:
        text = _("The directory of %(name)s is gone (%(names)s).")
    elif removed.left:
        text = _("Of %(name)s are gone: %(names)s. Not all of it could be cleared: remove %(left)s by hand.")
    else:
        text = _("Of %(name)s are gone: %(names)s. What is nested below it stays.")
    return f"{text % values} {_('Restart the registry where it caches.')}"


def refused_sentence(refused: RemovalRefused) -> str:
    """Why nothing was removed."""
    return _("Nothing was removed. %(why)s") % {"why": _why(refused.code, refused.subject)}


def _why(code: str, subject: str) -> str:
    texts = {
        "": "",
        repository_removal.NOT_ALLOWED: _("No administrator has allowed it for this registry."),
        repository_removal.NOT_MOUNTED: _("The registry's storage is not mounted here, or is of another registry."),
        repository_removal.CANNOT_TELL: _(
            "Whether the mounted storage is this registry's cannot be told now: there is no tag to compare, or it "
            "does not answer."
        ),
        repository_removal.TYPE: _("The repository's name was not typed as it is."),
        repository_removal.BUSY: _("A deletion is running in this repository."),
        repository_removal.HAS_TAGS: _("The registry lists the tag %(subject)s in it."),
        removal.MISSING: _("There is no such directory (any more)."),
        removal.SYMLINK: _("%(subject)s is a link to somewhere else; nothing behind a link is removed."),
        removal.FOREIGN: _("%(subject)s is no directory; a registry did not make it."),
        removal.IN_USE: _("It still holds %(subject)s."),
        removal.UPLOAD: _("An upload may be going on (%(subject)s). Try again later."),
        removal.READ_ONLY: _(
            "The storage is mounted read-only here, or belongs to somebody else. The command works there."
        ),
    }
    return texts.get(code, _("It was refused.")) % {"subject": legible(subject, 200)}


def _untagged(number: int) -> str:
    if not number:
        return ""
    return ngettext("%(n)s untagged image is still in it.", "%(n)s untagged images are still in it.", number) % {
        "n": count(number)
    }


def _lost(number: int) -> str:
    if not number:
        return ""
    return ngettext(
        "%(n)s thing of it is in the trash and cannot be brought back afterwards: the registry forgets its layers.",
        "%(n)s things of it are in the trash and cannot be brought back afterwards: the registry forgets their layers.",
        number,
    ) % {"n": count(number)}


def _in_bucket(paths: Sequence[str]) -> str:
    """What takes these out of a bucket; the slash keeps it from all else that begins so."""
    return " && ".join(f"aws s3 rm --recursive {shlex.quote(path + '/')}" for path in paths)


def _v2(registry: Registry) -> str:
    """Where the storage is mounted here, or its bucket; else where it usually is on the registry's host."""
    if registry.storage_url:
        return f"{registry.storage_url.rstrip('/').removesuffix(_BELOW).rstrip('/')}/{_BELOW}"
    if not registry.storage_root:
        return _DEFAULT_V2
    try:
        return str(layout.v2_directory(Path(registry.storage_root)))
    except StorageError:
        return f"{registry.storage_root.rstrip('/')}/docker/registry/v2"
