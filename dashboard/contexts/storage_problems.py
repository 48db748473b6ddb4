"""The problems that a scan of the storage lists: what each is, in which repository, and what to do about it.

docs/storage.md tells the causes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.models import Registry
from dashboard.registry.references import is_digest, is_repository, is_tag
from dashboard.services.access import Access

from . import links
from .formats import legible

_PLACE = re.compile(
    r"repositories/(?P<repository>.+?)/_(?:manifests|layers|uploads)"
    r"(?:/tags/(?P<tag>[^/]+)|/revisions/(?P<algorithm>[^/]+)/(?P<encoded>[^/]+))?(?:/|\Z)"
)


@dataclass(frozen=True, slots=True)
class Nature:
    """What a problem is called, whether something is broken by it, and its cure."""

    title: str | Promise
    cure: str | Promise
    broken: bool = False


@dataclass(frozen=True, slots=True)
class ProblemLine:
    """A malformed or unreadable entry; a button where there is a page to go to."""

    code: str
    title: str
    broken: bool
    repository: str
    repository_url: str
    path: str
    cure: str
    bytes: int
    label: str
    url: str


def problem_lines(access: Access, rows: Sequence[Mapping[str, Any]]) -> list[ProblemLine]:
    """Problems as they are shown, what is broken before what is only untidy."""
    lines = [_line(access, row["code"], row["path"], row["bytes"]) for row in rows]
    return sorted(lines, key=lambda line: (not line.broken, line.code, line.path))


def _line(access: Access, code: str, path: str, size: int) -> ProblemLine:
    """`path` is below docker/registry/v2, `size` what it takes on the disk in bytes."""
    registry = access.registry
    nature = NATURES.get(code, Nature(code, ""))
    place = _PLACE.match(path)
    name = place["repository"] if place else ""
    repository = name if is_repository(name) else ""
    may_delete = access.may_delete_in(repository)
    label, url = _button(registry, code, repository, place, may_delete) if place and repository else ("", "")
    return ProblemLine(
        code=code,
        title=str(nature.title),
        broken=nature.broken,
        repository=legible(name, 120),
        repository_url=links.repository(registry, repository) if repository else "",
        path=legible(path, 400),
        cure=str(nature.cure),
        bytes=size,
        label=label,
        url=url,
    )


def _button(registry: Registry, code: str, repository: str, place: re.Match[str], may_delete: bool) -> tuple[str, str]:
    tag = place["tag"] or ""
    digest = f"{place['algorithm']}:{place['encoded']}" if place["encoded"] else ""
    if tag and is_tag(tag):
        if may_delete and code == "tag-points-nowhere":
            return _("Delete the tag"), links.delete(registry, repository, tag)
        return _("Open the tag"), links.tag(registry, repository, tag)
    if is_digest(digest):
        label = _("Open the index") if code == "child-missing" else _("Open the image")
        return label, links.manifest(registry, repository, digest)
    return "", ""


def _broken(title: str | Promise, cure: str | Promise) -> Nature:
    return Nature(title, cure, broken=True)


NATURES: dict[str, Nature] = {
    "blob-missing": _broken(
        gettext_lazy("A layer is missing"),
        gettext_lazy("A blob that an image needs is not on the disk. Push the image again."),
    ),
    "blob-name": Nature(
        gettext_lazy("A stray entry among the blobs"),
        gettext_lazy("Something among the blobs is not named like one. The registry ignores it; look at it."),
    ),
    "blob-size": _broken(
        gettext_lazy("A layer has another size"),
        gettext_lazy(
            "A blob has not as many bytes as the manifest says: the image cannot be pulled. Pushing it again mends "
            "nothing until the damaged blob is gone; a deep check names it, and what to do."
        ),
    ),
    "blob-unprotected": _broken(
        gettext_lazy("A layer that a collection would take"),
        gettext_lazy("A layer was pushed by its sha512 digest: a garbage collection deletes it. Push it by sha256."),
    ),
    "blob-without-data": _broken(
        gettext_lazy("A blob without its data"),
        gettext_lazy("A blob's directory holds no data. Push what needs it again."),
    ),
    "child-missing": _broken(
        gettext_lazy("A platform is missing"),
        gettext_lazy("An index lists an image that the repository does not hold. Push the whole image again."),
    ),
    "key-name": Nature(
        gettext_lazy("A key that cannot be named"),
        gettext_lazy(
            "A key in this directory of the bucket has an empty part, a dot part or a control character, so that "
            "nothing right in it could be listed, and orphans may be counted too high. No registry writes such keys; "
            "remove it."
        ),
    ),
    "link-corrupt": _broken(
        gettext_lazy("A link is corrupt"),
        gettext_lazy("A link does not hold a digest. Push the tag again, or remove the link's directory."),
    ),
    "link-mismatch": _broken(
        gettext_lazy("A link names something else"),
        gettext_lazy("A link names another digest than its directory. Look at it before a garbage collection."),
    ),
    "link-padded": _broken(
        gettext_lazy("White space in a link"),
        gettext_lazy("There is white space around a link's digest: the registry cannot read it. Push it again."),
    ),
    "manifest-corrupt": _broken(
        gettext_lazy("A manifest cannot be read"),
        gettext_lazy(
            "A manifest cannot be read as JSON. What it refers to counts as orphan. Remove the directory of its data, "
            "restart the registry if it caches, and only then push it again: else the registry keeps what it has."
        ),
    ),
    "manifest-missing": _broken(
        gettext_lazy("A manifest is missing"),
        gettext_lazy("An image's manifest is not on the disk. Push it again."),
    ),
    "manifest-too-large": _broken(
        gettext_lazy("A manifest is too large"),
        gettext_lazy("A manifest is larger than any registry accepts. Look at it."),
    ),
    "not-a-file": Nature(
        gettext_lazy("Something else than a file"),
        gettext_lazy("Something else lies where a file belongs. It was not opened."),
    ),
    "repository-name": _broken(
        gettext_lazy("A name that no repository may have"),
        gettext_lazy("No repository may have that name. A garbage collection stops at it on 2.8; rename or remove it."),
    ),
    "revision-name": Nature(
        gettext_lazy("A stray entry among the revisions"),
        gettext_lazy("Something among the revisions is not named by a digest. Look at it."),
    ),
    "stray-file": Nature(
        gettext_lazy("A file that does not belong there"),
        gettext_lazy("A file that does not belong to the layout. The registry may list it as a tag; remove it."),
    ),
    "symlink-broken": Nature(
        gettext_lazy("A symbolic link leads nowhere"),
        gettext_lazy("A symbolic link leads nowhere. Mend or remove it."),
    ),
    "symlink-loop": Nature(
        gettext_lazy("A symbolic link leads in a circle"),
        gettext_lazy("A symbolic link leads to a directory above itself. It was not entered; remove it."),
    ),
    "tag-name": Nature(
        gettext_lazy("A stray entry among the tags"),
        gettext_lazy("Something among the tags has no tag's name. The registry may list it; remove it."),
    ),
    "tag-points-nowhere": _broken(
        gettext_lazy("A tag points nowhere"),
        gettext_lazy("A tag points at an image that is not there. Push it again, or delete the tag."),
    ),
    "tag-without-link": _broken(
        gettext_lazy("A tag says nothing"),
        gettext_lazy("A tag's directory says nowhere what it points at. Push the tag again, or remove it."),
    ),
    "too-many-problems": Nature(
        gettext_lazy("More problems than are kept"),
        gettext_lazy("There are more problems than are kept. Mend these and scan again."),
    ),
    "too-many-symlinks": Nature(
        gettext_lazy("Too many symbolic links"),
        gettext_lazy("There are more symbolic links to directories than are followed."),
    ),
    "unreadable": _broken(
        gettext_lazy("It could not be read"),
        gettext_lazy(
            "It could not be read, so orphans may be counted too high. Give the dashboard's user read access."
        ),
    ),
    "upload-incomplete": Nature(
        gettext_lazy("An upload of which nothing is left"),
        gettext_lazy("An upload's directory holds nothing of an upload. The registry never removes it; remove it."),
    ),
}
