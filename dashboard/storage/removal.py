"""Removing an emptied repository's own directories from the storage: the one thing that is ever written there.

Only `_manifests`, `_layers` and `_uploads` of that repository go (docs/deletion.md); repositories nested below it, and
whatever else lies there, are not touched. No symlink is followed. Nothing goes while a tag or a revision has its link,
or while an upload may be going on.

The registry goes on working meanwhile, and nothing locks it out. So the directories are renamed first, to names beside
them that no registry reads. `_layers` goes before `_manifests`: a registry takes a manifest only after it has found
every layer there, so from then on a push that comes late is refused as a whole and can be repeated. What was let in
before is given a moment to write its links; if there is one, all is put back, beside what is new.
"""

# Paths stay text and are opened by descriptor: what is looked at is then what is removed.
# ruff: noqa: PTH208

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dashboard.registry.references import RepositoryName

from . import layout

OWN = (layout.MANIFESTS, layout.LAYERS, layout.UPLOADS)
MISSING, SYMLINK, FOREIGN, IN_USE, UPLOAD, READ_ONLY = "missing", "symlink", "foreign", "in-use", "upload", "read-only"
SETTLE_SECONDS = 1.0
"""What a registry needs at most between its look at the layers of a manifest and the links that it writes for it."""
_IN_ORDER = (layout.LAYERS, layout.MANIFESTS, layout.UPLOADS)
HIDDEN = "_removed-"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class RemovalRefused(Exception):
    """Nothing was removed. `code` says why, `subject` what stood in the way."""

    def __init__(self, code: str, subject: str = "") -> None:
        super().__init__(code, subject)
        self.code = code
        self.subject = subject


@dataclass(frozen=True, slots=True)
class Removed:
    """What went: names of the repository's own directories, and whether its directory itself is gone.

    `left`: what they are called now where their content could not be removed; the registry does not see it.
    """

    names: tuple[str, ...]
    whole: bool
    left: tuple[str, ...] = ()


def remove(
    root: Path,
    repository: RepositoryName,
    *,
    now: float,
    in_flight_seconds: float,
    settle_seconds: float = SETTLE_SECONDS,
) -> Removed:
    """Removes the directories of an emptied repository, and those above it that are empty then.

    `now` in seconds since the epoch. Raises RemovalRefused, StorageError where there is no storage, or OSError.
    """
    parts = repository.split("/")
    with opened(layout.v2_directory(root) / "repositories", parts) as descriptors:
        directory = descriptors[-1]
        present = _own(directory)
        if not present:
            raise RemovalRefused(MISSING, parts[-1])
        with read_only_refused():
            _refuse_uploads(directory, present, now - in_flight_seconds)
            _refuse_links(directory, present)
            hidden = _hide(directory, present, settle_seconds)
        left = _clear(directory, hidden)
        whole = _remove_empty(descriptors, parts)
    return Removed(tuple(present), whole, left)


def is_writable(root: Path, repository: RepositoryName) -> bool:
    """Whether this process may write in the repository's directory. Raises StorageError where there is no storage."""
    return os.access(layout.v2_directory(root) / layout.repository(repository), os.W_OK | os.X_OK)


@contextmanager
def opened(base: Path, parts: Sequence[str]) -> Iterator[list[int]]:
    """Descriptors of `base` and of each directory on the way, reached without following a symlink."""
    descriptors: list[int] = []
    try:
        descriptors.append(open_below(None, str(base)))
        for part in parts:
            descriptors.append(open_below(descriptors[-1], part))
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def open_below(parent: int | None, name: str) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError as error:
        raise RemovalRefused(MISSING, name) from error
    except PermissionError as error:
        raise RemovalRefused(READ_ONLY, name) from error
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        raise RemovalRefused(SYMLINK if stat.S_ISLNK(mode_of(parent, name)) else FOREIGN, name) from error


def mode_of(parent: int | None, name: str) -> int:
    """The kind of what is there, no symlink followed; 0 if it is not there (any more)."""
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0


@contextmanager
def read_only_refused() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            raise RemovalRefused(READ_ONLY, error.strerror or "") from error
        raise


def _own(directory: int) -> list[str]:
    found = []
    for name in OWN:
        mode = mode_of(directory, name)
        if not mode:
            continue
        if not stat.S_ISDIR(mode):
            raise RemovalRefused(SYMLINK if stat.S_ISLNK(mode) else FOREIGN, name)
        found.append(name)
    return found


