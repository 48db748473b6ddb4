"""Units of work of a scan: each reads one part of the disk and returns plain values.

A unit may run in this process or in a second one (`partner`), so arguments and results are strings, numbers, tuples,
lists and dictionaries. Nothing raises for what is found on the disk: what cannot be read becomes a problem, what has
vanished since it was listed is left out.
"""

# Paths stay text as the system gave it: names need not be UTF-8, and a scan makes a system call per entry.
# ruff: noqa: PTH116, PTH208

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple

from .facts import ManifestFacts, Problem
from .files import (
    MAX_LINK_BYTES,
    MAX_MANIFEST_BYTES,
    NotRegular,
    OverBound,
    leads_to_ancestor,
    open_directory,
    printable,
    read_regular,
    weigh,
)
from .layout import ALGORITHMS, HEX
from .references import references_of


class Blobs(NamedTuple):
    """Blobs of one fan-out directory: digest to bytes; those younger than asked; problems."""

    sizes: dict[str, int]
    young: list[str]
    problems: list[Problem]


class Links(NamedTuple):
    """Links of some entries of one directory: entry's name to digest; entries whose link was empty; problems."""

    digests: dict[str, str]
    empty: list[str]
    problems: list[Problem]


class Revisions(NamedTuple):
    """Revisions of one repository: as `Links`, and what their manifests refer to."""

    digests: list[str]
    manifests: dict[str, ManifestFacts]
    empty: list[str]
    problems: list[Problem]


class Uploads(NamedTuple):
    """Uploads of some entries: device, inode (of what identifies it) and bytes of its data; problems."""

    uploads: list[tuple[int, int, int]]
    problems: list[Problem]


def list_blobs(v2: str, algorithm: str, fan: str, young_after: float) -> Blobs:
    """The blobs in `blobs/<algorithm>/<fan>/`; young are those with an mtime (seconds) after `young_after`."""
    found = Blobs({}, [], [])
    below = f"blobs/{algorithm}/{fan}"
    try:
        fd = open_directory(f"{v2}/{below}")
    except OSError as error:
        found.problems.extend(_explain(v2, below, error))
        return found
    length, prefix = ALGORITHMS[algorithm], f"{algorithm}:"
    sizes, look = found.sizes, os.stat
    try:
        for name in os.listdir(fd):
            if len(name) != length or name[:2] != fan or name.strip(HEX):
                path = f"{below}/{name}"
                found.problems.append(Problem("blob-name", printable(path), weigh(f"{v2}/{path}")))
                continue
            try:
                info = look(name + "/data", dir_fd=fd)
            except OSError as error:
                found.problems.extend(_explain(v2, f"{below}/{name}", error, "blob-without-data"))
                continue
            if stat.S_ISREG(info.st_mode):
                digest = prefix + name
                sizes[digest] = info.st_size
                if info.st_mtime > young_after:
                    found.young.append(digest)
            else:
                found.problems.append(Problem("not-a-file", f"{below}/{name}/data"))
    except OSError as error:
        found.problems.extend(_explain(v2, below, error))
    finally:
        os.close(fd)
    return found


def read_tags(v2: str, below: str, names: list[str]) -> Links:
    """What the tags `names` in the directory `below` (…/_manifests/tags) point at."""
    found = Links({}, [], [])
    try:
        fd = open_directory(f"{v2}/{below}")
    except OSError as error:
        found.problems.extend(_explain(v2, below, error))
        return found
    try:
        for name in names:
            _read_link(found, v2, below, name, "current/link", "tag-without-link", fd)
    finally:
        os.close(fd)
    return found


def read_revisions(v2: str, below: str, names: list[str]) -> Revisions:
    """The revisions among the directories `names` in `below` (…/_manifests/revisions/<algorithm>), with manifests.

    A directory without its link is what a deletion leaves: no revision, and no problem.
    """
    links = Links({}, [], [])
    found = Revisions([], {}, links.empty, links.problems)
    try:
        fd = open_directory(f"{v2}/{below}")
    except OSError as error:
        found.problems.extend(_explain(v2, below, error))
        return found
    prefix = f"{below.rpartition('/')[2]}:"
    try:
        for name in names:
            _read_link(links, v2, below, name, "link", "", fd)
    finally:
        os.close(fd)
    for name, target in links.digests.items():
        digest = prefix + name
        if target != digest:
            found.problems.append(Problem("link-mismatch", f"{below}/{name}/link", len(target)))
            continue
        found.digests.append(digest)
        manifest = _read_manifest(v2, digest, found.problems)
        if manifest is not None:
            found.manifests[digest] = manifest
    return found


