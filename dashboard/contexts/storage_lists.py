"""The lists behind the storage page: every repository on the disk, the largest blobs, the problems."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext_lazy as _

from dashboard.models import MeasuredRepository, UsageSnapshot
from dashboard.services.access import Access
from dashboard.services.index.lists import ListQuery, Page
from dashboard.services.usage.lists import COLUMNS, DEFAULT_ORDER
from dashboard.services.usage.overview import Largest, Problems

from . import links
from .lists import Choice, Head, Pagination, address, heads, orders, pagination
from .storage import RepositoryLine, repository_lines
from .storage_layers import BlobLine, TwiceLine, blob_lines, twice_lines
from .storage_problems import ProblemLine, problem_lines

FIELDS = (
    "repository", "tags", "bytes", "exclusive_bytes", "shared_bytes", "tagged_bytes", "tagged_exclusive_bytes",
    "untagged_bytes", "untagged_revisions",
)  # fmt: skip
ORDERS = {
    "size": _("Size, largest first"),
    "exclusive": _("Exclusive, largest first"),
    "shared": _("Shared, largest first"),
    "untagged": _("Untagged, largest first"),
    "tags": _("Tags, most first"),
    "name": _("Name, A to Z"),
}


@dataclass(frozen=True, slots=True)
class RepositoriesPage:
    """Everything that storage_repositories.html shows."""

    began_at: dt.datetime
    url: str
    contains: str
    namespace: str
    lines: Sequence[RepositoryLine]
    total: int
    heads: dict[str, Head]
    orders: Sequence[Choice]
    pagination: Pagination
    clear_url: str
    csv_url: str
    json_url: str


@dataclass(frozen=True, slots=True)
class LayersPage:
    """Everything that storage_layers.html shows. `twice_bytes`: what one copy of each would save."""

    began_at: dt.datetime
    lines: Sequence[BlobLine]
    twice: Sequence[TwiceLine]
    twice_groups: int
    twice_bytes: int


@dataclass(frozen=True, slots=True)
class ProblemsPage:
    """Everything that storage_problems.html shows."""

    lines: Sequence[ProblemLine]
    empty: Sequence[RepositoryLine]
    empty_count: int


def repositories_page(
    access: Access, snapshot: UsageSnapshot, query: ListQuery, found: Page[MeasuredRepository]
) -> RepositoriesPage:
    """The view model of the list of repositories."""
    path = links.storage_repositories(access.registry)
    return RepositoriesPage(
        began_at=snapshot.began_at,
        url=path,
        contains=query.contains,
        namespace=query.namespace,
        lines=repository_lines(access, found.rows),
        total=found.total,
        heads=heads(path, query, COLUMNS, DEFAULT_ORDER),
        orders=orders(query, ORDERS),
        pagination=pagination(path, query, found),
        clear_url=address(path, replace(query, contains="", namespace="", page=1), default=DEFAULT_ORDER),
        csv_url=address(path, query, default=DEFAULT_ORDER, format="csv"),
        json_url=address(path, query, default=DEFAULT_ORDER, format="json"),
    )


def repository_record(row: MeasuredRepository) -> dict[str, Any]:
    """A row of the file."""
    return {"repository": row.name} | {field: getattr(row, field) for field in FIELDS[1:]}


def layers_page(access: Access, found: Largest) -> LayersPage:
    """The view model of the largest blobs."""
    report = found.snapshot.report
    twice = report.get("duplicates", {})
    return LayersPage(
        began_at=found.snapshot.began_at,
        lines=blob_lines(access.registry, found),
        twice=twice_lines(report) if found.everything else [],
        twice_groups=twice.get("groups", 0),
        twice_bytes=twice.get("bytes", 0),
    )


def problems_page(access: Access, found: Problems) -> ProblemsPage:
    """The view model of the problems."""
    return ProblemsPage(
        lines=problem_lines(access, found.rows),
        empty=repository_lines(access, found.empty),
        empty_count=found.empty_count,
    )
