"""What belongs to images: signatures, attestations, SBOMs, by their subject or by the name of their tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboard.models import IndexedRepository, IndexedRevision, IndexedTag

MAX_DEPTH = 4
"""How far what is attached to something attached is followed."""
MAX_ATTACHED = 2000


@dataclass(frozen=True, slots=True)
class Attached:
    """A manifest that belongs to an image. `tag` is "" where only its digest names it; `bytes` None if unknown."""

    tag: str
    digest: str
    kind: str
    artifact_type: str
    bytes: int | None


def attached_to(
    repository: IndexedRepository,
    roots: Mapping[int, str],
    children: Mapping[int, Sequence[tuple[int, str]]],
    *,
    with_tags: bool,
) -> dict[str, list[Attached]]:
    """What belongs to each of these images (number to digest), or to one of its `children`, by the image's digest.

    Not `with_tags`: no tag belongs to an image here, so none is looked for.
    """
    belongs: dict[str, set[str]] = {digest: {digest} for digest in roots.values()}
    for root, its in children.items():
        for _, digest in its:
            belongs.setdefault(digest, set()).add(roots[root])
    found: dict[str, list[Attached]] = {}
    done: set[tuple[str, str]] = set()
    subjects = belongs
    for _ in range(MAX_DEPTH):
        below: dict[str, set[str]] = {}
        for subject, attached in _about(repository, list(subjects), with_tags=with_tags):
            if (attached.tag, attached.digest) in done:
                continue
            done.add((attached.tag, attached.digest))
            for image in subjects[subject]:
                found.setdefault(image, []).append(attached)
                below.setdefault(attached.digest, set()).add(image)
        subjects = {digest: images for digest, images in below.items() if digest and digest not in belongs}
        if not subjects:
            break
    return found


def _about(repository: IndexedRepository, subjects: Sequence[str], *, with_tags: bool) -> list[tuple[str, Attached]]:
    """Tags, and manifests that no such tag names, with one of these subjects."""
    tags = IndexedTag.objects.filter(repository=repository, about__in=subjects if with_tags else []).order_by(
        "sort_key"
    )
    found = [
        (about, Attached(name, digest, kind or "", artifact_type or "", size))
        for about, name, digest, kind, artifact_type, size in tags.values_list(
            "about", "name", "digest", "manifest__kind", "manifest__artifact_type", "bytes"
        )[:MAX_ATTACHED]
    ]
    tagged = {attached.digest for _, attached in found}
    revisions = IndexedRevision.objects.filter(repository=repository, manifest__subject__in=subjects)
    for about, digest, kind, artifact_type, size in revisions.order_by("manifest__digest").values_list(
        "manifest__subject", "manifest__digest", "manifest__kind", "manifest__artifact_type", "manifest__bytes"
    )[:MAX_ATTACHED]:
        if digest not in tagged:
            found.append((about, Attached("", digest, kind, artifact_type, size)))
    return found
