"""The sentences of garbage collections: what one stops at, what it ought not to touch, how it ended, its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dashboard.models import Collection

from .formats import count, legible, size

MAX_NAME = 200

STOPS: Mapping[str, tuple[Promise, Promise]] = {
    "root-missing": (
        gettext_lazy("A directory of the storage is missing"),
        gettext_lazy("An empty registry has none until the first push; else mount the right directory."),
    ),
    "repository-name": (
        gettext_lazy("No repository may have that name"),
        gettext_lazy("Rename the directory to lower case, or move it out of the storage."),
    ),
    "no-layers": (
        gettext_lazy("A repository without layers (3.x)"),
        gettext_lazy("Make the empty directory, or push any image to the repository."),
    ),
    "no-tags": (
        gettext_lazy("A repository that nothing was ever tagged in (2.8, with -m)"),
        gettext_lazy("Tag one of its images, or collect without -m."),
    ),
    "revision-link": (
        gettext_lazy("A revision's link holds no digest"),
        gettext_lazy("Push the image again by its digest, or remove the link's directory."),
    ),
    "revision-twice": (
        gettext_lazy("A revision's link names another revision"),
        gettext_lazy("Look at it and remove the link's directory; push the image again."),
    ),
    "tag-link": (
        gettext_lazy("Something among the tags cannot be read as one (with -m)"),
        gettext_lazy("Remove a stray file; push the tag again, or remove its directory."),
    ),
    "layer-link": (
        gettext_lazy("A layer's link holds no digest (3.x)"),
        gettext_lazy("Push the image again, or write the digest of its directory into the link."),
    ),
    "layer-twice": (
        gettext_lazy("A layer pushed by sha512 has two links (3.x)"),
        gettext_lazy("The blobs are gone by then; only stale links stay. Remove the link."),
    ),
    "manifest-unread": (
        gettext_lazy("A manifest that the collector cannot read"),
        gettext_lazy("Delete that image by its digest, or push it again in a type that the registry knows."),
    ),
    "manifest-legacy": (
        gettext_lazy("An image of the old schema 1 (3.x)"),
        gettext_lazy("Delete it by its digest, or push it again with a newer client."),
    ),
    "blob-path": (
        gettext_lazy("A data file whose path is no digest's"),
        gettext_lazy("Move it out of the storage."),
    ),
    "not-a-directory": (
        gettext_lazy("A file where a directory should be"),
        gettext_lazy("Move it out of the storage."),
    ),
    "symlink-loop": (
        gettext_lazy("A symbolic link leads to a directory above itself"),
        gettext_lazy("Remove the link."),
    ),
}
"""What a collection stops at, and how that is mended."""

AFTER: Mapping[str, Promise] = {
    "": gettext_lazy("Nothing is removed before it stops."),
    "manifests": gettext_lazy("With -m the untagged images are gone by then, their bytes are not."),
    "blobs": gettext_lazy("All blobs are removed by then."),
}


def hurt_sentence(kind: str, number: int) -> str:
    """What of this kind a collection would damage."""
    sentences = {
        "tagged": ngettext(
            "%(n)s image that a tag points at: the collector does not see its repository.",
            "%(n)s images that tags point at: the collector does not see their repositories.",
            number,
        ),
        "child": ngettext(
            "%(n)s platform of a tagged multi-platform image. The tag stays, and that platform cannot be pulled any "
            "more, nor be brought back.",
            "%(n)s platforms of tagged multi-platform images. The tags stay, and these platforms cannot be pulled any "
            "more, nor be brought back.",
            number,
        ),
        "attached": ngettext(
            "%(n)s signature, attestation or SBOM of a tagged image: it has no tag of its own.",
            "%(n)s signatures, attestations or SBOMs of tagged images: they have no tags of their own.",
            number,
        ),
        "unseen": ngettext(
            "%(n)s untagged image in a repository that the collector does not see; what remains cannot be pulled.",
            "%(n)s untagged images in repositories that the collector does not see; what remains cannot be pulled.",
            number,
        ),
        "digest-only": ngettext(
            "%(n)s image that was pushed by its digest alone, in a repository without any tag; its entry stays and "
            "leads nowhere.",
            "%(n)s images that were pushed by their digests alone, in repositories without any tag; their entries stay "
            "and lead nowhere.",
            number,
        ),
        "sha512": ngettext(
            "%(n)s image with a layer that was pushed by its sha512 digest: every collection takes that layer. Push "
            "it again by sha256.",
            "%(n)s images with layers that were pushed by their sha512 digests: every collection takes these layers. "
            "Push them again by sha256.",
            number,
        ),
    }
    return sentences.get(kind, "%(n)s") % {"n": count(number)}


STEPS: Mapping[str, Promise] = {
    "stop": gettext_lazy("Have the registry refuse writes"),
    "check": gettext_lazy("Ask it whether it does"),
    "read": gettext_lazy("Read the storage ourselves"),
    "dry-run": gettext_lazy("Ask the collector what it would remove"),
    "compare": gettext_lazy("Compare both"),
    "check-again": gettext_lazy("Ask again whether writes are refused"),
    "collect": gettext_lazy("Collect"),
    "start": gettext_lazy("Start the registry"),
    "verify": gettext_lazy("Verify every image"),
}

WHY_NOT: Mapping[str, Promise] = {
    "not-executable": gettext_lazy("What DASHBOARD_GC_COMMAND names is not the absolute path of a program."),
    "not-mounted": gettext_lazy("The registry's storage is not mounted here."),
    "running": gettext_lazy("A collection is running already."),
    "busy": gettext_lazy(
        "Something is being deleted or brought back, or a deletion waits for the registry. It has to end first."
    ),
    "type-the-name": gettext_lazy("The registry's name was not typed as it is."),
    "no-command": gettext_lazy("No command is set for it here."),
}

_OUTCOMES: Mapping[str, Promise] = {
    **WHY_NOT,
    "mount-unknown": gettext_lazy(
        "Whether the mounted storage is this registry's could not be told: there is no tag to compare, or it did not "
        "answer."
    ),
    "mount-differs": gettext_lazy("The mounted storage is not this registry's: %(repository)s:%(tag)s differs."),
    "stop-failed": gettext_lazy("The command could not stop the registry. Its output says more."),
    "writes-accepted": gettext_lazy(
        "The registry went on taking writes. A push could lose its layers, so nothing was collected. Let the "
        "command's “stop” make it read-only, or end it."
    ),
    "writes-unclear": gettext_lazy(
        "Whether the registry refuses writes could not be told (%(answer)s). Only its read-only mode, or that nobody "
        "answers at its address, counts; a proxy in front may answer for it."
    ),
    "reading-uncertain": gettext_lazy(
        "Some of the storage could not be read (%(path)s), so what is in use is not known for certain."
    ),
    "dry-run-failed": gettext_lazy("The collector's dry run failed (%(why)s). Its output says more."),
    "removes-manifests": gettext_lazy(
        "The command would remove untagged images too (-m). Only a plain collection is run here."
    ),
    "other-storage": gettext_lazy("The collector lists blobs that are not on this storage: it reads another one."),
    "intersects": gettext_lazy(
        "The collector would remove what images need. Nothing was removed; what it would have hit is named below."
    ),
    "cancelled": gettext_lazy("It was cancelled."),
    "collect-failed": gettext_lazy("The collector ended with an error after it had begun. Its output says more."),
    "collect-out-of-time": gettext_lazy("The collector took too long and was ended."),
    "collect-not-started": gettext_lazy("The command could not be started."),
    "start-failed": gettext_lazy("The registry could not be started again. Start it by hand, now."),
    "not-verified": gettext_lazy("The storage could not be read afterwards, so nothing is verified."),
    "damaged": gettext_lazy("Something that an image needs is gone. What was hit is named below."),
    "interrupted": gettext_lazy(
        "The worker ended in the middle of it. The registry was started again; the next scan tells what was freed."
    ),
    "fault": gettext_lazy("A fault of the dashboard; the worker's log says more. The registry was started again."),
    "storage-root-missing": gettext_lazy("The storage directory was not there."),
    "storage-root-unreadable": gettext_lazy("The storage directory could not be read."),
    "storage-not-a-registry": gettext_lazy("The mounted directory is no registry's storage."),
}


def outcome_sentence(row: Collection) -> str:
    """How a collection ended, where that needs words; empty for one that went as it should."""
    named: dict[str, Any] = dict.fromkeys(("repository", "tag", "answer", "path", "why"), "?")
    named |= {key: legible(str(value), MAX_NAME) for key, value in row.outcome.items()}
    text = _OUTCOMES.get(row.outcome_code)
    sentence = str(text) % named if text else legible(row.outcome_code, MAX_NAME)
    because = str(row.outcome.get("because", ""))
    if because and because != row.outcome_code and because in _OUTCOMES:
        sentence = f"{sentence} {_OUTCOMES[because] % named}"
    return sentence


def difference_sentence(row: Collection) -> str:
    """Why another amount was freed than promised; empty if it was not."""
    left, besides = row.outcome.get("left", {}), row.outcome.get("besides", {})
    if left.get("blobs"):
        return _("%(size)s of it are still on the disk: the collector did not remove them.") % {
            "size": size(int(left["bytes"]))
        }
    if besides.get("blobs"):
        return _("%(size)s besides went meanwhile; no image misses them.") % {"size": size(int(besides["bytes"]))}
    return ""
