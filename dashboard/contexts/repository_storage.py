"""What one repository takes on the disk, as it is shown: figures, bar, partners, tags as a map and a list, growth."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.models import MeasuredTag
from dashboard.registry.references import is_repository, is_tag
from dashboard.services.access import Access
from dashboard.services.index.lists import ListQuery, Page
from dashboard.services.usage.lists import DEFAULT_TAG_ORDER, TAG_COLUMNS, Measured

from . import links
from .formats import count, legible, share
from .lists import Head, Pagination, heads, pagination
from .storage_bar import Bar, bar
from .storage_growth import Growth, repository_growth
from .storage_map import StorageMap, tag_map


@dataclass(frozen=True, slots=True)
class TagLine:
    """A tag on the disk, sizes in bytes."""

    name: str
    url: str
    bytes: int
    exclusive: int


@dataclass(frozen=True, slots=True)
class PartnerLine:
    """A repository that the same blobs are in; no name for one that the person may not know of."""

    name: str
    url: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Parts:
    """The bytes of a repository: they sum to all that it reaches."""

    tagged_alone: int
    tagged_shared: int
    untagged: int
    whole: int
    exclusive: int
    share_of_data: str


@dataclass(frozen=True, slots=True)
class RepositoryStoragePage:
    """Everything that repository_storage.html shows; `parts` is None where the last scan did not find it."""

    repository: str
    reference: str
    namespace: str
    namespace_url: str
    short_name: str
    scanned_at: dt.datetime | None
    parts: Parts | None
    bar: Bar | None
    untagged_images: str
    untagged_url: str
    partners: Sequence[PartnerLine]
    more_partners: str
    map: StorageMap | None
    lines: Sequence[TagLine]
    heads: dict[str, Head]
    pagination: Pagination | None
    growth: Growth | None


def repository_storage_page(
    access: Access,
    name: str,
    measured: Measured | None,
    *,
    tags: Page[MeasuredTag] | None,
    largest: Sequence[MeasuredTag],
    partners: Sequence[tuple[str, int]],
    points: Sequence[tuple[dt.datetime, int, int]],
    query: ListQuery,
    now: dt.datetime,
) -> RepositoryStoragePage:
    """The view model of a repository's storage."""
    registry = access.registry
    path = links.repository_storage(registry, name)
    row = measured.row if measured else None
    namespace, _sep, short_name = name.rpartition("/")
    images = row.untagged_revisions if row else 0
    return RepositoryStoragePage(
        repository=name,
        reference=f"{registry.public_host}/{name}",
        namespace=namespace,
        namespace_url=links.storage_of(registry, namespace) if namespace else "",
        short_name=short_name,
        scanned_at=measured.snapshot.began_at if measured else None,
        parts=_parts(measured) if measured else None,
        bar=_bar(access, name, measured) if measured and measured.row.bytes else None,
        untagged_images=ngettext("%(n)s untagged image", "%(n)s untagged images", images) % {"n": count(images)},
        untagged_url=links.untagged(registry, name),
        partners=[
            PartnerLine(
                legible(partner, 120) or _("one that you cannot see"),
                links.repository_storage(registry, partner) if is_repository(partner) else "",
                size,
            )
            for partner, size in partners
        ],
        more_partners=ngettext("and with %(n)s more", "and with %(n)s more", row.more_partners)
        % {"n": count(row.more_partners)}
        if row and row.more_partners
        else "",
        map=tag_map(registry, name, largest, row.tagged_exclusive_bytes)
        if row and row.tagged_exclusive_bytes and largest
        else None,
        lines=[
            TagLine(
                legible(tag.name, 128),
                links.tag(registry, name, tag.name) if is_tag(tag.name) else "",
                tag.bytes,
                tag.exclusive_bytes,
            )
            for tag in (tags.rows if tags else [])
        ],
        heads=heads(path, query, TAG_COLUMNS, DEFAULT_TAG_ORDER),
        pagination=pagination(path, query, tags) if tags else None,
        growth=repository_growth(points, now) if len(points) > 1 else None,
    )


def _parts(measured: Measured) -> Parts:
    row = measured.row
    return Parts(
        tagged_alone=row.tagged_exclusive_bytes,
        tagged_shared=row.tagged_bytes - row.tagged_exclusive_bytes,
        untagged=row.untagged_bytes,
        whole=row.bytes,
        exclusive=row.exclusive_bytes,
        share_of_data=share(row.exclusive_bytes, measured.snapshot.data_bytes),
    )


def _bar(access: Access, name: str, measured: Measured) -> Bar:
    parts = _parts(measured)
    return bar(
        [
            ("own", _("Tagged, here alone"), parts.tagged_alone, ""),
            ("shared", _("Tagged, shared with others"), parts.tagged_shared, ""),
            ("untagged", _("Untagged"), parts.untagged, links.untagged(access.registry, name)),
        ],
        parts.whole,
    )
