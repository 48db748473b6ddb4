"""Layers as real tar archives with real files inside, the same bytes each time.

Format: OCI image spec 1.1, layer.md (tar, optionally gzip or zstd; a removed file is an empty `.wh.<name>`). Order,
owners and times are fixed. Incompressible content comes from SHAKE-256, so that sizes are what they say.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import PurePosixPath

import zstandard

from dashboard.registry import media_types
from dashboard.registry.references import Digest, digest_of

MODIFIED = 1_793_000_000
"""Seconds since 1970 that every file carries (26 October 2026)."""


class Packing(StrEnum):
    """How a layer is compressed; the value is its media type."""

    PLAIN = media_types.OCI_LAYER
    GZIP = media_types.OCI_LAYER_GZIP
    ZSTD = media_types.OCI_LAYER_ZSTD


@dataclass(frozen=True, slots=True)
class File:
    """One file of a layer; with `link_to` a symbolic link. `mode` as in chmod."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    link_to: str = ""


@dataclass(frozen=True)
class Layer:
    """A packed layer: the bytes that are pushed, and the digest of the tar inside."""

    content: bytes
    diff_id: Digest
    packing: Packing

    @cached_property
    def digest(self) -> Digest:
        """Digest of the bytes that are pushed."""
        return digest_of(self.content)


def layer(files: Iterable[File], packing: Packing = Packing.GZIP) -> Layer:
    """A layer of these files, and the directories above them."""
    plain = tar(files)
    return Layer(compress(plain, packing), digest_of(plain), packing)


def compress(plain: bytes, packing: Packing) -> bytes:
    """`plain` packed, with no time of packing in it."""
    match packing:
        case Packing.GZIP:
            return gzip.compress(plain, compresslevel=6, mtime=0)
        case Packing.ZSTD:
            return zstandard.ZstdCompressor(level=6).compress(plain)
        case Packing.PLAIN:
            return plain


def tar(files: Iterable[File]) -> bytes:
    """A tar archive of these files in the order of their paths."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        made: set[PurePosixPath] = set()
        for file in sorted(files, key=lambda file: file.path):
            _add_directories(archive, PurePosixPath(file.path), made)
            entry = _entry(file.path, file.mode)
            if file.link_to:
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, file.link_to, 0o777
            entry.size = len(file.content)
            archive.addfile(entry, io.BytesIO(file.content))
    return output.getvalue()


def noise(name: str, size: int) -> bytes:
    """`size` bytes that do not compress; the same for the same name."""
    return hashlib.shake_256(name.encode()).digest(size)


def removed(path: str) -> File:
    """The whiteout of a file or directory of a layer below."""
    place = PurePosixPath(path)
    return File(str(place.with_name(f".wh.{place.name}")))


def _add_directories(archive: tarfile.TarFile, path: PurePosixPath, made: set[PurePosixPath]) -> None:
    for parent in reversed(path.parents[:-1]):
        if parent not in made:
            made.add(parent)
            entry = _entry(f"{parent}/", 0o755)
            entry.type = tarfile.DIRTYPE
            archive.addfile(entry)


def _entry(path: str, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.mode, entry.mtime = mode, MODIFIED
    entry.uname = entry.gname = "root"
    return entry
