"""The strata bar of the storage page: the registry's parts, and the disk they lie on, to scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from dashboard.charts.bars import segments
from dashboard.models import MeasuredRepository
from dashboard.registry.references import is_repository
from dashboard.services.access import Access

from . import links
from .formats import size

NAMED_IN_BAR = 40
LABELLED_FROM = 0.07
ENLARGED_BELOW = 0.25
"""Where the registry's bytes are less than this part of the disk, they are drawn a second time, enlarged."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the bar: its rectangle in per cent, its texture, and its label where there is room."""

    css: str
    x: str
    width: str
    title: str
    name: str
    bytes: int
    url: str
    labelled: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """A strata bar: its pieces, and what it sums to in bytes."""

    pieces: Sequence[Piece]
    bytes: int
    label: str


@dataclass(frozen=True, slots=True)
class Sums:
    """The parts of a registry in bytes. `metadata`, `other` and `free` are None where nobody can tell."""

    tagged_exclusive: int
    tagged_shared: int
    untagged: int
    orphans: int
    uploads: int
    metadata: int | None
    other: int | None
    free: int | None

    @property
    def data(self) -> int:
        """All data files."""
        return self.tagged_exclusive + self.tagged_shared + self.untagged + self.orphans + self.uploads

    @property
    def whole(self) -> int:
        """What the bar sums to: the disk, or the data files where nobody can tell of the rest."""
        return self.data + (self.metadata or 0) + (self.other or 0) + (self.free or 0)

    @property
    def has_disk(self) -> bool:
        """Whether the parts sum to a file system."""
        return self.free is not None


RawPiece = tuple[str, str, int, str]
"""Texture, name, bytes, address."""


def bars(access: Access, sums: Sums, largest: Sequence[MeasuredRepository]) -> tuple[Bar | None, Bar | None]:
    """The bar of the disk, and that of the registry alone: where the disk cannot be told, or is far larger.

    `largest` are the repositories that may be named, by their exclusive tagged bytes.
    """
    pieces = _pieces(access, sums, largest)
    if not sums.has_disk:
        return None, bar(pieces, sums.data) if sums.data else None
    enlarged = sums.data < ENLARGED_BELOW * sums.whole
    rest: list[RawPiece] = [
        ("meta", _("Metadata"), sums.metadata or 0, ""),
        ("other", _("Other files"), sums.other or 0, ""),
        ("free", _("Free"), sums.free or 0, ""),
    ]
    summed: list[RawPiece] = [("meta", _("The registry"), sums.data, "")] if enlarged else pieces
    return bar([*summed, *rest], sums.whole), bar(pieces, sums.data) if enlarged and sums.data else None


def bar(raw: Sequence[RawPiece], whole: int) -> Bar:
    """A bar of these pieces in their order; those of nothing are left out."""
    shown = [piece for piece in raw if piece[2] > 0]
    drawn = {segment.key: segment for segment in segments([(str(i), piece[2]) for i, piece in enumerate(shown)])}
    pieces = [
        Piece(
            css,
            drawn[str(i)].x,
            drawn[str(i)].width,
            f"{name}: {size(amount)}",
            name,
            amount,
            url,
            labelled=amount / whole >= LABELLED_FROM,
        )
        for i, (css, name, amount, url) in enumerate(shown)
        if str(i) in drawn
    ]
    return Bar(pieces, whole, ", ".join(piece.title for piece in pieces))


def repository_url(access: Access, name: str) -> str:
    """The storage of a repository; none for a name that the disk has and the grammar forbids."""
    return links.repository_storage(access.registry, name) if is_repository(name) else ""


def _pieces(access: Access, sums: Sums, largest: Sequence[MeasuredRepository]) -> list[RawPiece]:
    """The registry's parts: repositories by what they have alone first."""
    named: list[RawPiece] = [
        ("own", row.name, row.tagged_exclusive_bytes, repository_url(access, row.name)) for row in largest
    ]
    rest = sums.tagged_exclusive - sum(piece[2] for piece in named)
    return [
        *named,
        ("own", _("other repositories"), rest, ""),
        ("shared", _("Shared"), sums.tagged_shared, ""),
        ("untagged", _("Untagged"), sums.untagged, links.registry_untagged(access.registry)),
        ("orphan", _("Orphan"), sums.orphans, ""),
        ("upload", _("Uploads"), sums.uploads, ""),
    ]
