"""Tags whose link cannot be read: on 2.8 a single one makes every deletion by digest break off half-way.

Such a link is written again with what our history says it held, as far as the repository still holds that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from dashboard.models import Registry, TagPeriod
from dashboard.registry.client import RawManifest, RegistrySession
from dashboard.registry.errors import ManifestUnknown, ServerFault
from dashboard.registry.references import Digest, RepositoryName, is_tag

from .survey import listed_tags


def unreadable(session: RegistrySession, repository: RepositoryName, *, besides: Collection[str]) -> list[str]:
    """Tags that are listed and cannot be read, though the registry answers for others. Raises RegistryError."""
    found = []
    for name in listed_tags(session, repository):
        if name in besides or not is_tag(name):
            continue
        try:
            session.head_manifest(repository, name)
        except ServerFault:
            found.append(name)
        except ManifestUnknown:
            continue
    return found


def mend(
    session: RegistrySession,
    registry: Registry,
    repository: RepositoryName,
    names: Iterable[str],
    put: Callable[[str, RawManifest], None],
) -> list[str]:
    """Has `put` write these tags again where it is known what they held; those that cannot be read even so."""
    broken = []
    for name in names:
        try:
            raw = _remembered(session, registry, repository, name)
            if raw is not None:
                put(name, raw)
            session.head_manifest(repository, name)
        except ServerFault:
            broken.append(name)
        except ManifestUnknown:
            continue
    return broken


def _remembered(
    session: RegistrySession, registry: Registry, repository: RepositoryName, name: str
) -> RawManifest | None:
    periods = TagPeriod.objects.filter(registry=registry, repository=repository, tag=name, ended_at=None)
    digest = periods.values_list("digest", flat=True).first()
    if digest is None or not session.has_manifest(repository, Digest(digest)):
        return None
    return session.get_manifest(repository, digest)
