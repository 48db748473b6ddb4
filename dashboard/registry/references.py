"""Names of things in a registry: repositories, tags and digests, parsed and validated in one place.

Grammar: OCI distribution spec 1.1, "Pulling manifests"; digests: OCI image spec 1.1, descriptor.md. A repository's
255 characters and a tag's 128 are the spec's limits. Case matters: upper-case hex is not a digest.
"""

from __future__ import annotations

import hashlib
import re
from typing import NewType

RepositoryName = NewType("RepositoryName", str)
Tag = NewType("Tag", str)
Digest = NewType("Digest", str)

MAX_REPOSITORY_LENGTH = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}", re.ASCII)


class InvalidReference(ValueError):
    """A text that is not a repository name, tag or digest. `kind` says which was expected, `text` what was given."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"not a {kind}: {text[:300]!r}")
        self.kind = kind
        self.text = text


def parse_repository(text: str) -> RepositoryName:
    """`text` as a repository name. Raises InvalidReference."""
    if len(text) > MAX_REPOSITORY_LENGTH or not _REPOSITORY.fullmatch(text):
        raise InvalidReference("repository name", text)
    return RepositoryName(text)


def parse_tag(text: str) -> Tag:
    """`text` as a tag. Raises InvalidReference."""
    if not _TAG.fullmatch(text):
        raise InvalidReference("tag", text)
    return Tag(text)


def parse_digest(text: str) -> Digest:
    """`text` as a digest of a registered algorithm (sha256, sha384, sha512). Raises InvalidReference."""
    if not _DIGEST.fullmatch(text):
        raise InvalidReference("digest", text)
    return Digest(text)


def is_repository(text: str) -> bool:
    """Whether `text` is a repository name by the grammar."""
    return len(text) <= MAX_REPOSITORY_LENGTH and _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Whether `text` is a tag by the grammar: a registry may list what nobody can ask for."""
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Whether `text` is a digest of a registered algorithm."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(content: bytes) -> Digest:
    """The sha256 digest of `content`."""
    return Digest(f"sha256:{hashlib.sha256(content).hexdigest()}")


def matches(digest: Digest, content: bytes) -> bool:
    """Whether `content` has this digest, by the digest's own algorithm."""
    algorithm, _, expected = digest.partition(":")
    return hashlib.new(algorithm, content).hexdigest() == expected


def short(digest: str) -> str:
    """The first 12 hex digits, as people read digests."""
    return digest.partition(":")[2][:12]


def namespace_of(repository: str) -> str:
    """Everything before a repository's last `/`; empty for a name of one component."""
    return repository.rpartition("/")[0]