def read_uploads(v2: str, below: str, names: list[str]) -> Uploads:
    """The uploads among the entries `names` of the directory `below` (…/_uploads)."""
    found = Uploads([], [])
    for name in names:
        path = f"{below}/{name}"
        try:
            started = _stat_or_none(f"{v2}/{path}/startedat")
            data = _stat_or_none(f"{v2}/{path}/data")
        except OSError as error:
            found.problems.extend(_explain(v2, path, error))
            continue
        for part, info in (("startedat", started), ("data", data)):
            if info is not None and not stat.S_ISREG(info.st_mode):
                found.problems.append(Problem("not-a-file", printable(f"{path}/{part}")))
        if data is not None and stat.S_ISREG(data.st_mode):
            found.uploads.append((data.st_dev, data.st_ino, data.st_size))
        elif started is not None and stat.S_ISREG(started.st_mode):
            found.uploads.append((started.st_dev, started.st_ino, 0))
        elif started is None and data is None:
            found.problems.extend(_explain(v2, path, FileNotFoundError(errno.ENOENT, ""), "upload-incomplete"))
    return found


def _stat_or_none(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _read_manifest(v2: str, digest: str, problems: list[Problem]) -> ManifestFacts | None:
    algorithm, _, encoded = digest.partition(":")
    path = f"blobs/{algorithm}/{encoded[:2]}/{encoded}/data"
    try:
        raw = read_regular(f"{v2}/{path}", MAX_MANIFEST_BYTES)
    except NotRegular:
        return None  # already a problem of the blob
    except OverBound:
        problems.append(Problem("manifest-too-large", path, weigh(f"{v2}/{path}")))
        return None
    except OSError as error:
        code = "manifest-missing" if error.errno in (errno.ENOENT, errno.ENOTDIR) else "unreadable"
        problems.append(Problem(code, path))
        return None
    facts = references_of(raw)
    if facts is None:
        problems.append(Problem("manifest-corrupt", path, len(raw)))
    return facts


def _read_link(found: Links, v2: str, below: str, name: str, link: str, absent: str, fd: int) -> None:
    """Adds the digest in `<below>/<name>/<link>` to `found`; `absent` is the problem if it is missing, or none."""
    path = f"{name}/{link}"
    try:
        raw = read_regular(path, MAX_LINK_BYTES, fd)
    except NotRegular:
        found.problems.append(Problem("not-a-file", printable(f"{below}/{path}")))
        return
    except OverBound:
        found.problems.append(Problem("link-corrupt", printable(f"{below}/{path}"), weigh(f"{v2}/{below}/{path}")))
        return
    except OSError as error:
        found.problems.extend(_explain(v2, f"{below}/{name}", error, absent))
        return
    digest = parse_link(raw)
    if digest:
        found.digests[name] = digest
    elif raw.strip():
        found.problems.append(Problem("link-corrupt", printable(f"{below}/{path}"), len(raw)))
    else:
        found.empty.append(name)


def parse_link(raw: bytes) -> str:
    """The digest that a link file holds, or an empty text. White space around it is tolerated."""
    text = raw.strip().decode("ascii", "replace")
    algorithm, _, encoded = text.partition(":")
    if len(encoded) == ALGORITHMS.get(algorithm) and not encoded.strip(HEX):
        return text
    return ""


def _explain(v2: str, below: str, error: OSError, absent: str = "") -> list[Problem]:
    """The problem behind a failed read of the entry `below`, or none if the entry has vanished or lacks nothing."""
    path = f"{v2}/{below}"
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return []
    except OSError:
        return [Problem("unreadable", printable(below))]
    if stat.S_ISLNK(info.st_mode):
        try:
            if leads_to_ancestor(path):
                return [Problem("symlink-loop", printable(below))]
        except OSError:
            return [Problem("symlink-loop" if error.errno == errno.ELOOP else "symlink-broken", printable(below))]
    if error.errno == errno.ENOTDIR and not stat.S_ISDIR(info.st_mode):
        return [Problem("stray-file", printable(below), weigh(path))]
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return [Problem(absent, printable(below), weigh(path))] if absent else []
    return [Problem("unreadable", printable(below))]
