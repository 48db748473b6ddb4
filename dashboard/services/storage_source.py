"""Where a registry's storage is read: a directory mounted here, a bucket of object storage, or nowhere.

A bucket serves the accounting alone: lists come from the registry's API then, and what writes or hashes needs a mount.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from django.conf import settings
from django.db.models import QuerySet

from dashboard.models import Registry
from dashboard.storage import objects
from dashboard.storage.bucket import Bucket
from dashboard.storage.errors import BucketEmpty, StorageError
from dashboard.storage.layout import v2_directory
from dashboard.storage.references import References
from dashboard.storage.scan import Progress
from dashboard.storage.usage import FileSystem, Reading, filesystem
from dashboard.storage.usage import take as take_directory

Source = Path | Bucket
"""A directory that holds docker/registry/v2 (that directory itself), or a bucket."""

NO_FILE_SYSTEM = FileSystem(total=0, free=0)


def measured() -> QuerySet[Registry]:
    """The registries whose storage can be read here."""
    return Registry.objects.exclude(storage_root="", storage_url="")


def source_of(registry: Registry) -> Source | None:
    """The source that is configured, None if there is none; a bucket is not asked. Raises StorageError."""
    if registry.storage_root:
        return v2_directory(Path(registry.storage_root))
    if registry.storage_url:
        return Bucket(registry.storage_url, settings.STORAGE_ENDPOINT)
    return None


def look(registry: Registry, *, ask: bool = False) -> Source | StorageError | None:
    """As `source_of`, with the problem in place of raising it. `ask`: a bucket is asked whether it holds a registry."""
    try:
        source = source_of(registry)
        if ask and isinstance(source, Bucket) and not set(source.children("")[0]) & {"blobs", "repositories"}:
            return BucketEmpty(str(source))
    except StorageError as error:
        return error
    return source


def take(
    registry: Registry,
    *,
    now: float,
    full: bool,
    remembered: Mapping[str, References],
    progress: Progress,
    cancelled: Callable[[], bool],
) -> tuple[Reading, FileSystem]:
    """Reads the registry's storage, and what its file system has (NO_FILE_SYSTEM for a bucket).

    Raises StorageError, Cancelled.
    """
    seconds = settings.IN_FLIGHT_SECONDS
    if not registry.storage_url:
        root = Path(registry.storage_root)
        reading = take_directory(
            root,
            now=now,
            in_flight_seconds=seconds,
            full=full,
            remembered=remembered,
            progress=progress,
            cancelled=cancelled,
        )
        return reading, filesystem(root)
    bucket = Bucket(registry.storage_url, settings.STORAGE_ENDPOINT)
    reading = objects.take(
        bucket,
        now=now,
        in_flight_seconds=seconds,
        remembered=remembered,
        progress=progress,
        cancelled=cancelled,
    )
    return reading, NO_FILE_SYSTEM
