"""Manifests and configs as the index keeps them: parsed once, by digest, whoever holds them.

Bytes are verified before they are kept: what one registry or storage claims under a digest is what all others see.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from django.db import transaction

from dashboard.models import Content, IndexedBlob, IndexedManifest, ManifestBlob, ManifestEntry, ManifestLabel
from dashboard.models.index import MAX_DIGEST
from dashboard.registry.client import RawManifest
from dashboard.registry.errors import (
    BlobUnknown,
    DigestMismatch,
    ManifestUnknown,
    RepositoryUnknown,
    TimedOut,
    TooLarge,
    Unavailable,
)
from dashboard.registry.manifests import ImageConfig, Kind, Manifest, parse_config, parse_manifest
from dashboard.registry.media_types import IMAGE_CONFIG_TYPES
from dashboard.registry.references import Digest, is_digest, matches
from dashboard.registry.times import parse_time
from dashboard.services import parallel
from dashboard.storage.errors import BlobMissing

from .readings import Held, Reader
from .rows import insert, insert_objects

T = TypeVar("T")
ROWS_AT_ONCE = 2000
MAX_DEPTH = 4
"""Indexes may list indexes; nobody nests deeper."""
MAX_CHILDREN = 1000
MAX_TEXT = 255
MAX_PLATFORM = 100
MAX_BYTES = 2**44
"""No layer is larger; what claims to be cannot make a sum overflow."""
FETCHED_AT_ONCE = 200
ABSENT = (ManifestUnknown.code, RepositoryUnknown.code, BlobUnknown.code, BlobMissing.code)
_NEVER = (DigestMismatch.code, TooLarge.code)


@dataclass(frozen=True, slots=True)
class Learnt:
    """What fetching found: which manifests a repository holds, and the error codes of what could not be read.

    A child that is not there is no error; one of which it could not be found out is.
    """

    held: frozenset[Held]
    errors: Mapping[Held, str]


def learn(reader: Reader, wanted: Iterable[Held], *, revisions: Mapping[str, frozenset[Digest]]) -> Learnt:
    """Sees to it that each wanted manifest, and what indexes among them list, is in the index as far as it can be had.

    `revisions`: all that a repository holds, where that is known; else it is asked for each child. Writes in
    transactions of its own: content is visible to nobody before a repository's row refers to it. Raises Unavailable.
    """
    held: set[Held] = set()
    errors: dict[Held, str] = {}
    level = list(dict.fromkeys(wanted))
    proven = True
    for _ in range(MAX_DEPTH):
        if not level:
            break
        listed = [key for key in level if key[0] not in revisions or key[1] in revisions[key[0]]]
        known = known_digests(digest for _, digest in listed)
        fetched, failed = _obtain(reader, [key for key in listed if key[1] not in known])
        answers: Mapping[Held, bool | Exception] = {}
        if proven:
            errors |= dict.fromkeys(set(level) - set(listed), ABSENT[0]) | failed
        else:
            # That another repository holds a manifest, or that we know it, proves nothing of this one.
            doubtful = [key for key in listed if key[0] not in revisions and key not in fetched | failed.keys()]
            answers = reader.holds(doubtful)
            _stop_if_gone(answers.values())
            errors |= {key: code for key, code in failed.items() if code not in ABSENT}
            errors |= {key: _code(answer) for key, answer in answers.items() if isinstance(answer, Exception)}
        here = {key for key in listed if key not in failed and answers.get(key, True) is True}
        held |= here
        level = _children_of(here)
        proven = False
    return Learnt(frozenset(held), errors)


def known_digests(digests: Iterable[str]) -> set[str]:
    """Those of `digests` whose manifests are in the index."""
    found: set[str] = set()
    for part in chunks(list(dict.fromkeys(digests))):
        found.update(IndexedManifest.objects.filter(digest__in=part).values_list("digest", flat=True))
    return found


def chunks(items: Sequence[T], size: int = ROWS_AT_ONCE) -> Iterator[Sequence[T]]:
    """`items` in parts of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _children_of(level: Iterable[Held]) -> list[Held]:
    """What the indexes of this level list, each under the repository that holds the index."""
    by_digest: dict[str, list[str]] = {}
    for repository, digest in level:
        by_digest.setdefault(digest, []).append(repository)
    children: dict[Held, None] = {}
    for part in chunks(list(by_digest)):
        rows = ManifestEntry.objects.filter(manifest__digest__in=part).values_list("manifest__digest", "digest")
        for parent, child in rows:
            children.update(dict.fromkeys((repository, Digest(child)) for repository in by_digest[parent]))
    return list(children)


def _obtain(reader: Reader, unknown: list[Held]) -> tuple[set[Held], dict[Held, str]]:
    """Fetches manifests, each from one repository as long as that has it: from which, and what could not be had."""
    fetched: set[Held] = set()
    failed: dict[Held, str] = {}
    pending = unknown
    while pending:
        once = {digest: (repository, digest) for repository, digest in reversed(pending)}
        asked = list(once.values())
        for part, answers in parallel.ahead(chunks(asked, FETCHED_AT_ONCE), reader.manifests):
            failed |= _take(reader, part, answers)
        fetched |= {key for key in asked if key not in failed}
        good = {digest for _, digest in fetched}
        pending = [key for key in pending if key not in failed and key[1] not in good]
    return fetched, failed


