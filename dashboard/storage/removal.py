"""Removing an emptied repository's own directories from the storage: the one thing that is ever written there.

Only `_manifests`, `_layers` and `_uploads` of that repository go (docs/deletion.md); repositories nested below it, and
whatever else lies there, are not touched. No symlink is followed. Nothing goes while a tag or a revision has its link,
or while an upload may be going on.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dashboard.registry.references import RepositoryName

from . import layout

OWN = (layout.MANIFESTS, layout.LAYERS, layout.UPLOADS)
MISSING, SYMLINK, FOREIGN, IN_USE, UPLOAD, READ_ONLY = "missing", "symlink", "foreign", "in-use", "upload", "read-only"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class RemovalRefused(Exception):
    """Nothing was removed. `code` says why, `subject` what stood in the way."""

    def __init__(self, code: str, subject: str = "") -> None:
        super().__init__(code, subject)
        self.code = code
        self.subject = subject


@dataclass(frozen=True, slots=True)
class Removed:
    """What went: names of the repository's own directories, and whether its directory itself is gone."""

    names: tuple[str, ...]
    whole: bool


def remove(root: Path, repository: RepositoryName, *, now: float, in_flight_seconds: float) -> Removed:
    """Removes the directories of an emptied repository. `now` in seconds since the epoch.

    Each is first renamed to a name that no registry reads, so that it is gone at once or not at all, and looked at
    again before its content goes: what was pushed in between is put back. Raises RemovalRefused, or StorageError where
    there is no storage.
    """
    base = layout.v2_directory(root) / "repositories"
    *above, last = repository.split("/")
    try:
        with _opened(base, above) as parent, _below(parent, last) as directory:
            present = _own(directory)
            if not present:
                raise RemovalRefused(MISSING)
            _refuse_uploads(directory, present, now - in_flight_seconds)
            _refuse_links(directory, present)
            hidden = _hide(directory, present)
            for name in hidden.values():
                shutil.rmtree(name, dir_fd=directory)
            whole = not os.listdir(directory)  # noqa: PTH208 (by its descriptor)
        if whole:
            _remove_empty(base, repository)
    except PermissionError as error:
        raise RemovalRefused(READ_ONLY, error.strerror or "") from error
    except OSError as error:
        if error.errno == errno.EROFS:
            raise RemovalRefused(READ_ONLY, error.strerror or "") from error
        raise
    return Removed(tuple(present), whole)


@contextmanager
def _opened(base: Path, above: list[str]) -> Iterator[int]:
    """The directory that the repository's own lies in, reached without following a symlink."""
    descriptors = [os.open(base, _DIRECTORY)]
    try:
        for part in above:
            descriptors.append(_open(descriptors[-1], part))
        yield descriptors[-1]
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


@contextmanager
def _below(parent: int, name: str) -> Iterator[int]:
    descriptor = _open(parent, name)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open(parent: int, name: str) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError as error:
        raise RemovalRefused(MISSING, name) from error
    except OSError as error:
        if isinstance(error, PermissionError):
            raise
        raise RemovalRefused(SYMLINK, name) from error


def _own(directory: int) -> list[str]:
    found = []
    for name in OWN:
        try:
            mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(mode):
            raise RemovalRefused(SYMLINK, name)
        if not stat.S_ISDIR(mode):
            raise RemovalRefused(FOREIGN, name)
        found.append(name)
    return found


def _refuse_uploads(directory: int, present: list[str], since: float) -> None:
    if layout.UPLOADS not in present:
        return
    with _below(directory, layout.UPLOADS) as uploads:
        for name in os.listdir(uploads):  # noqa: PTH208
            if _newest(uploads, name) >= since:
                raise RemovalRefused(UPLOAD, name)


def _newest(parent: int, name: str) -> float:
    """When an upload was last written to."""
    found = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mtime
    for file in ("data", "startedat"):
        try:
            found = max(found, os.stat(f"{name}/{file}", dir_fd=parent, follow_symlinks=False).st_mtime)
        except (FileNotFoundError, NotADirectoryError):
            continue
    return found


def _refuse_links(directory: int, present: list[str]) -> None:
    for name in present:
        if name.endswith("manifests") and (link := _a_link(directory, name)):
            raise RemovalRefused(IN_USE, link)


def _a_link(directory: int, name: str) -> str:
    """A tag or revision that has its link, below `_manifests` under this name; "" for none."""
    for path, _names, files, _fd in os.fwalk(name, dir_fd=directory):
        if "link" in files and "/index/" not in f"{path}/":
            return path.partition("/")[2]
    return ""


def _hide(directory: int, present: list[str]) -> dict[str, str]:
    """Renames what goes; puts everything back if something was pushed in between."""
    token = secrets.token_hex(6)
    hidden: dict[str, str] = {}
    try:
        for name in present:
            away = f"_removed-{token}{name}"
            os.rename(name, away, src_dir_fd=directory, dst_dir_fd=directory)
            hidden[name] = away
        _refuse_links(directory, list(hidden.values()))
    except (OSError, RemovalRefused):
        for name, away in hidden.items():
            os.rename(away, name, src_dir_fd=directory, dst_dir_fd=directory)
        raise
    return hidden


def _remove_empty(base: Path, repository: str) -> None:
    """The repository's directory and those above it, as long as they are empty."""
    path = base / repository
    while path != base:
        try:
            path.rmdir()
        except OSError:
            return
        path = path.parent
