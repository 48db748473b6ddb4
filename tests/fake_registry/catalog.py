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
    is_old: bool
    found: list[str] = field(default_factory=list)
    stopped: bool = False

    def visit(self, directory: str) -> None:
        """A directory's entries in order; its mark (`_layers`, `_manifests`) sorts after digits, before letters."""
        prefix = f"{directory}/" if directory else ""
        below = {name[len(prefix) :].split("/")[0] for name in self.names if name.startswith(prefix)} - {""}
        for entry in sorted(below | ({_MARK} if directory in self.names else set())):
            if self.stopped and not self.is_old:
                return  # 2.8 goes on, and skips only directories
            if self._is_before_last(f"{prefix}{entry}"):
                continue
            if entry == _MARK:
                if _path_order(self.last) < _path_order(directory):
                    self.found.append(directory)
                    if len(self.found) > self.size and not self.is_old:
                        raise BrokenOff
            elif len(self.found) == self.size:
                self.stopped = True
            else:
                self.visit(f"{prefix}{entry}")

    def _is_before_last(self, path: str) -> bool:
        """3.x passes over what its walk met before `last`; 2.8 walks it all again."""
        if self.is_old or not self.last:
            return False
        hint, parts = [*self.last.split("/"), _MARK], path.split("/")
        return parts <= hint and parts != hint[: len(parts)]


_MARK = "_"


def page(names: Iterable[str], last: str, size: int, version: str) -> Page:
    """The page of `size` names after `last`. Raises BrokenOff where 3.x panics."""
    walk = _Walk(frozenset(names), last, size, version == "2.8")
    walk.visit("")
    return Page(walk.found[:size], walk.stopped)


def _path_order(name: str) -> str:
    """Distribution's order of `last`: a slash sorts before everything."""
    return name.replace("/", "\x00")
