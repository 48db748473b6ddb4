"""What the client returns: frozen values. Names and texts in them are the registry's and untrusted."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from .auth import AuthScheme
from .references import Digest, RepositoryName


class Family(StrEnum):
    """Which registry this is, as far as its answers tell (none sends a version)."""

    DISTRIBUTION_2 = "distribution-2"
    DISTRIBUTION_3 = "distribution-3"
    ZOT = "zot"
    OTHER = "other"


class Deletion(StrEnum):
    """What a DELETE would do. REFUSED: not permitted to this person; UNKNOWN: the answer told nothing."""

    BY_DIGEST = "by-digest"
    BY_TAG = "by-tag"
    DISABLED = "disabled"
    READ_ONLY = "read-only"
    REFUSED = "refused"
    UNKNOWN = "unknown"


DELETES_TAGS_ALTHOUGH_DISABLED = "deletes-tags-although-disabled"


@dataclass(frozen=True, slots=True)
class Ping:
    """The answer of `/v2/`. `status` as this person, `bare_status` without any Authorization; `seconds` of the last.

    A registry that hands tokens to nobody in particular has `bare_status` 401 and `status` 200 for nobody's session.
    `refusal` is the reason of a 401, as in Unauthorized.reason; empty when accepted.
    """

    scheme: AuthScheme
    seconds: float
    status: int
    challenge_realm: str = ""
    bare_status: int = 0
    refusal: str = ""
    family: Family = Family.OTHER


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a registry can do, found by requests that change nothing. `faults`: codes of known defects seen."""

    family: Family
    scheme: AuthScheme
    deletion: Deletion
    seconds: float
    faults: tuple[str, ...] = ()
    referrers_api: bool = False


@dataclass(frozen=True, slots=True)
class Catalog:
    """Repository names as listed, in order, each once. `complete` is False if the registry broke off its own list."""

    names: tuple[str, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class ManifestHead:
    """What a reference names: digest, media type ("" if the registry gave none), size of the document in bytes."""

    digest: Digest
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class RawManifest:
    """A manifest's exact bytes, verified against `digest` (schema 1 excepted: its digest covers only a part)."""

    digest: Digest
    media_type: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that was begun and is neither finished nor cancelled; `size`: how many bytes were sent to it.

    `location` is a path below the registry's address with what the registry needs to go on with it: not shown.
    """

    repository: RepositoryName
    id: str
    location: str = field(repr=False)
    size: int = 0
