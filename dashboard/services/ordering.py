"""The order of names for people: numbers by value, so that 1.10 comes after 1.9, and case does not matter first."""

from __future__ import annotations

import re

_PARTS = re.compile(r"(\d+)")
_PRE_RELEASE = re.compile(r"[-.]?(?:alpha|beta|a|b|rc|pre|dev)(?![a-z])")

NaturalKey = tuple[tuple[tuple[int, int, str], ...], str]


def natural_key(name: str) -> NaturalKey:
    """A sort key: runs of digits compare as numbers, a pre-release (`1.2-rc1`) before its release (`1.2`)."""
    parts: list[tuple[int, int, str]] = []
    for index, part in enumerate(_PARTS.split(name.casefold())):
        if index % 2:
            parts.append((2, int(part), part) if len(part) < 30 else (2, 10**30, part))
        elif part:
            is_pre_release = index and _PRE_RELEASE.match(part)
            parts.append((0, 0, part.lstrip("-.")) if is_pre_release else (3, 0, part))
    parts.append((1, 0, ""))
    return tuple(parts), name
