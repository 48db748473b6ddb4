"""What the links of layers tell: which repository a blob last belonged to, and which links a collector fails at.

A scan does not read `_layers`: the accounting needs manifests alone. Here every repository's directory is listed once,
one after the other, and nothing is kept of it but what was asked for.
"""

# Paths stay text as the system gave it: names need not be UTF-8, and a scan makes a system call per entry.
# ruff: noqa: PTH208

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import digests, layout
from .facts import Facts, ManifestFacts, RepositoryFacts
from .files import MAX_LINK_BYTES, open_directory, printable, read_regular
from .garbage import Graph

SEVERAL = -1
MAX_BROKEN = 20
_NOTHING = ManifestFacts()
_STORED_AS = "sha256"


@dataclass(slots=True)
class LayerLinks:
    """What is special about a repository's layer links.

    `broken` are paths of those that hold no digest. `doubled` are those under another algorithm that lead to a blob
    which has a link under its own digest too: path and that digest.
    """

    broken: list[str] = field(default_factory=list)
    doubled: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_special(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.broken or self.doubled)


def read_layer_links(v2: str, repository: RepositoryFacts) -> LayerLinks:
    """Opens every layer link of a repository. What vanishes meanwhile is left out."""
    found = LayerLinks()
    base = f"{repository.path}/{layout.LAYERS}"
    for algorithm in _names(f"{v2}/{base}"):
        below = f"{base}/{algorithm}"
        try:
            fd = open_directory(f"{v2}/{below}")
        except OSError:
            continue
        prefix = f"{algorithm}:"
        try:
            for name in os.listdir(fd):
                try:
                    raw = read_regular(f"{name}/link", MAX_LINK_BYTES, fd)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                except OSError:
                    raw = b""
                if raw == (prefix + name).encode():
                    continue
                digest = digests.parse_link(raw)
                if not digest or len(raw) != len(digest) or not layout.is_driver_path(name):
                    if len(found.broken) < MAX_BROKEN:
                        found.broken.append(printable(f"{below}/{name}/link"))
                elif _is_file(f"{v2}/{layout.layer_link(repository.name, digest)}"):
                    found.doubled.append((f"{below}/{name}/link", digest))
        except OSError:
            continue
        finally:
            os.close(fd)
    return found


def sha512_targets(v2: str, facts: Facts, graph: Graph, repository: RepositoryFacts) -> dict[str, set[int]]:
    """By revision: the blobs that serve those of its layers whose digest the blob store does not know.

    A blob pushed as sha512 is stored as sha256; its link under the first digest holds the second.
    """
    if not graph.absent:
        return {}
    found: dict[str, set[int]] = {}
    for revision in repository.revisions:
        content = facts.manifests.get(revision, _NOTHING).content
        for digest in graph.absent.intersection(content):
            algorithm, _, encoded = digest.partition(":")
            if algorithm == _STORED_AS or not digests.is_encoded(algorithm, encoded):
                continue
            try:
                raw = read_regular(f"{v2}/{layout.layer_link(repository.name, digest)}", MAX_LINK_BYTES)
            except OSError:
                continue
            number = graph.number_of(digests.parse_link(raw))
            if number is not None:
                found.setdefault(revision, set()).add(number)
    return found


def last_held(v2: str, facts: Facts, graph: Graph, blobs: set[int]) -> dict[int, int]:
    """Which repository (by its place in the facts) each of `blobs` last belonged to; SEVERAL; left out if unknown.

    A layer or config by its link in `_layers`, a manifest by the directory that a deletion leaves among the revisions;
    what a repository still holds as a revision, by that.
    """
    found: dict[int, int] = {}
    wanted = {graph.digests[number]: number for number in blobs}
    for index, repository in enumerate(facts.repositories):
        held = {number for digest in _once_held(v2, repository, wanted) if (number := wanted.get(digest)) is not None}
        held |= blobs & graph.reached(repository.revisions)
        for number in held:
            found[number] = SEVERAL if number in found else index
    return found


def _once_held(v2: str, repository: RepositoryFacts, wanted: dict[str, int]) -> Iterator[str]:
    for part in (layout.LAYERS, layout.REVISIONS):
        base = f"{v2}/{repository.path}/{part}"
        for algorithm in _names(base):
            if algorithm in digests.ALGORITHMS:
                yield from (d for name in _names(f"{base}/{algorithm}") if (d := f"{algorithm}:{name}") in wanted)


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _is_file(path: str) -> bool:
    return os.path.isfile(path)  # noqa: PTH113
