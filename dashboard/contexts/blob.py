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
    namespace: str
    namespace_url: str
    short_name: str
    repository_url: str
    reference: str
    digest: str
    bytes: int
    json: str
    host: str


def blob_page(access: Access, repository: str, found: BlobInspection) -> BlobPage:
    """The view model of a blob."""
    registry = access.registry
    namespace, _, name = repository.rpartition("/")
    return BlobPage(
        repository=repository,
        namespace=namespace,
        namespace_url=links.with_query(links.repositories(registry), name=f"{namespace}/") if namespace else "",
        short_name=name,
        repository_url=links.repository(registry, repository),
        reference=f"{registry.public_host}/{repository}@{found.digest}",
        digest=found.digest,
        bytes=found.size,
        json=pretty_json(found.text),
        host=registry.public_host,
    )
