"""What the registry's garbage collector meets on the disk beyond the facts of a scan: above all, what it stops at.

A scan tolerates what is malformed and reports it; the collector ends with an error at most of it, and removes nothing
or half of it. So every problem of a scan is looked at once more here as the collector looks at it. Read in Distribution
2.8.2 and 3.1.1 (registry/storage: garbagecollect.go, catalog.go, tagstore.go, blobstore.go, linkedblobstore.go,
driver/walk.go) and held against both programs by tests.
"""

# Paths stay text as the system gave it: names need not be UTF-8, and a scan makes a system call per entry.
# ruff: noqa: PTH112, PTH110, PTH208

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from dashboard.registry.references import MAX_REPOSITORY_LENGTH

from . import digests, layout
from .facts import Facts, Problem, RepositoryFacts
from .files import MAX_LINK_BYTES, NotRegular, OverBound, read_regular
from .references import LEGACY

_MAX_BELOW = 1000
_TAG_PROBLEM = re.compile(rf"(repositories/.+?/{layout.TAGS})/([^/]+)(?:/.*)?", re.DOTALL)
_REVISION_PROBLEM = re.compile(rf"repositories/(.+?)/{layout.REVISIONS}/.+", re.DOTALL)
_DIRECTORY = re.compile(rf"repositories/(.+?)/(?:{layout.MANIFESTS}|{layout.REVISIONS}|{layout.TAGS})", re.DOTALL)
_UNCERTAIN = frozenset(("unreadable", "too-many-problems", "too-many-symlinks"))


class Family(StrEnum):
    """Which collector: that of Distribution 2.x, which still runs most registries, or that of 3.x."""

    TWO = "2.8"
    THREE = "3.x"


BOTH = (Family.TWO, Family.THREE)
THREE = (Family.THREE,)
TWO = (Family.TWO,)


class Stop(NamedTuple):
    """Why a collection ends with an error. `path` is below v2; `after` what it has removed by then.

    `after` is empty (nothing yet), "manifests" (with -m the untagged manifests, or some), or "blobs" (all it removes).
    `real_only`: the dry run does not meet it.
    """

    code: str
    repository: str
    path: str
    after: str = ""
    real_only: bool = False


class Fault(NamedTuple):
    """A stop, and whose it is: which collectors, and whether only with -m."""

    stop: Stop
    families: tuple[Family, ...] = BOTH
    untagged_only: bool = False


@dataclass(slots=True)
class Place:
    """One repository as the collector meets it.

    `live` are its revisions whose manifest is on the disk, in the order they are read; `current` is what its tags point
    at now, malformed names of tags included. `faults` count only if the collector comes here, those of `tag_faults`
    only with -m and where there is a revision to ask about. `twice`: live revisions that a link of another one's
    directory names too, with its path.
    """

    repository: RepositoryFacts
    live: list[str]
    current: set[str]
    has_tags: bool = True
    is_cut_off: bool = False
    faults: list[Fault] = field(default_factory=list)
    tag_faults: list[Fault] = field(default_factory=list)
    twice: dict[str, str] = field(default_factory=dict)

    def is_seen(self, family: Family) -> bool:
        """Whether this collector comes here."""
        if family is Family.TWO:
            return self.repository.has_layers and not self.is_cut_off
        return self.repository.has_manifests


@dataclass(slots=True)
class Ground:
    """All repositories, faults outside of them, and whether something could not be looked at."""

    places: list[Place]
    faults: list[Fault]
    is_uncertain: bool


def survey(v2: str, facts: Facts) -> Ground:
    """Looks at what the scan of `v2` left open. Never raises for what is on the disk."""
    cut = _cut_directories(facts)
    places = {
        repository.path: Place(
            repository,
            live=[digest for digest in sorted(repository.revisions) if digest in facts.blobs],
            current=set(repository.tags.values()),
            is_cut_off=_is_cut_off(repository.path, cut),
        )
        for repository in facts.repositories
    }
    ground = Ground([], [], is_uncertain=any(problem.code in _UNCERTAIN for problem in facts.problems))
    for name in ("repositories", "blobs"):
        if not os.path.isdir(f"{v2}/{name}"):
            after = "manifests" if name == "blobs" else ""
            ground.faults.append(Fault(Stop("root-missing", "", name, after)))
    for problem in facts.problems:
        _look_at(v2, problem, places, ground)
    for place in places.values():
        _look_into(v2, place)
    ground.places = list(places.values())
    return ground


