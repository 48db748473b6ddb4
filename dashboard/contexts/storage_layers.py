"""The largest blobs on the disk, with the step that made each and who holds it; and layers that are stored twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.models import LargeBlob, Registry
from dashboard.registry.references import is_repository
from dashboard.services.usage.overview import Largest

from . import links
from .formats import count, legible
from .layers import instruction_of


@dataclass(frozen=True, slots=True)
class Holder:
    """A repository that reaches a blob."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class BlobLine:
    """A blob: what made it, where its page is, who holds it ("12 tags", "and 3 other repositories")."""

    verb: str
    instruction: str
    digest: str
    url: str
    kind: str
    state: str
    holders: Sequence[Holder]
    others: str
    tags: str
    bytes: int


@dataclass(frozen=True, slots=True)
class TwiceLine:
    """The same content under several digests; `bytes` is what one copy alone would save."""

    diff_id: str
    digests: Sequence[str]
    bytes: int


def blob_lines(registry: Registry, found: Largest) -> list[BlobLine]:
    """The lines of these blobs, in their order."""
    return [_line(registry, blob, found.made_by.get(blob.digest, "")) for blob in found.blobs]


def twice_lines(report: Mapping[str, Any]) -> list[TwiceLine]:
    """What the last scan found stored several times, the largest saving first."""
    return [
        TwiceLine(row["diff_id"], row["digests"], row["bytes"])
        for row in report.get("duplicates", {}).get("largest", [])
    ]


def _line(registry: Registry, blob: LargeBlob, created_by: str) -> BlobLine:
    holders = [
        Holder(legible(name, 100), links.repository_storage(registry, name) if is_repository(name) else "")
        for name in blob.repositories[:2]
    ]
    more = blob.repository_count - len(holders)
    verb, instruction = instruction_of(created_by)
    first = next((name for name in blob.repositories if is_repository(name)), "")
    return BlobLine(
        verb=verb,
        instruction=instruction,
        digest=blob.digest,
        url=links.blob(registry, first, blob.digest) if first else "",
        kind=blob.kind,
        state={"untagged": _("untagged"), "orphan": _("orphan")}.get(blob.kind, ""),
        holders=holders,
        others=ngettext("and %(n)s other repository", "and %(n)s other repositories", more) % {"n": count(more)}
        if more > 0
        else "",
        tags=ngettext("%(n)s tag", "%(n)s tags", blob.tag_count) % {"n": count(blob.tag_count)}
        if blob.tag_count
        else "",
        bytes=blob.bytes,
    )
