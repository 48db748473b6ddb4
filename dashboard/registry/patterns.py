"""Patterns of repository names, as access rules have them.

A pattern is a name in whose components one `*` each may stand for any characters but `/`; `**` as the last component
stands for one component or more. So `**` is every repository, `team-a/**` all below `team-a`, `team-a/*` those right
below it, `team-*/api` one of several teams.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

EVERY = "**"
MAX_PATTERN = 255

_COMPONENT = re.compile(r"[a-z0-9._-]*\*?[a-z0-9._-]*", re.ASCII)


class InvalidPattern(ValueError):
    """Not a pattern; it could match no repository, or nobody could tell which."""


def parse_pattern(text: str) -> str:
    """The pattern as it is kept. Raises InvalidPattern."""
    pattern = text.strip().strip("/")
    if not pattern or len(pattern) > MAX_PATTERN:
        raise InvalidPattern(text)
    *first, last = pattern.split("/")
    if any(not part or not _COMPONENT.fullmatch(part) for part in first):
        raise InvalidPattern(text)
    if last != EVERY and not (last and _COMPONENT.fullmatch(last)):
        raise InvalidPattern(text)
    return pattern


def matches(pattern: str, name: str) -> bool:
    """Whether the whole of `name` is like the pattern."""
    return _matcher(pattern)(name)


def covers(pattern: str, other: str) -> bool:
    """Whether every name like `other` is like `pattern`, part by part; where that is not plain, False."""
    parts, others = pattern.split("/"), other.split("/")
    if parts[-1] == EVERY:
        return len(others) >= len(parts) and all(map(_part_covers, parts[:-1], others))
    return others[-1] != EVERY and len(others) == len(parts) and all(map(_part_covers, parts, others))


def literal(pattern: str) -> str:
    """What every name like the pattern begins with."""
    return pattern.partition("*")[0]


def expression(pattern: str) -> str:
    """A regular expression for the same names, in what Python and PostgreSQL both understand.

    One star in a component cannot make it try again: nothing but the text right behind the star is looked for.
    """
    return f"^{'/'.join('.+' if part == EVERY else _component(part) for part in pattern.split('/'))}$"


def _component(text: str) -> str:
    before, star, after = text.partition("*")
    return re.escape(before) + ("[^/]*" if star else "") + re.escape(after)


def _part_covers(part: str, other: str) -> bool:
    """The same of one part of each, neither of them EVERY."""
    before, star, after = part.partition("*")
    its_before, its_star, its_after = other.partition("*")
    if not star:
        return part == other
    if not its_star:
        return len(other) >= len(before) + len(after) and other.startswith(before) and other.endswith(after)
    return its_before.startswith(before) and its_after.endswith(after)


@lru_cache(maxsize=1024)
def _matcher(pattern: str) -> Callable[[str], bool]:
    if pattern == EVERY:
        return lambda _name: True
    compiled = re.compile(expression(pattern).removeprefix("^").removesuffix("$"))
    return lambda name: compiled.fullmatch(name) is not None
