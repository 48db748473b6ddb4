"""What to do about each problem that a scan of the storage lists (docs/storage.md tells the causes)."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

CURES = {
    "blob-missing": _("A blob that an image needs is not on the disk. Push the image again."),
    "blob-name": _("Something among the blobs is not named like one. The registry ignores it; look at it."),
    "blob-unprotected": _(
        "A layer was pushed by its sha512 digest: a garbage collection deletes it. Push it by sha256."
    ),
    "blob-without-data": _("A blob's directory holds no data. Push what needs it again."),
    "child-missing": _("An index lists an image that the repository does not hold. Push the whole image again."),
    "link-corrupt": _("A link does not hold a digest. Push the tag again, or remove the link's directory."),
    "link-mismatch": _("A link names another digest than its directory. Look at it before a garbage collection."),
    "manifest-corrupt": _("A manifest cannot be read as JSON. What it refers to counts as orphan; push it again."),
    "manifest-missing": _("An image's manifest is not on the disk. Push it again."),
    "manifest-too-large": _("A manifest is larger than any registry accepts. Look at it."),
    "not-a-file": _("Something else lies where a file belongs. It was not opened."),
    "repository-name": _(
        "No repository may have that name. A garbage collection stops at it on 2.8; rename or remove it."
    ),
    "revision-name": _("Something among the revisions is not named by a digest. Look at it."),
    "stray-file": _("A file that does not belong to the layout. The registry may list it as a tag; remove it."),
    "symlink-broken": _("A symbolic link leads nowhere. Mend or remove it."),
    "symlink-loop": _("A symbolic link leads to a directory above itself. It was not entered; remove it."),
    "tag-name": _("Something among the tags has no tag's name. The registry may list it; remove it."),
    "tag-points-nowhere": _("A tag points at an image that is not there. Push it again, or delete the tag."),
    "tag-without-link": _("A tag's directory says nowhere what it points at. Push the tag again, or remove it."),
    "too-many-problems": _("There are more problems than are kept. Mend these and scan again."),
    "too-many-symlinks": _("There are more symbolic links to directories than are followed."),
    "unreadable": _("It could not be read, so orphans may be counted too high. Give the dashboard's user read access."),
    "upload-incomplete": _(
        "An upload's directory holds nothing of an upload. The registry never removes it; remove it."
    ),
}


def cure_of(code: str) -> str:
    """What to do about a problem; empty for a code that is not known."""
    return str(CURES.get(code, ""))
