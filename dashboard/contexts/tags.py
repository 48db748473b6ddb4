"""The tags of a repository as their page shows them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext

from dashboard.charts.bars import Segment, segments
from dashboard.registry.manifests import Kind
from dashboard.registry.references import Digest
from dashboard.registry.times import parse_time
from dashboard.services.access import Access
from dashboard.services.browse import ListQuery, TagList, TagRow
from dashboard.services.images import Image

from . import links
from .errors import Problem, problem_of
from .formats import legible, size
from .kinds import kind_label
from .lists import Pagination, SortLink, name_sort, pagination
from .pull import PullBox, pull_box

MAX_NAME = 128
_BLANK = ""
"""The key of what an image lacks to the longest bar of its page."""
_REFERRER = re.compile(r"sha256-([a-f0-9]{12})[a-f0-9]{52}(\.\w+)?")


@dataclass(frozen=True, slots=True)
class PlatformName:
    """A part of the platform box: an operating system, then its architectures; a missing one is struck through."""

    label: str
    missing: bool
    is_system: bool = False


@dataclass(frozen=True, slots=True)
class TagLine:
    """A row of the list. `brace` joins neighbours of one digest: start, middle, end or nothing.

    `url` and `delete_url` are empty for a name that the registry lists and the grammar forbids.
    """

    name: str
    shown_name: str
    url: str
    delete_url: str
    digest: str
    aliases: Sequence[str]
    alias_urls: Sequence[tuple[str, str]]
    platforms: Sequence[PlatformName]
    kind: str
    bytes: int | None
    partial: bool
    layers: Sequence[Segment]
    layers_label: str
    created: dt.datetime | None
    brace: str
    repeated: bool
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class TagsPage:
    """Everything that tags.html shows."""

    repository: str
    namespace: str
    namespace_url: str
    short_name: str
    reference: str
    lines: Sequence[TagLine]
    contains: str
    total: int
    count: int
    pagination: Pagination
    sort: SortLink
    clear_url: str
    pull: PullBox | None
    pull_tag: str
    host: str
    aliases_known: bool
    may_delete: bool

    @property
    def is_empty(self) -> bool:
        """Whether the repository has no tag at all."""
        return self.count == 0


def tags_page(access: Access, repository: str, query: ListQuery, found: TagList) -> TagsPage:
    """The view model of the list."""
    registry = access.registry
    path = links.repository(registry, repository)
    rows = found.page.rows
    scale = max((row.image.compressed_bytes for row in rows if row.image), default=0)
    lines = [_line(access, repository, rows, index, scale) for index in range(len(rows))]
    pulled = next((row for row in rows if row.digest), None)
    namespace, _, name = repository.rpartition("/")
    return TagsPage(
        repository=repository,
        namespace=namespace,
        namespace_url=links.with_query(links.repositories(registry), name=f"{namespace}/") if namespace else "",
        short_name=name,
        reference=f"{registry.public_host}/{repository}",
        lines=lines,
        contains=query.contains,
        total=found.page.total,
        count=len(found.names),
        pagination=pagination(path, query, found.page),
        sort=name_sort(path, query),
        clear_url=path,
        pull=pull_box(registry.public_host, repository, tag=pulled.tag, digest=str(pulled.digest)) if pulled else None,
        pull_tag=pulled.tag if pulled else "",
        host=registry.public_host,
        aliases_known=found.aliases_known,
        may_delete=access.may_delete,
    )


def _line(access: Access, repository: str, rows: Sequence[TagRow], index: int, scale: int) -> TagLine:
    row = rows[index]
    image = row.image
    above = index > 0 and row.digest is not None and rows[index - 1].digest == row.digest
    below = index + 1 < len(rows) and row.digest is not None and rows[index + 1].digest == row.digest
    brace = {(False, True): "start", (True, True): "middle", (True, False): "end"}.get((above, below), "")
    return TagLine(
        name=legible(row.tag, MAX_NAME),
        url=links.tag(access.registry, repository, row.tag) if row.supported else "",
        delete_url=links.delete(access.registry, repository, row.tag) if access.may_delete and row.supported else "",
        digest=str(row.digest or ""),
        aliases=row.aliases,
        alias_urls=[(name, links.tag(access.registry, repository, name)) for name in row.aliases],
        platforms=_platforms(image) if image else (),
        kind=_kind(image) if image else "",
        shown_name=_shown_name(row.tag),
        bytes=image.compressed_bytes if image and image.sizes_known else None,
        partial=bool(image and image.is_partial),
        layers=_layers(image, scale) if image and scale else (),
        layers_label=_layers_label(image) if image else "",
        created=parse_time(image.created) if image else None,
        brace=brace,
        repeated=above,
        problem=problem_of(row.error) if row.error else None,
    )


def _platforms(image: Image) -> list[PlatformName]:
    """`linux│amd64│arm64`: each operating system once, then what it runs on."""
    if image.manifest.kind is Kind.INDEX:
        found = [(child.descriptor.platform, child.manifest is None) for child in image.platforms]
    elif image.manifest.kind is Kind.IMAGE:
        found = [(image.platform, False)]
    else:
        found = []
    by_system: dict[str, list[PlatformName]] = {}
    for platform, missing in found:
        if platform is not None and str(platform):
            by_system.setdefault(platform.os, []).append(PlatformName(legible(platform.machine, MAX_NAME), missing))
    return [
        part
        for system, machines in by_system.items()
        for part in (PlatformName(legible(system, MAX_NAME), missing=False, is_system=True), *machines)
    ]


def _kind(image: Image) -> str:
    """The kind where no platform tells it."""
    if image.manifest.kind is Kind.INDEX and not any(child.descriptor.platform for child in image.platforms):
        return gettext("Index")
    return kind_label(image.manifest)


def _shown_name(tag: str) -> str:
    """A tag as shown: the digest in a referrer's tag is cut to what people read."""
    match = _REFERRER.fullmatch(tag)
    return f"sha256-{match[1]}…{match[2] or ''}" if match else legible(tag, MAX_NAME)


def _layers(image: Image, scale: int) -> Sequence[Segment]:
    """Each layer once, in order, on the page's one scale."""
    manifests = [c.manifest for c in image.children if c.manifest] or [image.manifest]
    sizes: dict[Digest, int] = {d.digest: d.size for m in manifests for d in m.layers if not d.is_foreign}
    drawn = sum(sizes.values())
    return [s for s in segments([*sizes.items(), (_BLANK, max(0, scale - drawn))]) if s.key != _BLANK]


def _layers_label(image: Image) -> str:
    return str(size(image.compressed_bytes))
