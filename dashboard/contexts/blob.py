"""A layer or config as its page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from dashboard.services.access import Access
from dashboard.services.inspect import BlobInspection

from . import links
from .documents import pretty_json
from .formats import legible

MAX_TAGS_NAMED = 12


@dataclass(frozen=True, slots=True)
class BlobUser:
    """A repository whose tags have the blob: those named, and how many more."""

    name: str
    url: str
    tags: Sequence[tuple[str, str]]
    more: int


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
    users: Sequence[BlobUser]
    user_count: int


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
        users=_users(access, found),
        user_count=len(found.tags),
    )


def _users(access: Access, found: BlobInspection) -> list[BlobUser]:
    users = []
    for name, rows in groupby(found.tags, key=lambda row: row.repository.name):
        tags = [row.name for row in rows]
        named = [(legible(tag, 100), links.tag(access.registry, name, tag)) for tag in tags[:MAX_TAGS_NAMED]]
        users.append(BlobUser(name, links.repository(access.registry, name), named, len(tags) - len(named)))
    return users
