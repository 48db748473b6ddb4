"""Hashing blobs anew: is what lies under a digest still what that digest names?

Blobs are gone through in the order of their paths, so that a check that was broken off goes on behind the last one it
did. No symlink below `blobs/` is followed, nothing but regular files is read, and the memory used is that of one
fan-out directory's names.

Data arrives in its place by a rename and never changes there, so one reading is enough to find it whole. What is not is
read once more before it is called damaged. What has gone meanwhile is no finding.
"""

# Paths stay text as the system gave it, relative to descriptors of the directories they lie in.
# ruff: noqa: PTH116

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from . import digests
from .errors import RootUnreadable
from .files import printable

CHUNK_BYTES = 1024 * 1024

MISMATCH, UNREADABLE, NOT_A_FILE, SYMLINK = "mismatch", "unreadable", "not-a-file", "symlink"
CODES = (MISMATCH, UNREADABLE, NOT_A_FILE, SYMLINK)

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DATA = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_READINGS = 2


class Damage(NamedTuple):
    """What is wrong with a blob. `found` is the digest of what was read ("" if nothing was), `bytes` its length."""

    code: str
    found: str = ""
    bytes: int = 0


class Checked(NamedTuple):
    """A blob that was gone through, or a directory that could not be (then without a digest).

    `path` is below docker/registry/v2/blobs and orders them: `sha256/<aa>/<hex>`. `bytes` were read of it.
    """

    path: str
    digest: str
    bytes: int
    damage: Damage | None = None


class Total(NamedTuple):
    """How many blobs there are, and their bytes."""

    blobs: int
    bytes: int


@dataclass
class Pace:
    """Keeps reading to `bytes_per_second` on average (0: as fast as it goes), whatever the pieces.

    Time in which nothing was read is not made up for.
    """

    bytes_per_second: int
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _free_at: float = field(default=0.0, init=False)

    def spend(self, count: int) -> None:
        """Waits as long as `count` bytes that were just read have to last."""
        if self.bytes_per_second <= 0:
            return
        now = self.clock()
        self._free_at = max(self._free_at, now) + count / self.bytes_per_second
        self.sleep(self._free_at - now)


