"""What a tag shows of the manifest that it names, as far as its repository holds what that lists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from dashboard.models import IndexedManifest
from dashboard.registry.manifests import Kind
from dashboard.services.index.content_rows import Entry, Loaded, about, tagged_digests, target_of

NOON = dt.datetime(2026, 5, 3, 12, 0, tzinfo=dt.UTC)
HEX = "a" * 64


class Known(Loaded):
    """What the index knows, made up."""

    __slots__ = ()

    def manifest(
        self,
        digest: str,
        kind: Kind = Kind.IMAGE,
        *,
        platform: str = "",
        blobs: Sequence[int] = (),
        entries: Sequence[Entry] = (),
        subject: str = "",
        created: dt.datetime | None = None,
    ) -> None:
        """A manifest whose blobs are of as many bytes as their ids say."""
        pk = len(self.manifests) + 1
        self.manifests[digest] = IndexedManifest(
            pk=pk, digest=digest, kind=kind, platform=platform, subject=subject, created_at=created
        )
        self.blobs[pk] = {blob: blob for blob in blobs}
        if entries:
            self.entries[pk] = list(entries)


def entry(digest: str, platform: str = "", *, attestation: bool = False) -> Entry:
    return Entry(digest, platform, attestation)


def index() -> Known:
    """amd64 and arm64 share a layer of 10 bytes; an attestation belongs to amd64."""
    known = Known()
    known.manifest("amd", platform="linux/amd64", blobs=(10, 20), created=NOON)
    known.manifest("arm", platform="linux/arm64", blobs=(10, 30), created=NOON + dt.timedelta(hours=1))
    known.manifest("proof", platform="unknown/unknown", blobs=(1,))
    known.manifest(
        "index",
        Kind.INDEX,
        entries=[
            entry("amd", "linux/amd64"),
            entry("arm", "linux/arm64"),
            entry("proof", "unknown/unknown", attestation=True),
        ],
    )
    return known


def test_an_index_counts_each_blob_once_and_attestations_as_bytes_but_not_as_platforms() -> None:
    target = target_of(index(), "1.0", "index", {"index", "amd", "arm", "proof"})
    assert target is not None
    assert (target.bytes, target.platforms, target.is_partial) == (61, "linux/amd64 linux/arm64", False)
    assert (target.created_at, target.about) == (NOON, "")


def test_children_that_are_not_held_are_marked_and_not_counted() -> None:
    """Known content of another repository is no content of this one."""
    target = target_of(index(), "1.0", "index", {"index", "arm"})
    assert target is not None
    assert (target.bytes, target.platforms, target.is_partial) == (40, "!linux/amd64 linux/arm64", True)
    assert target.created_at == NOON + dt.timedelta(hours=1)


def test_an_index_in_an_index_shows_its_platforms() -> None:
    known = index()
    known.manifest("outer", Kind.INDEX, entries=[entry("index"), entry("amd", "linux/amd64"), entry("lost")])
    known.manifest("plain", platform="windows/amd64", blobs=(5,))
    known.manifest("bare", Kind.INDEX, entries=[entry("plain")])
    held = {"outer", "index", "amd", "arm", "proof", "plain", "bare"}
    target = target_of(known, "1.0", "outer", held)
    assert target is not None
    assert (target.bytes, target.platforms, target.is_partial) == (61, "linux/amd64 linux/arm64", True)
    bare = target_of(known, "1.0", "bare", held)
    assert bare is not None
    assert bare.platforms == "windows/amd64", "the image's own where the index says none"


def test_an_index_that_lists_itself_ends() -> None:
    known = Known()
    known.manifest("loop", Kind.INDEX, entries=[entry("loop"), entry("other")])
    known.manifest("other", Kind.INDEX, entries=[entry("loop")])
    target = target_of(known, "1", "loop", {"loop", "other"})
    assert target is not None
    assert (target.bytes, target.platforms) == (0, "")
    assert known.listed("loop") == {"loop", "other"}
    assert tagged_digests(known, ["loop"], {"loop", "other"}) == {"loop", "other"}


def test_sizes_of_what_is_not_understood_are_unknown() -> None:
    known = Known()
    known.manifest("schema 1", Kind.LEGACY)
    known.manifest("rubbish", Kind.UNKNOWN)
    known.manifest("foreign", Kind.IMAGE, platform="windows/amd64", blobs=(7,))
    sizes = {}
    for digest in known.manifests:
        target = target_of(known, "1", digest, set(known.manifests))
        assert target is not None
        sizes[digest] = target.bytes
    assert sizes == {"schema 1": None, "rubbish": None, "foreign": 7}
    assert target_of(known, "1", "never heard of", {"never heard of"}) is None


def test_what_a_referrer_is_about() -> None:
    assert about(f"sha256-{HEX}.sig", "") == about(f"sha256-{HEX}", "sha256:other") == f"sha256:{HEX}"
    assert about("1.0", f"sha256:{HEX}") == f"sha256:{HEX}"
    assert about(f"sha256-{HEX}-1", "") == about("1.0", "") == ""


def test_tagged_is_what_a_tag_reaches_by_indexes_and_subjects() -> None:
    known = index()
    known.manifest("signature", Kind.ARTIFACT, subject="amd")
    known.manifest("of the signature", Kind.ARTIFACT, subject="signature")
    known.manifest("stray", Kind.ARTIFACT, subject="untagged")
    known.manifest("untagged", platform="linux/amd64")
    held = set(known.manifests) - {"arm"}
    assert tagged_digests(known, ["index", "gone"], held) == {
        "index",
        "amd",
        "proof",
        "signature",
        "of the signature",
    }
