"""Unfinished uploads on the disk: listing them, and removing one that nobody writes to any more.

    repositories/<name>/_uploads/<id>/
      startedat                   when it began (RFC 3339); written first
      data                        what has arrived; moved away when the upload ends
      hashstates/<algorithm>/<n>  where the hash stood; new with every part that arrives

The registry purges directories whose `startedat` is old (docs/storage.md). One without it it never purges: a cancelled
upload leaves its `hashstates`, and such an id the registry does not know any more.

Nothing here follows a symlink, in contrast to the accounting: what lies behind one is not listed and not removed.
"""

# Names are looked at and opened by descriptor, below the directory that they were listed in.

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from dashboard.registry.references import MAX_REPOSITORY_LENGTH, RepositoryName
from dashboard.registry.times import parse_time

from . import layout
from .files import printable
from .removal import (
    FOREIGN,
    HIDDEN,
    MISSING,
    READ_ONLY,
    SYMLINK,
    RemovalRefused,
    mode_of,
    open_below,
    opened,
    read_only_refused,
)

__all__ = [
    "FOREIGN", "MISSING", "READ_ONLY", "RUNNING", "SYMLINK", "Bounds", "Found", "RemovalRefused", "Upload", "find",
    "is_abandoned", "is_writable", "look_at", "remove",
]  # fmt: skip

RUNNING = "running"
MAX_ENTRIES = 10_000
MAX_DIRECTORIES = 200_000
MAX_STATES = 1000
MAX_STARTED_BYTES = 100
_ID = re.compile(r"[a-zA-Z0-9._=-]{1,255}", re.ASCII)
"""What the registry's own addresses take as the id of an upload."""
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class Bounds:
    """When an upload is abandoned, in seconds: with a `startedat` if it began and was last written longer ago than
    `age` (that of the registry's purging); without one if it was last written longer ago than `leftover`.
    """

    age: float
    leftover: float


@dataclass(frozen=True, slots=True)
class Upload:
    """An entry of `_uploads`. Times in seconds since the epoch; `bytes` of its data.

    `started` is None without `startedat`, `written` when anything of it was last written.
    """

    repository: str
    id: str
    started: float | None
    written: float
    bytes: int


@dataclass(slots=True)
class Found:
    """What was found. `foreign`: entries that no registry made, as repository and name for people.

    `complete`: nothing was left out. Repositories whose names the registry does not take are not looked into.
    """

    uploads: list[Upload] = field(default_factory=list)
    foreign: list[tuple[str, str]] = field(default_factory=list)
    complete: bool = True


def is_abandoned(upload: Upload, now: float, bounds: Bounds) -> bool:
    """Whether surely nobody goes on with it. What has a time in the future is not."""
    if upload.started is None:
        return now - upload.written > bounds.leftover
    return now - max(upload.started, upload.written) > bounds.age


def find(root: Path, *, seconds: float) -> Found:
    """All uploads below `root`, in the order of repositories and ids; at most MAX_ENTRIES, within `seconds`.

    Raises StorageError where there is no storage.
    """
    found = Found()
    until = time.monotonic() + seconds
    base = str(layout.v2_directory(root) / "repositories")
    for name, uploads in _directories(base, found, until):
        _list(name, uploads, found)
        if len(found.uploads) + len(found.foreign) >= MAX_ENTRIES:
            found.complete = False
            break
    return found


def look_at(root: Path, repository: RepositoryName, upload_id: str) -> Upload:
    """One upload as it is now. Raises RemovalRefused (MISSING, SYMLINK, FOREIGN, READ_ONLY), StorageError, OSError."""
    with _uploads_of(root, repository, upload_id) as (_beside, uploads):
        return _read(repository, upload_id, uploads)


def is_writable(root: Path, repository: str) -> bool:
    """Whether this process may write where the repository's uploads are. Raises StorageError."""
    base = layout.v2_directory(root) / layout.repository(repository)
    return all(os.access(path, os.W_OK | os.X_OK) for path in (base, base / layout.UPLOADS))


def remove(root: Path, repository: RepositoryName, upload_id: str, *, now: float, bounds: Bounds) -> Upload:
    """Removes an upload that is abandoned now; returns what it was.

    It is moved out of `_uploads` first, to a name beside it that no registry reads, and looked at again there: if
    somebody wrote to it in between it is put back. A removal that breaks off leaves `_removed-…`, which no registry
    sees. Raises RemovalRefused (also RUNNING), StorageError, OSError.
    """
    with _uploads_of(root, repository, upload_id) as (beside, uploads):
        before = _read(repository, upload_id, uploads)
        if not is_abandoned(before, now, bounds):
            raise RemovalRefused(RUNNING, upload_id)
        away = f"{HIDDEN}{secrets.token_hex(6)}_upload"
        with read_only_refused():
            os.rename(upload_id, away, src_dir_fd=uploads, dst_dir_fd=beside)
        try:
            same = _read(repository, away, beside) == replace(before, id=away)
        except BaseException:
            os.rename(away, upload_id, src_dir_fd=beside, dst_dir_fd=uploads)
            raise
        if not same:
            os.rename(away, upload_id, src_dir_fd=beside, dst_dir_fd=uploads)
            raise RemovalRefused(RUNNING, upload_id)
        shutil.rmtree(away, dir_fd=beside)
    return before


