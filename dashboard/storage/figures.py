"""The figures of an accounting: plain values, all sizes in bytes on the disk. `usage` says what each word means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .facts import Problem
from .full import Metadata


@dataclass(frozen=True, slots=True)
class Amount:
    """How many, and their bytes."""

    count: int
    bytes: int

    def to_json(self) -> dict[str, int]:
        """As `storage_report --json` prints it."""
        return {"count": self.count, "bytes": self.bytes}


@dataclass(frozen=True, slots=True)
class RepositoryUsage:
    """One repository; each blob counted once, manifests included.

    `bytes`: reached by any of its revisions. `exclusive_bytes`: of these, what no other repository's revision reaches.
    `tagged_bytes`, `tagged_exclusive_bytes`: the same for what its tags hold. `untagged_bytes`: the rest of `bytes`,
    and `untagged_revisions` how many revisions no tag holds.
    """

    name: str
    tags: int
    bytes: int
    exclusive_bytes: int
    tagged_bytes: int
    tagged_exclusive_bytes: int
    untagged_bytes: int
    untagged_revisions: int = 0

    @property
    def shared_bytes(self) -> int:
        """Bytes that another repository reaches too."""
        return self.bytes - self.exclusive_bytes

    def to_json(self) -> dict[str, Any]:
        """As `storage_report --json` prints it."""
        return {
            "name": self.name,
            "tags": self.tags,
            "bytes": self.bytes,
            "exclusive_bytes": self.exclusive_bytes,
            "tagged_bytes": self.tagged_bytes,
            "tagged_exclusive_bytes": self.tagged_exclusive_bytes,
            "untagged_bytes": self.untagged_bytes,
            "untagged_revisions": self.untagged_revisions,
        }


@dataclass(frozen=True, slots=True)
class NamespaceUsage:
    """A namespace at any depth: the repositories below `name`, and the one of that very name if there is one.

    `bytes`: reached by any of them, each blob once. `exclusive_bytes`: of these, what no repository elsewhere reaches.
    `tagged_bytes`, `tagged_exclusive_bytes`: the same for what their tags hold. `shared_inside_bytes`: of the last,
    what several of them reach and no smaller namespace has to itself. With what each repository has alone, and with
    `Usage.shared_across_bytes`, these sum to all that is tagged.
    """

    name: str
    repositories: int
    tags: int
    bytes: int
    exclusive_bytes: int
    tagged_bytes: int
    tagged_exclusive_bytes: int
    shared_inside_bytes: int

    def to_json(self) -> dict[str, Any]:
        """As `storage_report --json` prints it."""
        return {
            "name": self.name,
            "repositories": self.repositories,
            "tags": self.tags,
            "bytes": self.bytes,
            "exclusive_bytes": self.exclusive_bytes,
            "tagged_bytes": self.tagged_bytes,
            "tagged_exclusive_bytes": self.tagged_exclusive_bytes,
            "shared_inside_bytes": self.shared_inside_bytes,
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """The accounting of one scan.

    `blobs` = `tagged` + `untagged` + `orphans`; `in_flight` is part of `orphans`; `tagged` = `tagged_exclusive` (no
    other repository reaches them) + `tagged_shared`, of which `shared_across_bytes` belong to no one namespace.
    `foreign` are layers that lie elsewhere by design and not on this disk, with the bytes that manifests claim; they
    are in no sum. `metadata` only after a full pass. `seconds` is the time taken.
    """

    repositories: int
    tags: int
    blobs: Amount
    tagged: Amount
    tagged_exclusive: Amount
    tagged_shared: Amount
    untagged: Amount
    orphans: Amount
    in_flight: Amount
    uploads: Amount
    foreign: Amount
    untagged_revisions: int
    shared_across_bytes: int
    by_repository: tuple[RepositoryUsage, ...]
    by_namespace: tuple[NamespaceUsage, ...]
    problems: tuple[Problem, ...]
    seconds: float
    metadata: Metadata | None = None

    @property
    def data_bytes(self) -> int:
        """Bytes of all well-formed data files: what the live parts sum to."""
        return self.blobs.bytes + self.uploads.bytes

    def to_json(self) -> dict[str, Any]:
        """The object that `storage_report --json` prints."""
        document: dict[str, Any] = {"repositories": self.repositories, "tags": self.tags}
        for name in _AMOUNTS:
            document[name] = getattr(self, name).to_json()
        document["untagged_revisions"] = self.untagged_revisions
        document["shared_across_bytes"] = self.shared_across_bytes
        document["by_repository"] = [repository.to_json() for repository in self.by_repository]
        document["by_namespace"] = [namespace.to_json() for namespace in self.by_namespace]
        document["problems"] = [problem._asdict() for problem in self.problems]
        document["seconds"] = self.seconds
        if self.metadata is not None:
            document["metadata"] = self.metadata.to_json()
        return document


_AMOUNTS = (
    "blobs",
    "tagged",
    "tagged_exclusive",
    "tagged_shared",
    "untagged",
    "orphans",
    "in_flight",
    "uploads",
    "foreign",
)
