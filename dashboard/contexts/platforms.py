"""Platforms as one box `linux│amd64│arm64`: each operating system once, then what it runs on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .formats import legible

MAX_NAME = 128


@dataclass(frozen=True, slots=True)
class PlatformName:
    """A part of the platform box: an operating system, then its architectures; a missing one is struck through."""

    label: str
    missing: bool
    is_system: bool = False


def platform_box(words: Iterable[str]) -> list[PlatformName]:
    """The parts for words such as `linux/amd64`; one that begins with `!` is not in the registry."""
    by_system: dict[str, list[PlatformName]] = {}
    for word in words:
        system, _, machine = word.removeprefix("!").partition("/")
        parts = by_system.setdefault(system, [])
        if machine:
            parts.append(PlatformName(legible(machine, MAX_NAME), word.startswith("!")))
    return [
        part
        for system, machines in by_system.items()
        for part in (PlatformName(legible(system, MAX_NAME), missing=False, is_system=True), *machines)
    ]
