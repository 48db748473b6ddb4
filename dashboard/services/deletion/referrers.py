"""What belongs to manifests that go: signatures, attestations, SBOMs, by their subject or by the name of their tag."""

from __future__ import annotations

import re
from collections.abc import Collection

from dashboard.models import IndexedRevision, Registry
from dashboard.registry.references import Digest, RepositoryName
from dashboard.services.index.documents import chunks

from .effect import Referrer
from .survey import Survey

MAX_DEPTH = 4
"""How far what belongs to something that belongs is followed."""
_NAMED_AFTER = re.compile(r"sha256-([0-9a-f]{64})(?:\.[a-z0-9]+)?")
"""The tag schema of OCI 1.1's referrers fallback, and cosign's .sig, .att and .sbom."""


def of(registry: Registry, repository: RepositoryName, seen: Survey, going: Collection[Digest]) -> list[Referrer]:
    """What belongs to one of these digests and is not itself among them."""
    by_name: dict[str, list[str]] = {}
    for tag in seen.tags:
        if match := _NAMED_AFTER.fullmatch(tag):
            by_name.setdefault(f"sha256:{match[1]}", []).append(tag)
    found: dict[Digest, Referrer] = {}
    about: Collection[Digest] = going
    for _ in range(MAX_DEPTH):
        belongs: dict[Digest, tuple[str, str]] = {
            seen.tags[tag]: (subject, "") for subject in about for tag in by_name.get(subject, ())
        }
        belongs |= _by_subject(registry, repository, seen, about)
        new = {digest: told for digest, told in belongs.items() if digest not in going and digest not in found}
        if not new:
            break
        for digest, (subject, artifact_type) in new.items():
            found[digest] = Referrer(digest, seen.names(digest), subject, artifact_type)
        about = list(new)
    return list(found.values())


def _by_subject(
    registry: Registry, repository: RepositoryName, seen: Survey, about: Collection[Digest]
) -> dict[Digest, tuple[str, str]]:
    """Manifests whose subject is one of these, with it and their artifact type: as surveyed, else as indexed."""
    if seen.held is not None:
        held = seen.held.values()
        return {m.digest: (m.subject.digest, m.artifact_type) for m in held if m.subject and m.subject.digest in about}
    rows = IndexedRevision.objects.filter(repository__registry=registry, repository__name=repository)
    columns = ("manifest__digest", "manifest__subject", "manifest__artifact_type")
    return {
        Digest(digest): (subject, artifact_type)
        for part in chunks(list(about), 500)
        for digest, subject, artifact_type in rows.filter(manifest__subject__in=part).values_list(*columns)
    }