def unread(facts: Facts, place: Place) -> dict[str, Fault]:
    """Those of the live revisions that a collector cannot read as manifests, if it comes to read them."""
    found: dict[str, Fault] = {}
    for digest in place.live:
        manifest = facts.manifests.get(digest)
        if manifest is None or manifest.unread:
            is_legacy = manifest is not None and manifest.unread == LEGACY
            code = "manifest-legacy" if is_legacy else "manifest-unread"
            path = layout.revision_link(place.repository.name, digest)
            found[digest] = Fault(Stop(code, place.repository.name, path), THREE if is_legacy else BOTH)
    return found


def _look_into(v2: str, place: Place) -> None:
    repository = place.repository
    name, path = repository.name, repository.path
    if repository.has_manifests and not repository.has_layers:
        place.faults.append(Fault(Stop("no-layers", name, f"{path}/{layout.LAYERS}"), THREE))
    if place.live and not repository.tags:
        place.has_tags = os.path.isdir(f"{v2}/{path}/{layout.TAGS}")
        if not place.has_tags and not place.tag_faults:
            place.tag_faults.append(Fault(Stop("no-tags", name, f"{path}/{layout.TAGS}"), TWO, untagged_only=True))


def _look_at(v2: str, problem: Problem, places: dict[str, Place], ground: Ground) -> None:
    path = problem.path
    if path.startswith("blobs/"):
        ground.faults.extend(_blob_faults(v2, problem))
    elif problem.code == "repository-name":
        if len(path) > len("repositories/") + MAX_REPOSITORY_LENGTH:
            ground.is_uncertain = True  # 3.x does not count a first component that could be a host
        ground.faults.extend(_name_faults(v2, problem))
    elif (tag := _TAG_PROBLEM.fullmatch(path)) and (place := places.get(tag[1].removesuffix(f"/{layout.TAGS}"))):
        _look_at_tag(v2, f"{tag[1]}/{tag[2]}/current/link", place)
    elif (revision := _REVISION_PROBLEM.fullmatch(path)) and (place := places.get(f"repositories/{revision[1]}")):
        for link in _files_called("link", v2, path):
            _look_at_revision(v2, link, place)
    elif problem.code in ("stray-file", "not-a-file") and (found := _DIRECTORY.fullmatch(path)):
        _look_at_directory(Stop("not-a-directory", found[1], path), places, ground)
    elif problem.code == "symlink-loop" and "/_" not in path:
        ground.faults.append(Fault(Stop("symlink-loop", "", path)))


def _look_at_directory(stop: Stop, places: dict[str, Place], ground: Ground) -> None:
    """A file where one of a repository's own directories should be."""
    place = places.get(f"repositories/{stop.repository}")
    if stop.path.endswith(f"/{layout.MANIFESTS}"):
        ground.faults.append(Fault(stop, THREE))
        if place is not None:
            place.faults.append(Fault(stop, TWO))
    elif place is not None and stop.path.endswith(f"/{layout.TAGS}"):
        place.tag_faults.append(Fault(stop, untagged_only=True))
    elif place is not None:
        place.faults.append(Fault(stop))


def _look_at_revision(v2: str, link: str, place: Place) -> None:
    """Reads a revision's link as the collector does: a bad one ends the run, one that names another is that once more.

    What is listed twice is removed twice; the second time it is not there, and the run ends.
    """
    digest = _link_of(v2, link)
    if digest is None:
        place.faults.append(Fault(Stop("revision-link", place.repository.name, link)))
    elif digest in place.live:
        place.live.append(digest)
        place.live.sort()
        place.twice[digest] = link


