"""What a deletion would do, as values: one item for each digest, and what holds for all of them. Kept as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dashboard.models import DeletionItem


@dataclass(frozen=True, slots=True)
class Child:
    """A manifest that an index lists. `label`: its platform, or "attestation"."""

    digest: str
    media_type: str
    label: str


@dataclass(frozen=True, slots=True)
class Item:
    """What would happen to one digest and those of its tags that were chosen; without tags an untagged revision.

    `aliases` and `parents` keep the digest: then only the names can go. `missing` is what the registry would want
    before it took the manifest back. `total` are the bytes that it reaches, `frees` those that a collection frees after
    it went; what several items free together counts for the first. `frees_alone`, of an untagged revision, are those
    that are freed where the chosen tags only lose their names.
    `refused` is the code of why nothing can be done, with its parameters in `detail`.
    """

    digest: str
    tags: Sequence[str] = ()
    media_type: str = ""
    kind: str = ""
    platforms: Sequence[str] = ()
    aliases: Sequence[str] = ()
    parents: Sequence[dict[str, Any]] = ()
    children: Sequence[Child] = ()
    kept_children: Sequence[Child] = ()
    missing: Sequence[str] = ()
    total: int = 0
    frees: int = 0
    frees_alone: int = 0
    blobs: int = 0
    refused: str = ""
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def is_restorable(self) -> bool:
        """Whether the registry would take the manifest back now."""
        return not self.missing


@dataclass(frozen=True, slots=True)
class Referrer:
    """A signature, attestation or SBOM of a digest that goes. `tags` name it; without tags only its digest does."""

    digest: str
    tags: Sequence[str]
    about: str
    artifact_type: str


@dataclass(frozen=True, slots=True)
class Effect:
    """The whole of a plan. Sizes in bytes.

    `unread` are tags and indexes that could not be read, so that nobody can say what they need: then nothing but names
    goes. `referrers` belong to digests that go, and stay unless they are taken along. `leaves` is what throw-away
    images leave behind until a collection. `exact`: the bytes were counted against all that the storage holds, else
    they are "at most". `needed_by` counts other tags that need what is not freed. `whole`: nothing of the repository
    remains but its name.
    """

    ability: str
    items: Sequence[Item]
    unread: Sequence[str] = ()
    referrers: Sequence[Referrer] = ()
    takes_referrers: bool = False
    total: int = 0
    frees: int = 0
    leaves: int = 0
    needed_by: int = 0
    exact: bool = False
    whole: bool = False

    @property
    def possible(self) -> list[Item]:
        """The items that are not refused."""
        return [item for item in self.items if not item.refused]

    def can_remove(self, item: Item) -> bool:
        """Whether the digest may go with its tags: nothing else needs it, and everything was read."""
        return not (item.refused or item.aliases or item.parents or self.unread)

    def frees_by(self, item: Item, method: str) -> int:
        """Bytes that a collection frees after the item was dealt with by `method`."""
        if not self.can_remove(item):
            return 0
        if method == DeletionItem.Method.REMOVE:
            return item.frees
        return 0 if item.tags else item.frees_alone

    @property
    def methods(self) -> list[str]:
        """What is offered, the default first. A revision without tags can only be removed."""
        if not any(self.can_remove(item) for item in self.possible):
            return [DeletionItem.Method.UNTAG]
        if not any(item.tags for item in self.possible):
            return [DeletionItem.Method.REMOVE]
        return [DeletionItem.Method.REMOVE, DeletionItem.Method.UNTAG]

    @property
    def is_restorable(self) -> bool:
        """Whether all that would be removed could be brought back now."""
        return all(item.is_restorable for item in self.possible if self.can_remove(item))

    def as_json(self) -> dict[str, Any]:
        """For the plan's row."""
        return asdict(self)


def from_json(stored: dict[str, Any]) -> Effect:
    """The effect that a plan's row keeps."""
    items = [
        Item(
            **row
            | {
                "children": [Child(**child) for child in row["children"]],
                "kept_children": [Child(**child) for child in row["kept_children"]],
            }
        )
        for row in stored["items"]
    ]
    return Effect(**stored | {"items": items, "referrers": [Referrer(**row) for row in stored["referrers"]]})
