"""What a scan found, before any accounting: plain values, no meaning yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

MAX_PROBLEMS = 10_000

# Every code that a problem can have; docs/storage.md says what each means.
PROBLEM_CODES = frozenset(
    (
        "blob-missing",
        "blob-name",
        "blob-size",
        "blob-unprotected",
        "blob-without-data",
        "child-missing",
        "key-name",
        "link-corrupt",
        "link-mismatch",
        "link-padded",
        "manifest-corrupt",
        "manifest-missing",
        "manifest-too-large",
        "not-a-file",
        "repository-name",
        "revision-name",
        "stray-file",
        "symlink-broken",
        "symlink-loop",
        "tag-name",
        "tag-points-nowhere",
        "tag-without-link",
        "too-many-problems",
        "too-many-symlinks",
        "unreadable",
        "upload-incomplete",
    )
)


class Problem(NamedTuple):
    """A malformed or unreadable entry. `path` is below docker/registry/v2, `bytes` what it takes on the disk."""

    code: str
    path: str
    bytes: int = 0


class ManifestFacts(NamedTuple):
    """What a manifest refers to, as `references.references_of` reads it.

    `foreign` are those of `content` that lie elsewhere by design, with the bytes that the manifest claims; `sizes` the
    bytes claimed of each of `content` (-1: not said). `unread`: whether the registry's collector fails at it: LEGACY
    (schema 1, which 3.x does not know), UNKNOWN, or empty. Untrusted text: not all need be digests.
    """

    content: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    subject: str = ""
    foreign: tuple[tuple[str, int], ...] = ()
    sizes: tuple[int, ...] = ()
    unread: str = ""


class UploadFacts(NamedTuple):
    """An upload: the bytes of its data, and when it began (mtime of `startedat`, else of `data`; seconds)."""

    bytes: int
    began: float


@dataclass(slots=True)
class RepositoryFacts:
    """One repository: tags to digests, and the digests of its revisions. `path` is below v2.

    2.8 knows a repository by its `_layers`, 3.x by its `_manifests`: whether each is there.
    """

    name: str
    path: str
    has_layers: bool = True
    has_manifests: bool = True
    tags: dict[str, str] = field(default_factory=dict)
    revisions: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Facts:
    """Everything a scan found. Sizes in bytes; `young` are blobs whose data is younger than the bound asked for."""

    blobs: dict[str, int] = field(default_factory=dict)
    young: set[str] = field(default_factory=set)
    repositories: list[RepositoryFacts] = field(default_factory=list)
    manifests: dict[str, ManifestFacts] = field(default_factory=dict)
    uploads: list[UploadFacts] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