class Hashing:
    """A check of the blobs in `v2`, those behind `after` (a `Checked.path`, "" for all).

    `alive` is called between pieces of a blob; what it raises ends the check there.
    """

    def __init__(self, v2: str, *, after: str = "", pace: Pace, alive: Callable[[], None]) -> None:
        self._blobs = f"{v2}/blobs"
        self._after = after
        self._pace = pace
        self._alive = alive
        self._buffer = memoryview(bytearray(CHUNK_BYTES))

    def total(self) -> Total:
        """What there is to check in all, whatever `after` says. Raises RootUnreadable."""
        count = size = 0
        for algorithm, fan, fd, _ in self._fans(""):
            if fd is None:
                continue
            self._alive()
            for name in _names(fd):
                try:
                    info = os.stat(f"{name}/data", dir_fd=fd, follow_symlinks=False)
                except OSError:
                    continue
                if _is_blob(algorithm, fan, name) and stat.S_ISREG(info.st_mode):
                    count += 1
                    size += info.st_size
        return Total(count, size)

    def __iter__(self) -> Iterator[Checked]:
        """Raises RootUnreadable where there are no blobs (any more), and what `alive` raises."""
        for algorithm, fan, fd, damage in self._fans(self._after):
            below = f"{algorithm}/{fan}" if fan else algorithm
            if fd is None:
                if damage is not None:
                    yield Checked(below, "", 0, damage)
                continue
            try:
                names = sorted(name for name in _names(fd) if _is_blob(algorithm, fan, name))
            except OSError:
                yield Checked(below, "", 0, Damage(UNREADABLE))
                continue
            for name in names:
                path = f"{below}/{name}"
                if path > self._after:
                    size, damage = self._check(fd, algorithm, name)
                    if size is not None:
                        yield Checked(path, f"{algorithm}:{name}", size, damage)

    def _fans(self, after: str) -> Iterator[tuple[str, str, int | None, Damage | None]]:
        """The fan-out directories, opened as long as they are looked at; None and why where one cannot be opened."""
        try:
            blobs = os.open(self._blobs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise RootUnreadable(self._blobs, error.strerror or "") from error
        try:
            for algorithm in sorted(digests.ALGORITHMS):
                fd, damage = _directory(algorithm, blobs)
                if fd is None:
                    yield algorithm, "", None, damage
                    continue
                try:
                    yield from self._fans_of(algorithm, fd, after)
                finally:
                    os.close(fd)
            self._refuse_vanished(blobs)
        finally:
            os.close(blobs)

    def _fans_of(self, algorithm: str, fd: int, after: str) -> Iterator[tuple[str, str, int | None, Damage | None]]:
        for fan in sorted(name for name in _names(fd) if digests.is_fan_out(name)):
            if f"{algorithm}/{fan}/~" <= after:  # every name in it lies before
                continue
            opened, damage = _directory(fan, fd)
            try:
                yield algorithm, fan, opened, damage
            finally:
                if opened is not None:
                    os.close(opened)

    def _refuse_vanished(self, blobs: int) -> None:
        """A storage that was unmounted or moved while it was checked looks as if all its blobs had been deleted."""
        try:
            here = os.stat(self._blobs)
        except OSError as error:
            raise RootUnreadable(self._blobs, error.strerror or "") from error
        held = os.fstat(blobs)
        if (here.st_dev, here.st_ino) != (held.st_dev, held.st_ino):
            raise RootUnreadable(self._blobs, "another directory took its place")

    def _check(self, fan: int, algorithm: str, name: str) -> tuple[int | None, Damage | None]:
        """Bytes of the blob, and what is wrong with it; None if there is none (any more)."""
        damage: Damage | None = None
        read = 0
        for _ in range(_READINGS):
            try:
                found, size = self._read(fan, algorithm, name)
            except FileNotFoundError:
                return None, None
            except IsADirectoryError:
                return 0, Damage(NOT_A_FILE)
            except OSError:
                code = _kind(fan, name)
                if code != UNREADABLE:
                    return 0, Damage(code)
                damage = Damage(UNREADABLE)
                continue
            if found == name:
                return size, None
            damage, read = Damage(MISMATCH, f"{algorithm}:{found}", size), size
        return read, damage

    def _read(self, fan: int, algorithm: str, name: str) -> tuple[str, int]:
        """The hash in hex of a blob's data, and how many bytes that were. Raises OSError."""
        directory = os.open(name, _OPEN_DIRECTORY, dir_fd=fan)
        try:
            data = os.open("data", _OPEN_DATA, dir_fd=directory)
        finally:
            os.close(directory)
        try:
            info = os.fstat(data)
            if not stat.S_ISREG(info.st_mode):
                raise IsADirectoryError(name)
            digest, size = hashlib.new(algorithm), 0
            while count := os.readv(data, [self._buffer]):
                digest.update(self._buffer[:count])
                size += count
                self._pace.spend(count)
                self._alive()
                if size > info.st_size:
                    break  # something writes to it: it cannot be what its name says, and may never end
            os.posix_fadvise(data, 0, 0, os.POSIX_FADV_DONTNEED)  # what is read once need not push out what is in use
            return digest.hexdigest(), size
        finally:
            os.close(data)


def _directory(name: str, parent: int) -> tuple[int | None, Damage | None]:
    """A descriptor of a directory; None where there is none, with what is wrong if something is there."""
    try:
        return os.open(name, _OPEN_DIRECTORY, dir_fd=parent), None
    except FileNotFoundError:
        return None, None
    except OSError:
        try:
            mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        except OSError:
            return None, Damage(UNREADABLE)
        if stat.S_ISLNK(mode):
            return None, Damage(SYMLINK)
        return None, Damage(UNREADABLE) if stat.S_ISDIR(mode) else None  # a stray file is told by every scan


def _kind(fan: int, name: str) -> str:
    """Why a blob's data could not be opened."""
    for path in (name, f"{name}/data"):
        try:
            mode = os.stat(path, dir_fd=fan, follow_symlinks=False).st_mode
        except OSError:
            return UNREADABLE
        if stat.S_ISLNK(mode):
            return SYMLINK
    return UNREADABLE if stat.S_ISREG(mode) else NOT_A_FILE


def _names(fd: int) -> list[str]:
    return os.listdir(fd)


def _is_blob(algorithm: str, fan: str, name: str) -> bool:
    return digests.is_encoded(algorithm, name) and name[:2] == fan


def readable(path: str) -> str:
    """A `Checked.path` as it lies below docker/registry/v2, to be shown."""
    return printable(f"blobs/{path}")
