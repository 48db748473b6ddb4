"""An image with everything below it, as it could be put under a tag: what the repository holds, else what is kept here.

A repository forgets a manifest with its last tag; the index has kept its bytes. They serve a repository alone whose own
history names the digest: nobody reaches through one repository what another one holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dashboard.models import Registry, TagPeriod
from dashboard.registry.client import RawManifest, RegistrySession
from dashboard.registry.errors import DigestMismatch, NotFound, RegistryError
from dashboard.registry.manifests import Manifest, parse_manifest
from dashboard.registry.media_types import LEGACY_TYPES
from dashboard.registry.references import Digest, RepositoryName, matches

from . import contents, parallel

MAX_DEPTH = 4
"""Indexes may list indexes; nobody nests deeper."""


@dataclass(frozen=True, slots=True)
class Part:
    """A manifest of the image. `held`: the repository holds it; else its bytes are those that were kept here."""

    manifest: Manifest
    raw: bytes
    held: bool


@dataclass(frozen=True, slots=True)
class KeptImage:
    """What a digest names and all below it; `parts` stand in an order in which a registry takes them, the root last.

    `gone`: digests that nobody has any more. Of a manifest no bytes are left; a layer or config the repository cannot
    serve.
    """

    parts: Sequence[Part]
    gone: Sequence[Digest] = ()

    @property
    def root(self) -> Part:
        """The manifest that was asked for."""
        return self.parts[-1]

    @property
    def lacking(self) -> list[Part]:
        """What has to be put first: parts below the root that the repository does not hold."""
        return [part for part in self.parts[:-1] if not part.held]


def read(
    session: RegistrySession, registry: Registry, repository: RepositoryName, digest: Digest, *, blobs: bool = True
) -> KeptImage:
    """The image that `digest` names in this repository now, or named once. Raises RegistryError.

    ManifestUnknown: the repository does not hold it, and either it never did as far as is known, or no bytes are left.
    With `blobs` every layer and config is asked for too. Changes nothing.
    """
    found: dict[Digest, Part] = {}
    gone: dict[Digest, None] = {}
    level = [digest]
    for _ in range(MAX_DEPTH):
        new = [each for each in dict.fromkeys(level) if each not in found and each not in gone]
        answers = contents.manifests(session, repository, new)
        absent = {each: answer for each, answer in answers.items() if isinstance(answer, NotFound)}
        if digest in absent and not _was_here(registry, repository, digest):
            raise absent[digest]
        kept = contents.kept(absent)
        for each, answer in answers.items():
            if isinstance(answer, RegistryError) and each not in absent:
                raise answer
            raw = kept.get(each) if each in absent else answer
            if isinstance(raw, RawManifest):
                found[each] = _part(session, raw, held=each not in absent)
            else:
                gone[each] = None
        if digest in gone:
            raise absent[digest]
        level = [child.digest for each in new if each in found for child in found[each].manifest.children]
    parts = list(_in_order(found, digest, set()))
    if blobs:
        lost = _lost(session, repository, parts)
        gone |= dict.fromkeys(lost)
        parts = [part for part in parts if part.manifest.digest not in lost]
    return KeptImage(parts, tuple(gone))


def is_there(session: RegistrySession, repository: RepositoryName, digest: Digest) -> bool:
    """Whether the repository can serve this layer or config: read, for a registry may remember what is gone."""
    return session.blob_is_readable(repository, digest)


def _was_here(registry: Registry, repository: str, digest: str) -> bool:
    return TagPeriod.objects.filter(registry=registry, repository=repository, digest=digest).exists()


def _part(session: RegistrySession, raw: RawManifest, *, held: bool) -> Part:
    """What is put under a tag must be what was looked at. That of a signed schema 1 cannot be told from its bytes."""
    if raw.media_type not in LEGACY_TYPES and not matches(raw.digest, raw.raw):
        raise DigestMismatch("get manifest", session.registry, user=session.user, subject=raw.digest)
    return Part(parse_manifest(raw.raw, raw.media_type, raw.digest), raw.raw, held)


def _in_order(found: Mapping[Digest, Part], digest: Digest, seen: set[Digest]) -> Iterator[Part]:
    """Children before what lists them, each once."""
    if digest in seen or digest not in found:
        return
    seen.add(digest)
    for child in found[digest].manifest.children:
        yield from _in_order(found, child.digest, seen)
    yield found[digest]


def _lost(session: RegistrySession, repository: RepositoryName, parts: Sequence[Part]) -> set[Digest]:
    """Which layers and configs the repository cannot serve. Raises RegistryError.

    A child that it does not hold and of which it has nothing else either is named itself: that an index lists a digest
    is no right to learn what another repository holds under it.
    """
    needed = {
        part.manifest.digest: [blob.digest for blob in part.manifest.content() if not blob.is_foreign] for part in parts
    }
    asked = [blob for blobs in needed.values() for blob in blobs]
    answers = parallel.each(asked, lambda blob: is_there(session, repository, blob))
    for answer in answers.values():
        if isinstance(answer, RegistryError):
            raise answer
    lost: set[Digest] = set()
    for part in parts:
        blobs = needed[part.manifest.digest]
        missing = {blob for blob in blobs if not answers[blob]}
        if missing and len(missing) == len(set(blobs)) and not part.held and part is not parts[-1]:
            lost.add(part.manifest.digest)
        else:
            lost |= missing
    return lost
