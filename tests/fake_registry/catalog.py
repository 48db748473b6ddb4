"""Distribution's catalog with its paging defects, as the walk over its directories makes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


class BrokenOff(Exception):
    """3.x panics here: the connection is closed without an answer."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of names, and whether a Link follows it."""

    names: list[str]
    more: bool


@dataclass
class _Walk:
    names: frozenset[str]
    last: str
    size: int
    found: list[str] = field(default_factory=list)
    stopped: bool = False

    def visit(self, directory: str) -> None:
        """A directory's entries in order; its mark (`_layers`, `_manifests`) sorts after digits, before letters."""
        depth = len(directory) + 1 if directory else 0
        below = {
            name[depth:].split("/")[0] for name in self.names if name.startswith(f"{directory}/" if directory else "")
        }
        entries = sorted(below | ({"_"} if directory in self.names else set()))
        for entry in entries:
            if entry == "_":
                if _path_order(self.last) < _path_order(directory):
                    self.found.append(directory)
            elif len(self.found) == self.size:
                self.stopped = True
            else:
                self.visit(f"{directory}/{entry}" if directory else entry)


def page(names: Iterable[str], last: str, size: int, version: str) -> Page:
    """The page of `size` names after `last`. Raises BrokenOff where 3.x panics."""
    walk = _Walk(frozenset(names), last, size)
    walk.visit("")
    if version != "2.8" and len(walk.found) > size:
        raise BrokenOff
    return Page(walk.found[:size], walk.stopped)


def _path_order(name: str) -> str:
    """Distribution's order of `last`: a slash sorts before everything."""
    return name.replace("/", "\x00")
