"""Manifests and configs by digest: from our table of bytes, else from the registry, and then kept.

What the table holds says nothing about who may see it: callers show content only for a repository that has just proved
to hold it. Registry requests run side by side; the database is used from the calling thread alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dashboard.models import Content
from dashboard.registry.client import RawManifest, RegistrySession
from dashboard.registry.errors import BlobUnknown, ManifestUnknown, RegistryError
from dashboard.registry.manifests import MAX_CONFIG_BYTES, Descriptor
from dashboard.registry.references import Digest, RepositoryName

from . import parallel
from .quick_writes import write_within

LOCK_WAIT_MS = 200
MAX_MEDIA_TYPE = 255


def manifests(
    session: RegistrySession,
    repository: RepositoryName,
    digests: Iterable[Digest],
    *,
    proven: frozenset[Digest] = frozenset(),
) -> dict[Digest, RawManifest | RegistryError]:
    """The manifests that `repository` holds, by digest; ManifestUnknown for one that it does not.

    Each is asked of the registry: by HEAD where the bytes are known, else by GET. `proven` are digests that the
    repository has proved to hold in this same page (a tag points at them).
    """
    wanted = list(dict.fromkeys(digests))
    known = _known(wanted)

    def ask(digest: Digest) -> RawManifest | bool:
        if digest not in known:
            return session.get_manifest(repository, digest)
        return digest in proven or session.has_manifest(repository, digest)

    answers = parallel.each(wanted, ask)
    found: dict[Digest, RawManifest | RegistryError] = {}
    fetched: list[Content] = []
    for digest, answer in answers.items():
        if isinstance(answer, RawManifest):
            fetched.append(Content(digest=digest, media_type=answer.media_type[:MAX_MEDIA_TYPE], raw=answer.raw))
            found[digest] = answer
        elif isinstance(answer, RegistryError):
            found[digest] = answer
        elif answer:
            row = known[digest]
            found[digest] = RawManifest(digest=digest, media_type=row.media_type, raw=bytes(row.raw))
        else:
            found[digest] = ManifestUnknown(
                "get manifest", session.registry, user=session.user, status=404, subject=digest
            )
    _keep(fetched)
    return found


def configs(
    session: RegistrySession,
    repository: RepositoryName,
    descriptors: Iterable[Descriptor],
    *,
    proven: frozenset[Digest] = frozenset(),
) -> Mapping[Digest, bytes | RegistryError]:
    """The config blobs that `repository` holds, by digest; BlobUnknown for one that it does not.

    Each is asked of the registry: by HEAD where the bytes are known, else by GET of at most MAX_CONFIG_BYTES. `proven`
    are digests that it has proved to hold in this same page.
    """
    wanted = list(dict.fromkeys(d.digest for d in descriptors))
    known = _known(wanted)

    def ask(digest: Digest) -> bytes:
        if digest not in known:
            return session.read_blob(repository, digest, limit=MAX_CONFIG_BYTES)
        if digest not in proven and session.has_blob(repository, digest) is None:
            raise BlobUnknown("read blob", session.registry, user=session.user, status=404, subject=digest)
        return bytes(known[digest].raw)

    answers = parallel.each(wanted, ask)
    _keep([Content(digest=d, raw=raw) for d, raw in answers.items() if isinstance(raw, bytes) and d not in known])
    return answers


def kept(digests: Iterable[Digest]) -> dict[Digest, RawManifest]:
    """Those of these manifests whose bytes are kept here. Who may see them, through what, is the caller's to know."""
    return {
        digest: RawManifest(digest=digest, media_type=row.media_type, raw=bytes(row.raw))
        for digest, row in _known(list(digests)).items()
    }


def _known(digests: list[Digest]) -> dict[Digest, Content]:
    rows = Content.objects.filter(digest__in=digests)
    return {Digest(row.digest): row for row in rows}


def _keep(rows: list[Content]) -> None:
    if rows:
        write_within(LOCK_WAIT_MS, lambda: Content.objects.bulk_create(rows, ignore_conflicts=True, batch_size=200))
