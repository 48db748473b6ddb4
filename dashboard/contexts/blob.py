"""A layer or config as its page shows it."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.services.access import Access
from dashboard.services.inspect import BlobInspection

from . import links
from .documents import pretty_json


@dataclass(frozen=True, slots=True)
class BlobPage:
    """Everything that blob.html shows."""

    repository: str
    repository_url: str
    digest: str
    bytes: int
    json: str
    host: str


def blob_page(access: Access, repository: str, found: BlobInspection) -> BlobPage:
    """The view model of a blob."""
    return BlobPage(
        repository=repository,
        repository_url=links.repository(access.registry, repository),
        digest=found.digest,
        bytes=found.size,
        json=pretty_json(found.text),
        host=access.registry.public_host,
    )