def _look_at_tag(v2: str, link: str, place: Place) -> None:
    """Reads a tag's link as the collector does: one that is not there does not matter, a bad one ends the run."""
    try:
        digest = _link_of(v2, link)
    except FileNotFoundError:
        return
    if digest is None:
        fault = Fault(Stop("tag-link", place.repository.name, link), untagged_only=True)
        if fault not in place.tag_faults:
            place.tag_faults.append(fault)
    else:
        place.current.add(digest)


def _link_of(v2: str, link: str) -> str | None:
    """The digest in a link, to the letter; None where the collector fails. Raises FileNotFoundError."""
    if not layout.is_driver_path(link):
        return None
    try:
        raw = read_regular(f"{v2}/{link}", MAX_LINK_BYTES)
    except FileNotFoundError:
        raise
    except (NotRegular, OverBound, OSError):
        return None
    digest = digests.parse_link(raw)
    return digest if digest and len(raw) == len(digest) else None


def _blob_faults(v2: str, problem: Problem) -> Iterator[Fault]:
    if problem.code == "symlink-loop":
        yield Fault(Stop("symlink-loop", "", problem.path, "manifests"))
    elif problem.code in ("blob-name", "stray-file", "blob-without-data"):
        for path in _files_called("data", v2, problem.path):
            if not _is_blob_path(path):
                yield Fault(Stop("blob-path", "", path, "manifests"))
                return


def _is_blob_path(path: str) -> bool:
    """Whether the collector takes a digest from this path of a `data` file (registry/storage/paths.go)."""
    parts = path.split("/")[:-1]
    if len(parts) < 3:
        return False
    encoded, above = parts[-1], parts[-2]
    algorithm = parts[-3] if above == encoded[:2] else above
    return digests.is_encoded(algorithm, encoded)


def _name_faults(v2: str, problem: Problem) -> Iterator[Fault]:
    """Directories that make a repository of a name that no repository may have, at the path of a problem or below."""
    for reserved, family in ((layout.LAYERS, TWO), (layout.MANIFESTS, THREE)):
        if not os.path.isdir(f"{v2}/{problem.path}") or _has_below(f"{v2}/{problem.path}", reserved):
            name = problem.path.removeprefix("repositories/")
            yield Fault(Stop("repository-name", name, problem.path), family)


def _has_below(path: str, reserved: str) -> bool:
    pending = [path]
    for _ in range(_MAX_BELOW):
        if not pending:
            return False
        current = pending.pop()
        try:
            names = os.listdir(current)
        except OSError:
            continue
        if reserved in names:
            return True
        pending.extend(f"{current}/{name}" for name in names if not name.startswith("_"))
    return True


def _files_called(wanted: str, v2: str, below: str) -> Iterator[str]:
    """Paths (below v2) of what is called `wanted` and is no directory, at `below` and under it; bounded."""
    pending = [below]
    for _ in range(_MAX_BELOW):
        if not pending:
            return
        current = pending.pop()
        path = f"{v2}/{current}"
        if os.path.isdir(path):
            try:
                with os.scandir(path) as entries:
                    pending.extend(f"{current}/{entry.name}" for entry in itertools.islice(entries, _MAX_BELOW))
            except OSError:
                continue
        elif current.rpartition("/")[2] == wanted and os.path.exists(path):
            yield current


def _cut_directories(facts: Facts) -> list[tuple[str, str]]:
    """Where 2.8 stops to list a directory of repositories: at a file whose name begins with `_`.

    Its walk takes "skip this directory", given for such a name, as the end of the directory where it is a file: what
    comes after it by name is not collected from, so that all its blobs count as unmarked (driver/walk.go, 2.8.2).
    """
    found = []
    for problem in facts.problems:
        directory, _, name = problem.path.rpartition("/")
        is_outside = directory.startswith("repositories") and "/_" not in directory
        if problem.code == "stray-file" and is_outside and name.startswith("_"):
            found.append((directory, name))
    return found


def _is_cut_off(path: str, cut: list[tuple[str, str]]) -> bool:
    for directory, name in cut:
        if path == directory or path.startswith(f"{directory}/"):
            following = path[len(directory) + 1 :].partition("/")[0] or layout.LAYERS
            if following > name:
                return True
    return False
