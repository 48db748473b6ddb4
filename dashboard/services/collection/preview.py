"""The preview of collections, kept from each scan, and the collections that a scan notices.

Report: {ways: [{family, untagged, blobs, bytes, manifests, stops: [{code, repository, path, after, real_only}], hurts:
[{kind, revisions, repositories, blobs, bytes, named: [{repository, digest, tags}]}], by_repository: [{name, blobs,
bytes}], more: {repositories, blobs, bytes}, several: {blobs, bytes}, unknown: {blobs, bytes}}], is_uncertain}. By
repository, several and unknown sum to the whole.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.utils import timezone

from dashboard.models import Collection, CollectionPreview, Registry
from dashboard.storage import layout
from dashboard.storage.collection import Family, Outcome, preview
from dashboard.storage.facts import Facts
from dashboard.storage.garbage import Graph
from dashboard.storage.last_held import SEVERAL, last_held

logger = logging.getLogger(__name__)

MAX_REPOSITORIES = 500
MAX_NOTED = 20_000
"""Orphans that are remembered for the next scan. Digests are evenly spread: the lowest are a fair sample."""
NOTICED_SHARE = 0.5
_PREFIX, _DIGEST_BYTES, _SIZE_BYTES = "sha256:", 32, 8


def after_scan(
    registry: Registry, facts: Facts, graph: Graph, *, root: Path, began: dt.datetime, alive: Callable[[], None]
) -> None:
    """Keeps what collections would do by this scan, and notes one that happened outside since the scan before."""
    v2 = str(layout.v2_directory(root).absolute())
    started = time.perf_counter()
    before = CollectionPreview.objects.filter(registry=registry).first()
    if before is not None:
        _notice(registry, before, facts, began)
    alive()
    report, orphans = look(v2, facts, graph)
    alive()
    CollectionPreview.objects.update_or_create(
        registry=registry,
        defaults={
            "read_at": began,
            "seconds": time.perf_counter() - started,
            "report": report,
            "orphans": _packed({graph.digests[number]: graph.sizes[number] for number in orphans}),
        },
    )


def look(v2: str, facts: Facts, graph: Graph) -> tuple[dict[str, Any], set[int]]:
    """The report, and the orphans: what no revision at all reaches."""
    seen = preview(v2, facts, graph)
    every: set[int] = set().union(*(outcome.blobs for outcome in seen.outcomes))
    held = last_held(v2, facts, graph, every)
    names = [repository.name for repository in facts.repositories]
    report = {
        "ways": [_way(outcome, graph, held, names) for outcome in seen.outcomes],
        "is_uncertain": any(outcome.is_uncertain for outcome in seen.outcomes),
    }
    plain = [outcome.blobs for outcome in seen.outcomes if not outcome.untagged]
    return report, set.intersection(*plain)


def latest(registry: Registry) -> CollectionPreview | None:
    """What the last scan said."""
    return CollectionPreview.objects.filter(registry=registry).defer("orphans").first()


def way_of(report: Mapping[str, Any], family: Family, *, untagged: bool) -> dict[str, Any] | None:
    """One way to collect."""
    ways: list[dict[str, Any]] = report.get("ways", [])
    return next((way for way in ways if way["family"] == family and way["untagged"] is untagged), None)


def _way(outcome: Outcome, graph: Graph, held: dict[int, int], names: list[str]) -> dict[str, Any]:
    sums: dict[int | None, list[int]] = {}
    for number in outcome.blobs:
        entry = sums.setdefault(held.get(number), [0, 0])
        entry[0] += 1
        entry[1] += graph.sizes[number]
    several, unknown = sums.pop(SEVERAL, [0, 0]), sums.pop(None, [0, 0])
    rows = [(names[index], blobs, occupied) for index, (blobs, occupied) in sums.items() if index is not None]
    rows.sort(key=lambda row: (-row[2], row[0]))
    rest = rows[MAX_REPOSITORIES:]
    return {
        "family": str(outcome.family),
        "untagged": outcome.untagged,
        "blobs": outcome.freed.count,
        "bytes": outcome.freed.bytes,
        "manifests": len(outcome.manifests),
        "stops": [stop._asdict() for stop in outcome.stops],
        "hurts": [
            {
                "kind": hurt.kind,
                "revisions": hurt.revisions,
                "repositories": hurt.repositories,
                "blobs": hurt.lost.count,
                "bytes": hurt.lost.bytes,
                "named": [
                    {"repository": named.repository, "digest": named.digest, "tags": list(named.tags)}
                    for named in hurt.named
                ],
            }
            for hurt in outcome.hurts
        ],
        "by_repository": [
            {"name": name, "blobs": blobs, "bytes": occupied} for name, blobs, occupied in rows[:MAX_REPOSITORIES]
        ],
        "more": {
            "repositories": len(rest),
            "blobs": sum(row[1] for row in rest),
            "bytes": sum(row[2] for row in rest),
        },
        "several": {"blobs": several[0], "bytes": several[1]},
        "unknown": {"blobs": unknown[0], "bytes": unknown[1]},
    }


def _packed(orphans: dict[str, int]) -> bytes:
    some = sorted(digest for digest in orphans if digest.startswith(_PREFIX))[:MAX_NOTED]
    return b"".join(
        bytes.fromhex(digest.removeprefix(_PREFIX)) + orphans[digest].to_bytes(_SIZE_BYTES, "little") for digest in some
    )


def _unpacked(packed: bytes) -> dict[str, int]:
    step = _DIGEST_BYTES + _SIZE_BYTES
    pieces = [packed[start : start + step] for start in range(0, len(packed), step)]
    return {
        f"{_PREFIX}{piece[:_DIGEST_BYTES].hex()}": int.from_bytes(piece[_DIGEST_BYTES:], "little") for piece in pieces
    }


def _notice(registry: Registry, before: CollectionPreview, facts: Facts, began: dt.datetime) -> None:
    """Half of the orphans of the last scan are gone from the disk: somebody collected, if not we."""
    known = _unpacked(bytes(before.orphans))
    gone = [digest for digest in known if digest not in facts.blobs]
    if not gone or len(gone) < NOTICED_SHARE * len(known):
        return
    ours = Collection.objects.filter(registry=registry, began_at__lt=began).exclude(state=Collection.State.NOTICED)
    if ours.exclude(ended_at__lt=before.read_at).exists():
        return
    logger.info("a garbage collection of %s was noticed", registry.slug)
    Collection.objects.create(
        registry=registry,
        state=Collection.State.NOTICED,
        asked_at=timezone.now(),
        began_at=before.read_at,
        ended_at=began,
        freed_blobs=len(gone),
        freed_bytes=sum(known[digest] for digest in gone),
        outcome={"at_least": len(known) >= MAX_NOTED},
    )
