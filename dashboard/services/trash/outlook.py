"""Whether what is in the trash could be brought back: every blob that it refers to must still be there.

A registry may say by HEAD that it holds a blob which a garbage collection removed (its cache remembers): so blobs are
read, from the storage where it is mounted and belongs, else the first byte of each from the registry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from django.utils import timezone

from dashboard.models import DeletionItem, Registry, TrashedManifest
from dashboard.registry.client import RegistrySession
from dashboard.registry.errors import RegistryError
from dashboard.registry.manifests import Manifest, parse_manifest
from dashboard.registry.references import Digest, RepositoryName
from dashboard.services import parallel
from dashboard.services.index.update import reads_storage, state_of
from dashboard.storage.errors import StorageError
from dashboard.storage.reader import Reader

from .kept import in_trash

LOOKED_AT_ONCE = 200


def manifests_of(item: DeletionItem) -> dict[Digest, tuple[Manifest, TrashedManifest]]:
    """The kept manifests that bringing an item back needs, its children first, by digest."""
    digests = [*item.children, item.digest]
    rows = {row.digest: row for row in TrashedManifest.objects.filter(deletion=item.deletion_id, digest__in=digests)}
    return {
        Digest(digest): (parse_manifest(bytes(rows[digest].raw), rows[digest].media_type, Digest(digest)), rows[digest])
        for digest in digests
        if digest in rows
    }


def blobs_of(manifests: Iterable[Manifest]) -> list[Digest]:
    """Configs and layers that the registry must hold to take these manifests."""
    return list(dict.fromkeys(d.digest for m in manifests for d in m.content() if not d.is_foreign))


def missing_at(session: RegistrySession, repository: RepositoryName, blobs: Iterable[Digest]) -> list[Digest]:
    """Those of the blobs that the registry does not hand out. Raises RegistryError if it does not answer."""
    answers = parallel.each(blobs, lambda digest: session.blob_is_readable(repository, digest))
    for answer in answers.values():
        if isinstance(answer, RegistryError):
            raise answer
    return [digest for digest, answer in answers.items() if answer is False]


def look_again(registry: Registry) -> int:
    """Notes of everything in the trash whether its blobs are on the disk; how many could not be brought back.

    Nothing is done where the storage is not read: then restoring looks itself.
    """
    if not reads_storage(registry, state_of(registry)):
        return 0
    reader = Reader(Path(registry.storage_root))
    known: dict[Digest, bool] = {}
    lost = 0
    after = 0
    while items := list(in_trash(registry).filter(pk__gt=after).order_by("pk")[:LOOKED_AT_ONCE]):
        after = items[-1].pk
        for item in items:
            kept = manifests_of(item)
            missing = _not_on_disk(reader, kept, known)
            lost += bool(missing)
            DeletionItem.objects.filter(pk=item.pk).update(
                restorable=not missing, missing=missing, looked_at=timezone.now()
            )
    return lost


def _not_on_disk(
    reader: Reader, kept: Mapping[Digest, tuple[Manifest, TrashedManifest]], known: dict[Digest, bool]
) -> list[str]:
    blobs = blobs_of(manifest for manifest, _ in kept.values())
    for digest in blobs:
        if digest not in known:
            try:
                known[digest] = reader.blob_size(digest) >= 0
            except StorageError:
                known[digest] = False
    return [digest for digest in blobs if not known[digest]]
