"""What the index knows of manifests, loaded for a batch of repositories, and what follows for a tag that names one."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field

from dashboard.models import IndexedManifest, ManifestBlob, ManifestEntry
from dashboard.registry.manifests import Kind

from .documents import MAX_DEPTH, chunks

MAX_TAG_PLATFORMS = 1000
_ABOUT = re.compile(r"sha256-([a-f0-9]{64})(?:\.\w+)?")
_SIZES_UNKNOWN = (Kind.LEGACY, Kind.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of an index."""

    digest: str
    platform: str
    is_attestation: bool


@dataclass(frozen=True, slots=True)
class Loaded:
    """Rows of manifests by digest; entries and blobs (id to bytes) by the manifest's id."""

    manifests: dict[str, IndexedManifest] = field(default_factory=dict)
    entries: dict[int, list[Entry]] = field(default_factory=dict)
    blobs: dict[int, dict[int, int]] = field(default_factory=dict)

    def reached(self, digest: str, held: Set[str]) -> list[IndexedManifest]:
        """The manifest and those below it that are among `held`, itself first, each once."""
        found: dict[str, IndexedManifest] = {}
        pending = [digest]
        while pending:
            current = pending.pop(0)
            row = self.manifests.get(current)
            if row is None or current in found or (current != digest and current not in held):
                continue
            found[current] = row
            pending += [entry.digest for entry in self.entries.get(row.pk, ())]
        return list(found.values())

    def listed(self, digest: str) -> set[str]:
        """What the index `digest` lists, and what indexes among these list."""
        found: set[str] = set()
        pending = [digest]
        while pending:
            row = self.manifests.get(pending.pop())
            new = {entry.digest for entry in self.entries.get(row.pk, ())} - found if row is not None else set()
            found |= new
            pending += new
        return found

    def bytes_of(self, rows: Iterable[IndexedManifest]) -> int:
        """Bytes of their configs and layers, each once."""
        together: dict[int, int] = {}
        for row in rows:
            together |= self.blobs.get(row.pk, {})
        return sum(together.values())


@dataclass(frozen=True, slots=True)
class Target:
    """What a tag shows of the manifest it names: see IndexedTag."""

    manifest: IndexedManifest
    created_at: dt.datetime | None
    bytes: int | None
    is_partial: bool
    platforms: str
    about: str


def load(digests: Iterable[str]) -> Loaded:
    """The rows of these manifests and of all that indexes among them list."""
    loaded = Loaded()
    level = list(dict.fromkeys(digests))
    for _ in range(MAX_DEPTH):
        new = []
        for part in chunks([digest for digest in level if digest not in loaded.manifests]):
            new += list(IndexedManifest.objects.filter(digest__in=part))
        loaded.manifests.update((row.digest, row) for row in new)
        level = _load_entries(loaded, [row.pk for row in new if row.kind in (Kind.INDEX, Kind.UNKNOWN)])
        _load_blobs(loaded, [row.pk for row in new])
        if not level:
            break
    return loaded


def target_of(loaded: Loaded, tag: str, digest: str, held: Set[str]) -> Target | None:
    """What `tag`, which names `digest`, shows where the repository holds `held`; None if the manifest is unknown."""
    row = loaded.manifests.get(digest)
    if row is None:
        return None
    below = loaded.reached(digest, held)
    entries = loaded.entries.get(row.pk, [])
    sizes_known = row.kind not in _SIZES_UNKNOWN or any(loaded.blobs.get(r.pk) for r in below)
    images = [r for r in below if r.created_at is not None]
    return Target(
        manifest=row,
        created_at=images[0].created_at if images else None,
        bytes=loaded.bytes_of(below) if sizes_known else None,
        is_partial=any(entry.digest not in held for entry in entries),
        platforms=" ".join(dict.fromkeys(_platforms(loaded, row, held)))[:MAX_TAG_PLATFORMS],
        about=about(tag, row.subject),
    )


def about(tag: str, subject: str) -> str:
    """The digest that a referrer belongs to: by its subject, or by the tag schemas of OCI 1.1 and cosign; else ""."""
    match = _ABOUT.fullmatch(tag)
    return f"sha256:{match[1]}" if match else subject


def _platforms(loaded: Loaded, row: IndexedManifest, held: Set[str], depth: int = MAX_DEPTH) -> Iterator[str]:
    """The platform of an image; those of an index as it lists them, with what an index in it lists in its place."""
    if row.kind != Kind.INDEX:
        if row.platform:
            yield row.platform.replace(" ", "_")
        return
    for entry in loaded.entries.get(row.pk, []):
        child = loaded.manifests.get(entry.digest)
        if entry.is_attestation:
            continue
        if entry.platform:
            yield ("" if entry.digest in held else "!") + entry.platform.replace(" ", "_")
        elif child is not None and entry.digest in held and depth > 1:
            yield from _platforms(loaded, child, held, depth - 1)


def _load_entries(loaded: Loaded, ids: list[int]) -> list[str]:
    children: list[str] = []
    for part in chunks(ids):
        rows = ManifestEntry.objects.filter(manifest__in=part).order_by("manifest", "position")
        for pk, digest, platform, is_attestation in rows.values_list(
            "manifest", "digest", "platform", "is_attestation"
        ):
            loaded.entries.setdefault(pk, []).append(Entry(digest, platform, is_attestation))
            children.append(digest)
    return children


def _load_blobs(loaded: Loaded, ids: list[int]) -> None:
    for part in chunks(ids):
        rows = ManifestBlob.objects.filter(manifest__in=part)
        for pk, blob, size in rows.values_list("manifest", "blob", "blob__bytes"):
            loaded.blobs.setdefault(pk, {})[blob] = size


def tagged_digests(loaded: Loaded, roots: Iterable[str], held: Set[str]) -> set[str]:
    """Which of `held` a tag reaches: directly, through an index, or attached by a chain of subjects."""
    attached: Mapping[str, list[str]] = _attached(loaded, held)
    found: set[str] = set()
    pending = [digest for digest in roots if digest in held]
    while pending:
        digest = pending.pop()
        if digest in found:
            continue
        found.add(digest)
        row = loaded.manifests.get(digest)
        if row is not None:
            pending += [entry.digest for entry in loaded.entries.get(row.pk, ()) if entry.digest in held]
        pending += attached.get(digest, ())
    return found


def _attached(loaded: Loaded, held: Set[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for digest in held:
        row = loaded.manifests.get(digest)
        if row is not None and row.subject:
            found.setdefault(row.subject, []).append(digest)
    return found
