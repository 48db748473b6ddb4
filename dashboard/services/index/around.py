"""What surrounds an image in its registry, as the index knows it: who shares its layers, what it is built on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dashboard.models import IndexedRepository, IndexedTag
from dashboard.registry.manifests import ImageConfig, Manifest
from dashboard.registry.references import Digest, RepositoryName
from dashboard.services import access as gate
from dashboard.services.access import Access

from . import uses
from .uses import Base

MAX_ALIASES = 200


@dataclass(frozen=True, slots=True)
class Around:
    """Empty where the repository is not in the index. `others`: blob to the number of other manifests that use it.

    `aliases` name the same digest, `attached` are the tags of signatures and the like. `since`: the tag's push, or when
    it was first seen (`since_is_push` tells).
    """

    indexed: bool = False
    aliases: tuple[str, ...] = ()
    attached: Sequence[str] = ()
    others: Mapping[str, int] = field(default_factory=dict)
    base: Base | None = None
    since: dt.datetime | None = None
    since_is_push: bool = False
    pulled_at: dt.datetime | None = None


def around(
    access: Access,
    repository: RepositoryName,
    *,
    root: Digest,
    tag: str = "",
    shown: Manifest | None = None,
    config: ImageConfig | None = None,
) -> Around:
    """Of the digest `root`, which `tag` names, and of the manifest `shown` with its `config`. Asks no registry.

    The caller has seen that this person may read the repository.
    """
    rows = IndexedRepository.objects.filter(registry=access.registry, name=repository)
    row = rows.exclude(read_at=None).first()
    if row is None:
        return Around()
    tags = IndexedTag.objects.filter(repository=row)
    same = list(tags.filter(digest=root).order_by("-sort_key")[: MAX_ALIASES + 1])
    itself = next((found for found in same if found.name == tag), None)
    attached = tags.filter(about=root).exclude(digest=root).order_by("sort_key").values_list("name", flat=True)
    layers = [layer.digest for layer in shown.layers if not layer.is_foreign] if shown else []
    others: dict[str, int] = {}
    base = None
    if shown is not None:
        counted = uses.other_images(access.registry, digests=layers, manifest=shown.digest)
        others = {digest: counted.get(digest, 0) for digest in layers}
        if config is not None and len(config.diff_ids) > 1:
            visible = gate.visible(access)
            base = uses.base_of(access.registry, visible, diff_ids=config.diff_ids, manifest=shown.digest)
    return Around(
        indexed=True,
        aliases=tuple(found.name for found in same if found.name != tag),
        attached=tuple(attached[:MAX_ALIASES]),
        others=others,
        base=base,
        since=itself.since if itself else None,
        since_is_push=bool(itself and itself.since_is_push),
        pulled_at=itself.pulled_at if itself else None,
    )
