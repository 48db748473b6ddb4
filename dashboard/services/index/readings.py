"""What is read of a registry for its index, and the protocol of those who read it.

A reading knows when it *began*: what it says was true at some moment after that, so a later reading wins. Readers take
many repositories at once, so that the requests of small ones run side by side.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dashboard.models import IndexState
from dashboard.registry.client import RawManifest
from dashboard.registry.references import Digest

UNSUPPORTED_NAME = "unsupported-name"
"""The error code of a name that a registry lists and the grammar forbids: it is never asked for."""

NOT_READ_YET = "not-read-yet"
"""The error code of a tag whose name is known and whose target nobody has asked for yet."""

Held = tuple[str, Digest]
"""A digest as a repository holds it: the repository's name, the digest."""


@dataclass(frozen=True, slots=True)
class TagReading:
    """A tag: its digest, or the code of the error that hid it.

    `pushed_at` only where the source knows it, `stamp` only where it has one to compare (a link's time in nanoseconds).
    """

    digest: Digest | None
    pushed_at: dt.datetime | None = None
    error_code: str = ""
    stamp: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A repository as read: the names of all its tags, and what those that were read point at.

    Of a name that is not in `tags` only the name was read.
    `revisions` is every manifest that it holds, or None where that cannot be listed; `pushed` when each of them was
    pushed last, where the source knows it.
    """

    repository: str
    began: dt.datetime
    names: frozenset[str]
    tags: Mapping[str, TagReading]
    revisions: frozenset[Digest] | None = None
    pushed: Mapping[Digest, dt.datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PastTarget:
    """That a tag pointed to a digest since `pushed_at`, as the storage remembers it."""

    tag: str
    digest: Digest
    pushed_at: dt.datetime


Outcome = Reading | None | Exception
"""Of one repository: its reading, None where there is no such repository, or why it could not be read."""


class Reader(Protocol):
    """A source of readings. Methods raise RegistryError or StorageError where the source as a whole fails."""

    @property
    def source(self) -> IndexState.Source:
        """Which source it is."""

    def repositories(self) -> tuple[Sequence[str], bool]:
        """Names of all repositories, and whether the list is complete."""

    def read(self, repositories: Iterable[str], known: Mapping[str, Mapping[str, Digest]]) -> dict[str, Outcome]:
        """All tags of each repository. `known`: what the index says of a repository's tags."""

    def holds(self, wanted: Iterable[Held]) -> Mapping[Held, bool | Exception]:
        """Whether the repository of each holds the manifest now, or why that could not be found out."""

    def manifests(self, wanted: Iterable[Held]) -> dict[Held, RawManifest | Exception]:
        """The manifests themselves."""

    def configs(self, wanted: Iterable[Held]) -> dict[Held, bytes | Exception]:
        """Config blobs, each at most MAX_CONFIG_BYTES."""

    def past(self, repository: str, tags: Iterable[str]) -> Sequence[PastTarget]:
        """What these tags pointed to, the present included, as far as the source remembers; oldest first."""
