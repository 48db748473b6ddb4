"""Layers that are stored several times: the same uncompressed content, compressed to different bytes.

Two builds of the same files give one layer if they are compressed alike, and two if not (gzip by another tool, zstd):
the registry cannot know. Told by the diff_id that the configs of their images give (OCI image spec 1.1, config.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Count, Exists, Max, OuterRef, Sum

from dashboard.models import IndexedBlob, Registry, RepositoryBlob

MAX_GROUPS = 50
MAX_DIGESTS = 20


def find(registry: Registry, stored: Mapping[str, int]) -> dict[str, Any]:
    """What is stored more than once in the registry's index: {groups, bytes, largest: [{diff_id, digests, bytes}]}.

    `stored` are the blobs on the disk with their bytes. `bytes` is what could be saved: all copies but the largest.
    """
    held = RepositoryBlob.objects.filter(blob=OuterRef("pk"), repository__registry=registry)
    groups = IndexedBlob.objects.filter(Exists(held)).exclude(diff_id="").values("diff_id")
    several = groups.annotate(copies=Count("pk"), spare=Sum("bytes") - Max("bytes")).filter(copies__gt=1)
    totals = several.aggregate(groups=Count("diff_id"), spare_bytes=Sum("spare"))
    largest: list[dict[str, Any]] = []
    for row in several.order_by("-spare", "diff_id")[:MAX_GROUPS]:
        copies = IndexedBlob.objects.filter(Exists(held), diff_id=row["diff_id"]).order_by("-bytes", "digest")
        digests = [digest for digest in copies.values_list("digest", flat=True)[:MAX_DIGESTS] if digest in stored]
        if len(digests) > 1:
            sizes = [stored[digest] for digest in digests]
            largest.append({"diff_id": row["diff_id"], "digests": digests, "bytes": sum(sizes) - max(sizes)})
    return {"groups": totals["groups"] or 0, "bytes": int(totals["spare_bytes"] or 0), "largest": largest}
