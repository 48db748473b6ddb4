"""Careful access to single files: bounded, regular files only, never waiting on a FIFO or a device.

A registry's storage is written by others while it is read. Everything here is told by its kind first (`stat`) and
opened only if it is a regular file of a size within the bound.
"""

# Paths stay text as the system gave it: names need not be UTF-8, and a scan makes a system call per entry.
# ruff: noqa: PTH116, PTH120

from __future__ import annotations

import itertools
import os
import stat

MAX_LINK_BYTES = 1024
MAX_MANIFEST_BYTES = 4 * 1024 * 1024

# A file may be exchanged between stat and open: even then neither a FIFO nor a terminal may hold us up.
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

_MAX_WEIGHED = 1000


class NotRegular(OSError):
    """A FIFO, device, socket or directory where a file should be."""


class OverBound(OSError):
    """A file larger than the bound given."""


def read_regular(path: str, limit: int, dir_fd: int | None = None) -> bytes:
    """The bytes of the regular file at `path` (relative to `dir_fd` if given), at most `limit` bytes.

    Symlinks are followed. Raises NotRegular, OverBound or another OSError.
    """
    info = os.stat(path, dir_fd=dir_fd)
    if not stat.S_ISREG(info.st_mode):
        raise NotRegular(path)
    if info.st_size > limit:
        raise OverBound(path)
    fd = os.open(path, _OPEN_FLAGS, dir_fd=dir_fd)
    try:
        content = os.read(fd, limit + 1 if info.st_size == 0 else info.st_size)
    finally:
        os.close(fd)
    if len(content) > limit:
        raise OverBound(path)
    return content


def open_directory(path: str) -> int:
    """A descriptor of the directory at `path`, to be closed by the caller. Raises OSError."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def leads_to_ancestor(path: str) -> bool:
    """Whether the directory at `path` is one of those that `path` itself runs through (by device and inode)."""
    target = os.stat(path)
    parent = os.path.dirname(path)
    while True:
        try:
            info = os.stat(parent)
        except OSError:
            return False
        if (info.st_dev, info.st_ino) == (target.st_dev, target.st_ino):
            return True
        above = os.path.dirname(parent)
        if above == parent:
            return False
        parent = above


def weigh(path: str) -> int:
    """Bytes of the regular files at and below `path`, without following symlinks; of the first thousand entries."""
    total = 0
    pending = [path]
    for _ in range(_MAX_WEIGHED):
        if not pending:
            break
        current = pending.pop()
        try:
            info = os.lstat(current)
            if stat.S_ISREG(info.st_mode):
                total += info.st_size
            elif stat.S_ISDIR(info.st_mode):
                with os.scandir(current) as entries:
                    pending.extend(entry.path for entry in itertools.islice(entries, _MAX_WEIGHED))
        except OSError:
            continue
    return total


def printable(path: str) -> str:
    """`path` as text that can be shown and encoded: bytes that are no UTF-8 appear as `\\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