@contextmanager
def _uploads_of(root: Path, repository: RepositoryName, upload_id: str) -> Iterator[tuple[int, int]]:
    """Descriptors of a repository's directory and of its `_uploads`, reached without following a symlink."""
    if not layout.is_repository_name(repository) or not _is_id(upload_id):
        raise RemovalRefused(MISSING, printable(upload_id)[:100])
    parts = [*repository.split("/"), layout.UPLOADS]
    with opened(layout.v2_directory(root) / "repositories", parts) as descriptors:
        yield descriptors[-2], descriptors[-1]


def _is_id(name: str) -> bool:
    return _ID.fullmatch(name) is not None and name not in (".", "..")


def _directories(base: str, found: Found, until: float) -> Iterator[tuple[str, str]]:
    """Names of repositories with the paths of their `_uploads`, in order. Symlinks are left alone."""
    pending = [""]
    looked = 0
    while pending:
        name = pending.pop()
        looked += 1
        if looked > MAX_DIRECTORIES or time.monotonic() > until:
            found.complete = False
            return
        below: list[str] = []
        has_uploads = False
        try:
            with os.scandir(f"{base}/{name}" if name else base) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        continue
                    if entry.name == layout.UPLOADS:
                        has_uploads = True
                    elif not entry.name.startswith("_"):
                        below.append(f"{name}/{entry.name}" if name else entry.name)
        except OSError:
            found.complete = found.complete and not os.path.lexists(f"{base}/{name}")
            continue
        pending.extend(sorted((each for each in below if len(each) <= MAX_REPOSITORY_LENGTH), reverse=True))
        if has_uploads and layout.is_repository_name(name):
            yield name, f"{base}/{name}/{layout.UPLOADS}"


def _list(repository: str, path: str, found: Found) -> None:
    try:
        directory = open_below(None, path)
    except (OSError, RemovalRefused):
        found.complete = False
        return
    try:
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry, _ in zip(entries, range(MAX_ENTRIES), strict=False))
        for name in names:
            if len(found.uploads) + len(found.foreign) >= MAX_ENTRIES:
                return
            if not _is_id(name):
                found.foreign.append((repository, printable(name)[:300]))
                continue
            try:
                found.uploads.append(_read(repository, name, directory))
            except RemovalRefused as refused:
                if refused.code in (SYMLINK, FOREIGN):
                    found.foreign.append((repository, printable(name)[:300]))
                elif refused.code != MISSING:  # it ended meanwhile
                    found.complete = False
            except OSError:
                found.complete = False
    except OSError:
        found.complete = False
    finally:
        os.close(directory)


def _read(repository: str, name: str, parent: int) -> Upload:
    """What lies under `name`. Raises RemovalRefused for what no registry made or is not there, OSError."""
    directory = open_below(parent, name)
    try:
        written = os.fstat(directory).st_mtime
        data = _info(directory, "data")
        started_file = _info(directory, "startedat")
        for part, info in (("data", data), ("startedat", started_file)):
            if info is not None and not stat.S_ISREG(info.st_mode):
                raise RemovalRefused(FOREIGN, part)
        infos = [info for info in (data, started_file, *_states(directory)) if info is not None]
        return Upload(
            repository=repository,
            id=name,
            started=_started(directory, started_file),
            written=max([written, *(info.st_mtime for info in infos)]),
            bytes=data.st_size if data is not None else 0,
        )
    finally:
        os.close(directory)


def _info(directory: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _states(directory: int) -> Iterator[os.stat_result]:
    """`hashstates`, what is in it, and in that."""
    if not stat.S_ISDIR(mode_of(directory, "hashstates")):
        return
    number = 0
    for _path, names, files, descriptor in os.fwalk("hashstates", dir_fd=directory):
        yield os.fstat(descriptor)
        for name in (*names, *files):
            number += 1
            if number > MAX_STATES:  # new ones change their directory, which was looked at
                return
            info = _info(descriptor, name)
            if info is not None:
                yield info


def _started(directory: int, info: os.stat_result | None) -> float | None:
    """When it began as `startedat` says; when that was written, where it says nothing."""
    if info is None:
        return None
    try:
        file = os.open("startedat", _FILE, dir_fd=directory)
    except FileNotFoundError:
        return None
    try:
        text = os.read(file, MAX_STARTED_BYTES)
    finally:
        os.close(file)
    when = parse_time(text.decode("ascii", "replace"))
    return when.timestamp() if when is not None else info.st_mtime
