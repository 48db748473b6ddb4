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

from .digests import ALGORITHMS, HEX, parse_link
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
from .references import References, references_of

FoundProblem = tuple[str, str, int]  # the fields of facts.Problem
FoundLinks = tuple[dict[str, str], list[str], list[FoundProblem]]  # name to digest; names with an empty link
Upload = tuple[int, int, int, float]  # device, inode of what identifies it; bytes of its data; when it began

AS_REMEMBERED: tuple[()] = ()


def list_blobs(
    v2: str, algorithm: str, fan: str, young_after: float
) -> tuple[dict[str, int], list[str], list[FoundProblem]]:
    """The blobs in `blobs/<algorithm>/<fan>/`: digest to bytes, the young ones, and problems.

    Young are those with an mtime (seconds since the epoch) after `young_after`.
    """
    sizes: dict[str, int] = {}
    young: list[str] = []
    problems: list[FoundProblem] = []
    below = f"blobs/{algorithm}/{fan}"
    length, prefix, look, regular = ALGORITHMS[algorithm], f"{algorithm}:", os.stat, stat.S_ISREG
    try:
        fd = open_directory(f"{v2}/{below}")
    except OSError as error:
        return sizes, young, _explain(v2, below, error)
    try:
        for name in os.listdir(fd):
            if len(name) != length or name[:2] != fan or name.strip(HEX):
                path = f"{below}/{name}"
                problems.append(("blob-name", printable(path), weigh(f"{v2}/{path}")))
                continue
            try:
                info = look(name + "/data", dir_fd=fd)
            except OSError as error:
                problems.extend(_explain(v2, f"{below}/{name}", error, "blob-without-data"))
                continue
            if regular(info.st_mode):
                digest = prefix + name
                sizes[digest] = info.st_size
                if info.st_mtime > young_after:
                    young.append(digest)
            else:
                problems.append(("not-a-file", f"{below}/{name}/data", 0))
    except OSError as error:
        problems.extend(_explain(v2, below, error))
    finally:
        os.close(fd)
    return sizes, young, problems


def read_tags(v2: str, below: str, names: list[str]) -> FoundLinks:
    """What the tags `names` in the directory `below` (…/_manifests/tags) point at."""
    return _read_links(v2, below, names, "current/link", "tag-without-link")


def read_revisions(
    v2: str, below: str, names: list[str], remembered: frozenset[str] = frozenset()
) -> tuple[dict[str, References | tuple[()] | None], list[str], list[FoundProblem]]:
    """The revisions among the directories `names` in `below` (…/_manifests/revisions/<algorithm>).

    Returns digest to what its manifest refers to (None where that cannot be read), the names whose link was empty, and
    problems. A directory without its link is what a deletion leaves: no revision, and no problem. Of the names in
    `remembered` neither manifest nor link is opened: a link that is there and as long as its digest holds it. Their
    value is AS_REMEMBERED.
    """
    prefix = f"{below.rpartition('/')[2]}:"
    revisions: dict[str, References | tuple[()] | None] = {}
    if remembered:
        standing = _standing(v2, below, remembered, len(prefix))
        revisions.update((prefix + name, AS_REMEMBERED) for name in standing)
        names = [name for name in names if name not in standing]
    links, empty, problems = _read_links(v2, below, names, "link", "")
    for name, target in links.items():
        digest = prefix + name
        if target == digest:
            revisions[digest] = _read_manifest(v2, digest, problems)
        else:
            problems.append(("link-mismatch", f"{below}/{name}/link", len(target)))
    return revisions, empty, problems


def read_uploads(v2: str, below: str, names: list[str]) -> tuple[list[Upload], list[FoundProblem]]:
    """The uploads among the entries `names` of the directory `below` (…/_uploads), and problems."""
    uploads: list[Upload] = []
    problems: list[FoundProblem] = []
    for name in names:
        path = f"{below}/{name}"
        try:
            started = _stat_or_none(f"{v2}/{path}/startedat")
            data = _stat_or_none(f"{v2}/{path}/data")
        except OSError as error:
            problems.extend(_explain(v2, path, error))
            continue
        for part, info in (("startedat", started), ("data", data)):
            if info is not None and not stat.S_ISREG(info.st_mode):
                problems.append(("not-a-file", printable(f"{path}/{part}"), 0))
        began = started.st_mtime if started is not None else data.st_mtime if data is not None else 0.0
        if data is not None and stat.S_ISREG(data.st_mode):
            uploads.append((data.st_dev, data.st_ino, data.st_size, began))
        elif started is not None and stat.S_ISREG(started.st_mode):
            uploads.append((started.st_dev, started.st_ino, 0, began))
        elif started is None and data is None:
            problems.extend(_explain(v2, path, FileNotFoundError(errno.ENOENT, ""), "upload-incomplete"))
    return uploads, problems