def _take(reader: Reader, wanted: Sequence[Held], answers: Mapping[Held, RawManifest | Exception]) -> dict[Held, str]:
    """Keeps manifests that were fetched, with their configs; the error codes of those that could not be had."""
    errors: dict[Held, str] = {}
    good: dict[Digest, RawManifest] = {}
    _stop_if_gone(answers.values())
    for key, answer in answers.items():
        if isinstance(answer, Exception):
            errors[key] = _code(answer)
        elif not _is_verified(key[1], answer.raw):
            errors[key] = DigestMismatch.code
        else:
            good[key[1]] = answer
    manifests = [parse_manifest(raw.raw, raw.media_type, digest) for digest, raw in good.items()]
    holders = {digest: (repository, digest) for repository, digest in wanted}
    raw_configs, failed = _configs(reader, holders, manifests)
    errors |= {holders[m.digest]: failed[m.config.digest] for m in manifests if m.config and m.config.digest in failed}
    kept = [m for m in manifests if holders[m.digest] not in errors]
    keep(kept, {digest: raw.raw for digest, raw in good.items()}, raw_configs)
    return errors


def _stop_if_gone(answers: Iterable[object]) -> None:
    """Raises the error of a source that does not answer at all, before its silence is written down as facts."""
    for answer in answers:
        if isinstance(answer, Unavailable) and not isinstance(answer, TimedOut):
            raise answer


def _is_verified(digest: Digest, raw: bytes) -> bool:
    """Whether these bytes are what the digest says. That of a signed schema 1 document leaves out its signatures."""
    return matches(digest, raw) or matches(digest, _payload(raw))


