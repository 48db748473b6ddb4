"""The full pass: every file and directory of the storage, looked at once; every link opened.

Symlinks are counted as themselves and not followed here: a byte is counted where it lies.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from .digests import parse_link
from .errors import Cancelled
from .facts import Facts, Problem
from .files import MAX_LINK_BYTES, NotRegular, OverBound, printable, read_regular

_BLOCK = 512  # st_blocks counts these, whatever the file system's own block is
_BESIDE_DATA = 4  # slashes in blobs/sha256/<aa>/<hex>/<name>
_CHECK_EVERY = 256  # directories


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the registry needs besides its data: links, upload states and directories.

    `bytes` by length, directories included (as `du --apparent-size` counts). `broken_links` name a blob that is not on
    the disk (a collection leaves such links behind; harmless). `other_files` belong to nothing the registry writes.
    `allocated_bytes` is what everything under docker/registry/v2 takes in blocks, data included.
    """

    files: int
    directories: int
    bytes: int
    links: int
    broken_links: int
    other_files: int
    other_bytes: int
    allocated_bytes: int

    def to_json(self) -> dict[str, int]:
        """As `storage_report --full --json` prints it."""
        return {
            "files": self.files,
            "directories": self.directories,
            "bytes": self.bytes,
            "links": self.links,
            "broken_links": self.broken_links,
            "other_files": self.other_files,
            "other_bytes": self.other_bytes,
            "allocated_bytes": self.allocated_bytes,
        }


class _Counts:
    def __init__(self) -> None:
        self.files = self.directories = self.bytes = self.links = self.broken = self.blocks = 0
        self.other_files = self.other_bytes = 0
        self.seen: set[tuple[int, int]] = set()
        self.problems: list[Problem] = []


def read_metadata(
    v2: str,
    facts: Facts,
    progress: Callable[[str, int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> tuple[Metadata, list[Problem]]:
    """Reads everything below `v2`. Raises Cancelled."""
    counts = _Counts()
    pending = [""]
    visited = 0
    while pending:
        below = pending.pop()
        _read_directory(v2, below, facts, counts, pending)
        visited += 1
        if visited % _CHECK_EVERY == 0:
            if cancelled is not None and cancelled():
                raise Cancelled
            if progress is not None:
                progress("full", visited, visited + len(pending))
    metadata = Metadata(
        files=counts.files,
        directories=counts.directories,
        bytes=counts.bytes,
        links=counts.links,
        broken_links=counts.broken,
        other_files=counts.other_files,
        other_bytes=counts.other_bytes,
        allocated_bytes=counts.blocks * _BLOCK,
    )
    return metadata, counts.problems


def _read_directory(v2: str, below: str, facts: Facts, counts: _Counts, pending: list[str]) -> None:
    path = f"{v2}/{below}" if below else v2
    try:
        info = os.lstat(path)
        counts.directories += 1
        counts.bytes += info.st_size
        counts.blocks += info.st_blocks
        with os.scandir(path) as entries:
            for entry in entries:
                name = f"{below}/{entry.name}" if below else entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(name)
                else:
                    _read_file(v2, name, entry, facts, counts)
    except FileNotFoundError:
        return
    except OSError:
        counts.problems.append(Problem("unreadable", printable(below)))


def _read_file(v2: str, below: str, entry: os.DirEntry[str], facts: Facts, counts: _Counts) -> None:
    try:
        info = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    if info.st_nlink > 1:
        identity = (info.st_dev, info.st_ino)
        if identity in counts.seen:
            return
        counts.seen.add(identity)
    counts.blocks += info.st_blocks
    if entry.name == "data" and _is_data(below, facts):
        return
    if not (entry.name in ("link", "startedat") or "/hashstates/" in below):
        counts.other_files += 1
        counts.other_bytes += info.st_size
        if below.startswith("blobs/") and below.count("/") == _BESIDE_DATA:
            counts.problems.append(Problem("stray-file", printable(below), info.st_size))
        return
    counts.files += 1
    counts.bytes += info.st_size
    if entry.name == "link" and stat.S_ISREG(info.st_mode):
        counts.links += 1
        _read_link(v2, below, facts, counts)


def _is_data(below: str, facts: Facts) -> bool:
    parts = below.split("/")
    if parts[0] == "blobs":
        return len(parts) == 5 and f"{parts[1]}:{parts[3]}" in facts.blobs
    return len(parts) > 3 and parts[-3] == "_uploads"


def _read_link(v2: str, below: str, facts: Facts, counts: _Counts) -> None:
    try:
        digest = parse_link(read_regular(f"{v2}/{below}", MAX_LINK_BYTES))
    except FileNotFoundError:
        return
    except NotRegular:
        digest = ""
    except OverBound:
        digest = ""
    except OSError:
        counts.problems.append(Problem("unreadable", printable(below)))
        return
    if not digest:
        if "/_layers/" in below or "/index/" in below:  # the others were read by the scan
            counts.problems.append(Problem("link-corrupt", printable(below), 0))
    elif digest not in facts.blobs:
        counts.broken += 1
