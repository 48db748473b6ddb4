"""Manifests and configs as the index keeps them: parsed once, by digest, whoever holds them.

Bytes are verified before they are kept: what one registry or storage claims under a digest is what all others see.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from django.db import transaction

from dashboard.models import Content, IndexedBlob, IndexedManifest, ManifestBlob, ManifestEntry, ManifestLabel
from dashboard.registry.client import RawManifest
from dashboard.registry.manifests import ImageConfig, Kind, Manifest, parse_config, parse_manifest
from dashboard.registry.media_types import IMAGE_CONFIG_TYPES, LEGACY_TYPES
from dashboard.registry.references import Digest, matches
from dashboard.registry.times import parse_time

from .readings import Held, Reader

T = TypeVar("T")
ROWS_AT_ONCE = 2000
MAX_DEPTH = 4
"""Indexes may list indexes; nobody nests deeper."""
MAX_CHILDREN = 1000
MAX_TEXT = 255
MAX_PLATFORM = 100


@dataclass(frozen=True, slots=True)
class Learnt:
    """What fetching found: which children a repository holds, and the error codes of what could not be read."""

    held: frozenset[Held]
    errors: Mapping[Held, str]


def learn(reader: Reader, wanted: Iterable[Held], *, revisions: Mapping[str, frozenset[Digest]]) -> Learnt:
    """Sees to it that each wanted manifest, and what indexes among them list, is in the index as far as it can be had.

    `revisions`: all that a repository holds, where that is known; else it is asked for each child. Writes in
    transactions of its own: content is visible to nobody before a repository's row refers to it.
    """
    held: set[Held] = set()
    errors: dict[Held, str] = {}
    level = list(dict.fromkeys(wanted))
    proven = True
    for _ in range(MAX_DEPTH):
        if not level:
            break
        known = known_digests(digest for _, digest in level)
        unknown = [key for key in level if key[1] not in known]
        present = {key for key in level if key[1] in known}
        if not proven:
            listed = {key for key in present if key[0] in revisions}
            present = {key for key in listed if key[1] in revisions[key[0]]} | reader.holds(present - listed)
            unknown = [key for key in unknown if key[0] not in revisions or key[1] in revisions[key[0]]]
        fetched = _fetch(reader, unknown)
        errors |= fetched
        held |= present | {key for key in unknown if key not in fetched}
        level = _children_of(held.intersection(level))
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


def _fetch(reader: Reader, wanted: list[Held]) -> dict[Held, str]:
    """Reads and keeps manifests that are not in the index; the error codes of those that could not be had."""
    errors: dict[Held, str] = {}
    for start in range(0, len(wanted), 200):
        part = wanted[start : start + 200]
        once = {digest: (repository, digest) for repository, digest in reversed(part)}
        good: dict[Digest, RawManifest] = {}
        for key, answer in reader.manifests(once.values()).items():
            if isinstance(answer, Exception):
                errors[key] = getattr(answer, "code", "fault")
            elif answer.media_type not in LEGACY_TYPES and not matches(key[1], answer.raw):
                errors[key] = "digest-mismatch"
            else:
                good[key[1]] = answer
        manifests = [parse_manifest(raw.raw, raw.media_type, digest) for digest, raw in good.items()]
        raw_configs = _configs(reader, once, manifests)
        keep(manifests, {digest: raw.raw for digest, raw in good.items()}, raw_configs)
        for key in part:
            if key[1] not in good and key not in errors:
                # Another repository was asked for it in this one's place.
                errors |= _fetch(reader, [key])
    return errors


def _configs(reader: Reader, holders: Mapping[Digest, Held], manifests: Iterable[Manifest]) -> dict[Digest, bytes]:
    wanted = {
        manifest.config.digest: (holders[manifest.digest][0], manifest.config.digest)
        for manifest in manifests
        if manifest.config is not None and manifest.config.media_type in IMAGE_CONFIG_TYPES
    }
    known = {
        Digest(row.digest): bytes(row.raw)
        for part in chunks(list(wanted))
        for row in Content.objects.filter(digest__in=part)
    }
    answers = reader.configs([key for digest, key in wanted.items() if digest not in known])
    found = {key[1]: raw for key, raw in answers.items() if isinstance(raw, bytes) and matches(key[1], raw)}
    return known | found


def keep(manifests: list[Manifest], raw: Mapping[Digest, bytes], raw_configs: Mapping[Digest, bytes]) -> None:
    """Writes manifests and what they refer to; those that are there already stay as they are."""
    sizes = {d.digest: d.size for m in manifests for d in m.content() if not d.is_foreign}
    parsed = {digest: parse_config(text) for digest, text in raw_configs.items()}
    with transaction.atomic():
        Content.objects.bulk_create(
            [
                *(Content(digest=m.digest, media_type=m.media_type[:MAX_TEXT], raw=raw[m.digest]) for m in manifests),
                *(Content(digest=digest, raw=text) for digest, text in raw_configs.items()),
            ],
            ignore_conflicts=True,
            batch_size=ROWS_AT_ONCE,
        )
        IndexedBlob.objects.bulk_create(
            [IndexedBlob(digest=digest, bytes=size) for digest, size in sizes.items()],
            ignore_conflicts=True,
            batch_size=ROWS_AT_ONCE,
        )
        already = known_digests(m.digest for m in manifests)
        new = [m for m in manifests if m.digest not in already]
        IndexedManifest.objects.bulk_create([_row(m, parsed) for m in new], ignore_conflicts=True)
        _keep_parts(new, parsed)


def _keep_parts(manifests: list[Manifest], parsed: Mapping[Digest, ImageConfig]) -> None:
    blob_ids: dict[str, int] = {}
    for part in chunks(list({d.digest for m in manifests for d in m.content()})):
        blob_ids |= dict(IndexedBlob.objects.filter(digest__in=part).values_list("digest", "pk"))
    ids: dict[str, int] = {}
    for part in chunks([m.digest for m in manifests]):
        ids |= dict(IndexedManifest.objects.filter(digest__in=part).values_list("digest", "pk"))
    blobs: list[ManifestBlob] = []
    entries: list[ManifestEntry] = []
    labels: list[ManifestLabel] = []
    for manifest in manifests:
        pk = ids[manifest.digest]
        blobs += [
            ManifestBlob(manifest_id=pk, blob_id=blob_ids[digest], position=position, is_layer=is_layer)
            for digest, (position, is_layer) in _positions(manifest).items()
            if digest in blob_ids
        ]
        entries += [
            ManifestEntry(
                manifest_id=pk,
                position=position,
                digest=d.digest,
                platform=str(d.platform or "")[:MAX_PLATFORM],
                attests=d.attests[:140],
                is_attestation=d.is_attestation,
            )
            for position, d in enumerate(manifest.children[:MAX_CHILDREN])
        ]
        labels += [ManifestLabel(manifest_id=pk, key=key, value=value) for key, value in _labels(manifest, parsed)]
    ManifestBlob.objects.bulk_create(blobs, ignore_conflicts=True, batch_size=ROWS_AT_ONCE)
    ManifestEntry.objects.bulk_create(entries, ignore_conflicts=True, batch_size=ROWS_AT_ONCE)
    ManifestLabel.objects.bulk_create(labels, batch_size=ROWS_AT_ONCE)


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
        media_type=manifest.media_type[:MAX_TEXT],
        kind=manifest.kind,
        artifact_type=manifest.artifact_type[:MAX_TEXT],
        document_bytes=manifest.size,
        bytes=manifest.content_bytes,
        config_digest=manifest.config.digest if manifest.config else "",
        subject=manifest.subject.digest if manifest.subject else "",
        platform=str(config.platform)[:MAX_PLATFORM] if config and is_image else "",
        created_at=parse_time(config.created) if config and is_image else None,
        chain=chain_of(config.diff_ids) if config and is_image else "",
    )


def _labels(manifest: Manifest, parsed: Mapping[Digest, ImageConfig]) -> list[tuple[str, str]]:
    config = parsed.get(manifest.config.digest) if manifest.config else None
    together = dict(manifest.annotations) | dict(config.labels if config else {})
    return [
        (key[: ManifestLabel.MAX_KEY].replace("\0", ""), value[: ManifestLabel.MAX_VALUE].replace("\0", ""))
        for key, value in sorted(together.items())[: ManifestLabel.MAX_LABELS]
    ]


def chain_of(diff_ids: Iterable[str]) -> str:
    """The ChainID of these layers (OCI image spec 1.1, config.md, "Layer ChainID"); "" for none."""
    chain = ""
    for diff_id in diff_ids:
        chain = diff_id if not chain else f"sha256:{hashlib.sha256(f'{chain} {diff_id}'.encode()).hexdigest()}"
    return chain[:140]