def _payload(raw: bytes) -> bytes:
    """What the signatures of a schema 1 document sign (docker/libtrust, "JSON signature"); nothing if it has none."""
    try:
        encoded = json.loads(raw)["signatures"][0]["protected"]
        protected = json.loads(_base64url(encoded))
        return raw[: protected["formatLength"]] + _base64url(protected["formatTail"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return b""


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _configs(
    reader: Reader, holders: Mapping[Digest, Held], manifests: Iterable[Manifest]
) -> tuple[dict[Digest, bytes], dict[Digest, str]]:
    """The configs of images, and the codes of those that could not be had now.

    One that will never do (too large, other bytes than its digest says) is in neither: its image is known without it.
    """
    wanted = {
        manifest.config.digest: (holders[manifest.digest][0], manifest.config.digest)
        for manifest in manifests
        if manifest.config is not None and manifest.config.media_type in IMAGE_CONFIG_TYPES
    }
    found = {
        Digest(row.digest): bytes(row.raw)
        for part in chunks(list(wanted))
        for row in Content.objects.filter(digest__in=part)
    }
    failed: dict[Digest, str] = {}
    answers = reader.configs([key for digest, key in wanted.items() if digest not in found])
    _stop_if_gone(answers.values())
    for (_, digest), answer in answers.items():
        if isinstance(answer, bytes):
            if matches(digest, answer):
                found[digest] = answer
        elif _code(answer) not in _NEVER:
            failed[digest] = _code(answer)
    return found, failed


def keep(manifests: list[Manifest], raw: Mapping[Digest, bytes], raw_configs: Mapping[Digest, bytes]) -> None:
    """Writes manifests and what they refer to; those that are there already stay as they are.

    In the order of digests: of two who write the same at once each would otherwise wait for the other.
    """
    if not manifests:
        return
    manifests = sorted(manifests, key=lambda m: m.digest)
    sizes = {d.digest: _bytes(d.size) for m in manifests for d in m.content() if not d.is_foreign}
    parsed = {digest: parse_config(text, with_history=False) for digest, text in raw_configs.items()}
    contents = [
        *((m.digest, storable(m.media_type, MAX_TEXT), raw[m.digest]) for m in manifests),
        *((digest, "", text) for digest, text in raw_configs.items()),
    ]
    with transaction.atomic():
        insert(Content, ("digest", "media_type", "raw"), sorted(contents))
        diff_ids = _diff_ids(manifests, parsed)
        blobs = sorted((digest, size, diff_ids.get(digest, "")) for digest, size in sizes.items())
        insert(IndexedBlob, ("digest", "bytes", "diff_id"), blobs)
        already = known_digests(m.digest for m in manifests)
        new = [m for m in manifests if m.digest not in already]
        insert_objects(IndexedManifest, [_row(m, parsed) for m in new])
        _keep_parts(new, parsed)


def _keep_parts(manifests: list[Manifest], parsed: Mapping[Digest, ImageConfig]) -> None:
    blob_ids: dict[str, int] = {}
    for part in chunks(list({d.digest for m in manifests for d in m.content()})):
        blob_ids |= dict(IndexedBlob.objects.filter(digest__in=part).values_list("digest", "pk"))
    ids: dict[str, int] = {}
    for part in chunks([m.digest for m in manifests]):
        ids |= dict(IndexedManifest.objects.filter(digest__in=part).values_list("digest", "pk"))
    blobs: list[tuple[int, int, int, bool]] = []
    entries: list[tuple[int, int, str, str, str, bool]] = []
    labels: list[tuple[int, str, str]] = []
    for manifest in manifests:
        pk = ids[manifest.digest]
        blobs += [
            (pk, blob_ids[digest], position, is_layer)
            for digest, (position, is_layer) in _positions(manifest).items()
            if digest in blob_ids
        ]
        entries += [
            (
                pk,
                position,
                d.digest,
                storable(str(d.platform or ""), MAX_PLATFORM),
                storable(d.attests, MAX_DIGEST),
                d.is_attestation,
            )
            for position, d in enumerate(manifest.children[:MAX_CHILDREN])
        ]
        labels += [(pk, key, value) for key, value in _labels(manifest, parsed)]
    insert(ManifestBlob, ("manifest_id", "blob_id", "position", "is_layer"), blobs)
    insert(ManifestEntry, ("manifest_id", "position", "digest", "platform", "attests", "is_attestation"), entries)
    # Somebody else may have kept the same manifest in this moment; nothing tells its labels from ours.
    ManifestLabel.objects.filter(manifest__in=ids.values()).delete()
    insert(ManifestLabel, ("manifest_id", "key", "value"), labels)


def _diff_ids(manifests: Iterable[Manifest], parsed: Mapping[Digest, ImageConfig]) -> dict[Digest, str]:
    """Of each layer the digest of its uncompressed content, where its image's config gives one for every layer."""
    found: dict[Digest, str] = {}
    for manifest in manifests:
        config = parsed.get(manifest.config.digest) if manifest.config else None
        if config and len(config.diff_ids) == len(manifest.layers):
            pairs = zip(manifest.layers, config.diff_ids, strict=True)
            found.update((layer.digest, diff_id) for layer, diff_id in pairs if is_digest(diff_id))
    return found


def _positions(manifest: Manifest) -> dict[Digest, tuple[int, bool]]:
    """Each blob's first place: the config is 0, layers count from 1. Foreign layers are not stored here."""
    found: dict[Digest, tuple[int, bool]] = {}
    if manifest.config is not None:
        found[manifest.config.digest] = (0, False)
    for position, layer in enumerate(manifest.layers, start=1):
        if not layer.is_foreign:
            found.setdefault(layer.digest, (position, True))
    return found


def _row(manifest: Manifest, parsed: Mapping[Digest, ImageConfig]) -> IndexedManifest:
    config = parsed.get(manifest.config.digest) if manifest.config else None
    is_image = manifest.kind is Kind.IMAGE
    return IndexedManifest(
        digest=manifest.digest,
        media_type=storable(manifest.media_type, MAX_TEXT),
        kind=manifest.kind,
        artifact_type=storable(manifest.artifact_type, MAX_TEXT),
        document_bytes=manifest.size,
        bytes=sum({d.digest: _bytes(d.size) for d in manifest.content() if not d.is_foreign}.values()),
        config_digest=manifest.config.digest if manifest.config else "",
        subject=manifest.subject.digest if manifest.subject else "",
        platform=storable(str(config.platform), MAX_PLATFORM) if config and is_image else "",
        created_at=parse_time(config.created) if config and is_image else None,
        chain=chain_of(config.diff_ids) if config and is_image else "",
    )


def _labels(manifest: Manifest, parsed: Mapping[Digest, ImageConfig]) -> list[tuple[str, str]]:
    config = parsed.get(manifest.config.digest) if manifest.config else None
    together = dict(manifest.annotations) | dict(config.labels if config else {})
    return [
        (storable(key, ManifestLabel.MAX_KEY), storable(value, ManifestLabel.MAX_VALUE))
        for key, value in sorted(together.items())[: ManifestLabel.MAX_LABELS]
    ]


def chain_of(diff_ids: Iterable[str]) -> str:
    """The ChainID of these layers (OCI image spec 1.1, config.md, "Layer ChainID"); "" for none and for rubbish."""
    chain = ""
    for diff_id in diff_ids:
        if not is_digest(diff_id):
            return ""
        chain = f"sha256:{hashlib.sha256(f'{chain} {diff_id}'.encode()).hexdigest()}" if chain else diff_id
    return chain


def storable(text: str, limit: int) -> str:
    """Somebody's text as every database takes it: without NUL and lone surrogates, at most `limit` characters."""
    return text[:limit].replace("\0", "").encode("utf-8", "replace").decode()


def _bytes(claimed: int) -> int:
    """A size as a manifest claims it, within what sums of many can hold."""
    return min(claimed, MAX_BYTES)


def _code(error: Exception) -> str:
    return getattr(error, "code", "fault")