def _refuse_uploads(directory: int, present: Sequence[str], since: float) -> None:
    if layout.UPLOADS not in present:
        return
    uploads = open_below(directory, layout.UPLOADS)
    try:
        for name in os.listdir(uploads):
            if _newest(uploads, name) >= since:
                raise RemovalRefused(UPLOAD, name)
    finally:
        os.close(uploads)


def _newest(parent: int, name: str) -> float:
    """When an upload was last written to; one that vanishes under our eyes is going on."""
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return float("inf")
    for file in ("data", "startedat", "hashstates"):
        try:
            found = max(found, os.stat(f"{name}/{file}", dir_fd=parent, follow_symlinks=False).st_mtime)
        except (FileNotFoundError, NotADirectoryError):
            continue
    return found


def _refuse_links(directory: int, names: Sequence[str]) -> None:
    """Refuses where one of these directories is a `_manifests`, whatever it is called now, with a link in it."""
    for name in names:
        if name.endswith(layout.MANIFESTS) and (link := _a_link(directory, name)):
            raise RemovalRefused(IN_USE, link)


def _a_link(directory: int, name: str) -> str:
    """A tag or revision that has its link, below the `_manifests` of this name; "" for none.

    What a tag pointed at once (`tags/<tag>/index/…`) does not count. Raises RemovalRefused for a symlink, behind which
    there could be links, and OSError for what cannot be read.
    """
    for path, names, files, descriptor in os.fwalk(name, dir_fd=directory, onerror=_raise):
        for each in names:
            if stat.S_ISLNK(mode_of(descriptor, each)):
                raise RemovalRefused(SYMLINK, each)
        parts = path.split("/")[1:]
        is_history = len(parts) > 2 and parts[0] == "tags" and parts[2] == "index"
        if "link" in files and not is_history:
            return "/".join(parts)
    return ""


def _raise(error: OSError) -> None:
    raise error


def _hide(directory: int, present: Sequence[str], settle_seconds: float) -> dict[str, str]:
    """Renames what goes, to what it says; puts everything back if something was pushed in between."""
    token = secrets.token_hex(6)
    hidden: dict[str, str] = {}
    try:
        for name in _IN_ORDER:
            if name in present:
                away = f"{HIDDEN}{token}{name}"
                os.rename(name, away, src_dir_fd=directory, dst_dir_fd=directory)
                hidden[name] = away
        time.sleep(settle_seconds)
        _refuse_links(directory, [*hidden.values(), *(name for name in _own(directory) if name not in hidden.values())])
    except BaseException:
        _put_back(directory, hidden)
        raise
    return hidden


def _put_back(directory: int, hidden: Mapping[str, str]) -> None:
    """Under their names again, manifests last; what is new there stays as it is."""
    for name in sorted(hidden, key=OWN.index, reverse=True):
        _merge(directory, hidden[name], directory, name)


def _merge(source_in: int, source: str, target_in: int, target: str) -> None:
    """Moves `source` to `target`; of a directory that is there by now, what it lacks."""
    there = mode_of(target_in, target)
    if not there:
        os.rename(source, target, src_dir_fd=source_in, dst_dir_fd=target_in)
        return
    if not (stat.S_ISDIR(there) and stat.S_ISDIR(mode_of(source_in, source))):
        os.unlink(source, dir_fd=source_in)  # a newer link in its place
        return
    old, new = os.open(source, _DIRECTORY, dir_fd=source_in), os.open(target, _DIRECTORY, dir_fd=target_in)
    try:
        for name in os.listdir(old):
            _merge(old, name, new, name)
    finally:
        os.close(old)
        os.close(new)
    os.rmdir(source, dir_fd=source_in)


def _clear(directory: int, hidden: Mapping[str, str]) -> tuple[str, ...]:
    """Removes what was renamed, and what an earlier removal that broke off had renamed; what could not be removed."""
    earlier = [name for name in os.listdir(directory) if name.startswith(HIDDEN) and name not in hidden.values()]
    left = []
    for name in [*hidden.values(), *earlier]:
        try:
            shutil.rmtree(name, dir_fd=directory)
        except OSError:
            left.append(name)
    return tuple(left)


def _remove_empty(descriptors: Sequence[int], parts: Sequence[str]) -> bool:
    """The repository's directory and those above it, as long as they are empty; whether the first of these went."""
    gone = False
    for parent, name in zip(reversed(descriptors[:-1]), reversed(parts), strict=True):
        try:
            os.rmdir(name, dir_fd=parent)
        except OSError:
            return gone
        gone = True
    return gone