def _stat_or_none(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _read_manifest(v2: str, digest: str, problems: list[FoundProblem]) -> References | None:
    algorithm, _, encoded = digest.partition(":")
    path = f"blobs/{algorithm}/{encoded[:2]}/{encoded}/data"
    try:
        raw = read_regular(f"{v2}/{path}", MAX_MANIFEST_BYTES)
    except NotRegular:
        return None  # already a problem of the blob
    except OverBound:
        problems.append(("manifest-too-large", path, weigh(f"{v2}/{path}")))
        return None
    except OSError as error:
        code = "manifest-missing" if error.errno in (errno.ENOENT, errno.ENOTDIR) else "unreadable"
        problems.append((code, path, 0))
        return None
    references = references_of(raw)
    if references is None:
        problems.append(("manifest-corrupt", path, len(raw)))
    return references


def _standing(v2: str, below: str, names: frozenset[str], prefix_length: int) -> set[str]:
    """Those of `names` whose link is a regular file as long as their digest; by a look at each alone."""
    found: set[str] = set()
    try:
        fd = open_directory(f"{v2}/{below}")
    except OSError:
        return found
    look, regular = os.stat, stat.S_ISREG
    try:
        for name in names:
            try:
                info = look(name + "/link", dir_fd=fd)
            except OSError:
                continue  # read and explained with the others
            if info.st_size == prefix_length + len(name) and regular(info.st_mode):
                found.add(name)
    finally:
        os.close(fd)
    return found


def _read_links(v2: str, below: str, names: list[str], link: str, absent: str) -> FoundLinks:
    """The digests in `<below>/<name>/<link>`; `absent` is the problem where there is none, or empty."""
    digests: dict[str, str] = {}
    empty: list[str] = []
    problems: list[FoundProblem] = []
    try:
        fd = open_directory(f"{v2}/{below}")
    except OSError as error:
        return digests, empty, _explain(v2, below, error)
    try:
        for name in names:
            try:
                raw = read_regular(f"{name}/{link}", MAX_LINK_BYTES, fd)
            except NotRegular:
                problems.append(("not-a-file", f"{below}/{name}/{link}", 0))
                continue
            except OverBound:
                path = f"{below}/{name}/{link}"
                problems.append(("link-corrupt", path, weigh(f"{v2}/{path}")))
                continue
            except OSError as error:
                problems.extend(_explain(v2, f"{below}/{name}", error, absent))
                continue
            digest = parse_link(raw)
            if digest:
                digests[name] = digest
                if len(raw) != len(digest):  # the registry itself does not tolerate white space
                    problems.append(("link-padded", f"{below}/{name}/{link}", len(raw)))
            elif raw.strip():
                problems.append(("link-corrupt", f"{below}/{name}/{link}", len(raw)))
            else:
                empty.append(name)
    finally:
        os.close(fd)
    return digests, empty, problems


def _explain(v2: str, below: str, error: OSError, absent: str = "") -> list[FoundProblem]:
    """The problem behind a failed read of the entry `below`, or none if the entry has vanished or lacks nothing."""
    path = f"{v2}/{below}"
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return []
    except OSError:
        return [("unreadable", printable(below), 0)]
    if stat.S_ISLNK(info.st_mode):
        try:
            if leads_to_ancestor(path):
                return [("symlink-loop", printable(below), 0)]
        except OSError:
            return [("symlink-loop" if error.errno == errno.ELOOP else "symlink-broken", printable(below), 0)]
    if error.errno == errno.ENOTDIR and not stat.S_ISDIR(info.st_mode):
        return [("stray-file", printable(below), weigh(path))]
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return [(absent, printable(below), weigh(path))] if absent else []
    return [("unreadable", printable(below), 0)]
