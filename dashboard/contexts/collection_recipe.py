"""The safe way to free more than a collection alone does, in steps; the first says what there is to delete."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.models import Registry
from dashboard.services.untagged_summary import Amount

from . import links
from .deletion import age_in_words


@dataclass(frozen=True, slots=True)
class Recipe:
    """Images that are untagged for the time of grace (`age`), the bytes that only they need, and where they are.

    `bytes` is None where nobody can tell. `complete`: all repositories of the registry are counted.
    """

    images: int
    bytes: int | None
    age: str
    complete: bool
    untagged_url: str
    trash_url: str


def recipe(registry: Registry, found: Amount, days: int, *, complete: bool) -> Recipe:
    """The view model; `days` of grace."""
    return Recipe(
        images=found.images,
        bytes=found.bytes,
        age=age_in_words(days),
        complete=complete,
        untagged_url=links.registry_untagged(registry, days),
        trash_url=links.trash(registry),
    )
