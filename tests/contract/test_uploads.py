"""Blobs in parts, cancelled, mounted and read in ranges, as every registry does it; and blobs that are gone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from dashboard.registry import errors, uploads
from dashboard.registry.calls import Answer, Call
from dashboard.registry.client import RegistrySession, Upload
from dashboard.registry.references import Digest, RepositoryName, digest_of, parse_digest
from tests.support.images import push_image

from .conftest import READER, Start, Subject

pytestmark = pytest.mark.contract

UNUSED = parse_digest("sha256:" + hashlib.sha256(b"nobody has this").hexdigest())
BLOB = b"hello world"
REMEMBERING = ("cached", "open")  # with a cache of descriptors, and without


def unfinished(registry: Subject, repository: str) -> dict[str, bytes]:
    """id → content of the uploads that the registry keeps.

    Of a cancelled one Distribution forgets all but leaves a directory with an empty content's hash state, written by
    its closing: what began has a `startedat`.
    """
    if registry.fake is not None:
        return registry.fake.uploads(repository)
    assert registry.running is not None
    directory = registry.running.root / "docker/registry/v2/repositories" / repository / "_uploads"
    found = [path for path in directory.iterdir() if (path / "startedat").exists()] if directory.is_dir() else []
    return {path.name: data.read_bytes() if (data := path / "data").exists() else b"" for path in found}


def collect(registry: Subject, digest: Digest, mode: str) -> None:
    """Remove a blob's content as a garbage collection does."""
    if registry.fake is not None:
        registry.fake.collect_blob(digest, is_remembered=mode == "cached")
        return
    assert registry.running is not None
    hexadecimal = digest.partition(":")[2]
    blobs = registry.running.root / "docker/registry/v2/blobs/sha256"
    (blobs / hexadecimal[:2] / hexadecimal / "data").unlink()


# Parts


@pytest.mark.parametrize(
    "parts",
    [[], [b""], [b"one"], [b"a", b"", b"bc"] * 5, [b"x" * 50, b"y" * 3, b"z" * 33]],
    ids=["none", "empty", "one", "small", "large"],
)
def test_blob_in_parts_is_the_blob(
    registry: Subject, repository: RepositoryName, parts: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_PART_BYTES", 16)
    session, whole = registry.session(), b"".join(parts)
    assert session.upload_blob_in_parts(repository, parts) == digest_of(whole)
    assert session.read_blob(repository, digest_of(whole), limit=1000) == whole
    assert unfinished(registry, repository) == {}


def test_blob_of_more_than_one_request(registry: Subject, repository: RepositoryName) -> None:
    session = registry.session()
    digest = session.upload_blob_in_parts(repository, (bytes([number]) * 3_000_000 for number in range(6)))
    assert session.has_blob(repository, digest) == 18_000_000
    assert session.read_range(repository, digest, 8_999_999, 2) == b"\x02\x03"


def test_blob_may_be_named_by_another_algorithm(session: RegistrySession, repository: RepositoryName) -> None:
    digest = parse_digest("sha512:" + hashlib.sha512(BLOB).hexdigest())
    assert session.upload_blob_in_parts(repository, [BLOB], digest) == digest
    assert session.read_blob(repository, digest, limit=100) == BLOB
    assert session.blob_is_readable(repository, digest, len(BLOB))


def test_blob_with_another_digest_is_not_stored(registry: Subject, repository: RepositoryName) -> None:
    session = registry.session()
    with pytest.raises(errors.DigestMismatch):
        session.upload_blob_in_parts(repository, [BLOB], UNUSED)
    assert session.has_blob(repository, digest_of(BLOB)) is None
    assert unfinished(registry, repository) == {}


def test_upload_ends_where_its_parts_do(
    registry: Subject, repository: RepositoryName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_PART_BYTES", 4)
    seen: list[bytes] = []

    def broken() -> Iterator[bytes]:
        yield b"abcdef"
        seen.extend(unfinished(registry, repository).values())
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="the source is gone"):
        registry.session().upload_blob_in_parts(repository, broken())
    assert seen == [b"abcd"]
    assert unfinished(registry, repository) == {}


# What the registries say to a client that is out of step


def ask(
    session: RegistrySession, method: str, upload: Upload, content: bytes | None = None, **headers: str
) -> tuple[Upload, Answer]:
    fields = {name.replace("_", "-"): text for name, text in headers.items()}
    call = Call("test", method, upload.location, headers=fields, content=content)
    answer = session._exchange.ask(call)
    return uploads._following(session._exchange, call, answer, upload.repository), answer


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ("9-10", 416, "RANGE_INVALID"),
        ("0-1", 416, "RANGE_INVALID"),
        ("5-4", 416, "RANGE_INVALID"),
        ("5-14", 400, "SIZE_INVALID"),
        ("bytes 5-6/100", 500, "UNKNOWN"),
    ],
)
def test_part_at_a_wrong_place_is_refused_by_3_and_taken_by_2(
    registry: Subject, repository: RepositoryName, given: str, status: int, code: str
) -> None:
    session = registry.session()
    upload = session.begin_upload(repository, b"hello")
    if registry.version == "2.8":
        following, answer = ask(session, "PATCH", upload, b"XX", Content_Range=given)
        assert (answer.status, answer.range) == (202, "0-6")
        session.cancel_upload(following)
        return
    with pytest.raises(errors.RegistryError) as caught:
        ask(session, "PATCH", upload, b"XX", Content_Range=given)
    assert (caught.value.status, [d.code for d in caught.value.diagnostics]) == (status, [code])
    assert unfinished(registry, repository) == {upload.id: b"hello"}


def test_upload_tells_where_it_stands(registry: Subject, repository: RepositoryName) -> None:
    session = registry.session()
    upload = session.begin_upload(repository, b"hello")
    following, answer = ask(session, "GET", upload)
    assert (answer.status, answer.range, following.id) == (204, "0-4", upload.id)
    following, answer = ask(session, "PATCH", following, b" world", Content_Range="5-10")
    assert (answer.status, answer.range) == (202, "0-10")
    if registry.version == "2.8":
        with pytest.raises(errors.NotFound) as caught:
            ask(session, "GET", upload)
        assert [d.code for d in caught.value.diagnostics] == ["BLOB_UPLOAD_INVALID"]
    else:
        assert ask(session, "GET", upload)[1].range == "0-10"


def test_wrong_digest_is_refused(registry: Subject, repository: RepositoryName) -> None:
    session = registry.session()
    upload = session.begin_upload(repository, b"hello")
    for digest in (f"&digest={UNUSED}", "", "&digest=none"):
        with pytest.raises(errors.Rejected) as caught:
            ask(session, "PUT", Upload(repository, upload.id, upload.location + digest))
        assert [d.code for d in caught.value.diagnostics] == ["DIGEST_INVALID"]
    assert ask(session, "GET", upload)[1].range == "0-4"
    with pytest.raises(errors.Rejected):  # its bytes are taken all the same
        ask(session, "PUT", Upload(repository, upload.id, f"{upload.location}&digest={UNUSED}"), b" world")
    if registry.version == "2.8":
        with pytest.raises(errors.NotFound):
            ask(session, "GET", upload)
    else:
        assert ask(session, "GET", upload)[1].range == "0-10"


# Cancelling


def test_cancelled_upload_is_gone(registry: Subject, repository: RepositoryName) -> None:
    session = registry.session()
    upload, other = session.begin_upload(repository, BLOB), session.begin_upload(repository, b"another")
    assert (upload.repository, upload.size) == (repository, len(BLOB))
    assert unfinished(registry, repository) == {upload.id: BLOB, other.id: b"another"}
    session.cancel_upload(upload)
    assert unfinished(registry, repository) == {other.id: b"another"}
    with pytest.raises(errors.NotFound) as caught:
        session.cancel_upload(upload)
    assert [d.code for d in caught.value.diagnostics] == ["BLOB_UPLOAD_UNKNOWN"]
    assert upload.id in caught.value.subject


def test_upload_that_went_on_is_cancelled_where_the_registry_tells_how_far(
    registry: Subject, repository: RepositoryName
) -> None:
    session = registry.session()
    upload = session.begin_upload(repository, b"hello")
    ask(session, "PATCH", upload, b" world")
    if registry.version == "2.8":
        with pytest.raises(errors.NotFound):
            session.cancel_upload(upload)
    else:
        session.cancel_upload(upload)
        assert unfinished(registry, repository) == {}


def test_cancelling_needs_no_deletion_to_be_enabled(start: Start, kind: str) -> None:
    registry = start(kind, "no-delete")
    session, repository = registry.session(), registry.repository()
    session.cancel_upload(session.begin_upload(repository, BLOB))
    assert unfinished(registry, repository) == {}


# Mounting


def test_mounted_blob_is_held_by_both(registry: Subject) -> None:
    session, source, target = registry.session(), registry.repository(), registry.repository("another")
    digest = session.upload_blob(source, BLOB)
    assert session.mount_blob(target, digest, source)
    assert session.read_blob(target, digest, limit=100) == BLOB
    assert session.mount_blob(source, digest, source)
    assert unfinished(registry, target) == {}


def test_mount_of_what_is_not_there_begins_nothing(registry: Subject) -> None:
    session, source, target = registry.session(), registry.repository(), registry.repository()
    session.upload_blob(source, BLOB)
    assert not session.mount_blob(target, UNUSED, source)
    assert not session.mount_blob(target, digest_of(BLOB), registry.repository())
    assert session.has_blob(target, digest_of(BLOB)) is None
    assert unfinished(registry, target) == {}


@pytest.mark.parametrize("mode", ["htpasswd", "token"])
def test_people_upload_cancel_and_mount(start: Start, kind: str, mode: str) -> None:
    registry = start(kind, mode)
    session, source, target = registry.session(), registry.repository(), registry.repository()
    digest = session.upload_blob_in_parts(source, [BLOB])
    assert session.mount_blob(target, digest, source)
    assert not session.mount_blob(target, UNUSED, source)
    session.cancel_upload(session.begin_upload(target, BLOB))
    assert unfinished(registry, target) == {}
    assert session.read_range(target, digest, 6, 5) == b"world"
    with pytest.raises(errors.Unauthorized):
        registry.nobody().mount_blob(target, digest, source)


def test_who_may_only_pull_mounts_nothing(start: Start, kind: str) -> None:
    registry = start(kind, "token")
    source, target = registry.repository(), registry.repository()
    digest = registry.session().upload_blob(source, BLOB)
    reader = registry.session(READER)
    with pytest.raises(errors.Unauthorized) as caught:
        reader.mount_blob(target, digest, source)
    assert caught.value.reason == "insufficient_scope"
    with pytest.raises(errors.Unauthorized):
        reader.upload_blob_in_parts(target, [BLOB])
    assert reader.blob_is_readable(source, digest)


def test_registry_in_maintenance_takes_nothing(start: Start, kind: str) -> None:
    registry = start(kind, "readonly")
    session, repository = registry.session(), registry.repository()
    for request in (
        lambda: session.upload_blob_in_parts(repository, [BLOB]),
        lambda: session.begin_upload(repository, BLOB),
        lambda: session.mount_blob(repository, UNUSED, repository),
    ):
        with pytest.raises(errors.ReadOnly):
            request()


# Ranges


@pytest.mark.parametrize(
    ("start_at", "length", "expected"),
    [
        (0, 1, b"h"),
        (0, 5, b"hello"),
        (6, 5, b"world"),
        (6, 100, b"world"),
        (10, 1, b"d"),
        (11, 1, b""),
        (50, 10, b""),
        (0, 11, BLOB),
        (0, 12, BLOB),
    ],
)
def test_range_of_a_blob(
    session: RegistrySession, repository: RepositoryName, start_at: int, length: int, expected: bytes
) -> None:
    digest = session.upload_blob(repository, BLOB)
    assert session.read_range(repository, digest, start_at, length) == expected


def test_range_of_a_blob_that_is_empty_or_missing(session: RegistrySession, repository: RepositoryName) -> None:
    empty = session.upload_blob(repository, b"")
    assert session.read_range(repository, empty, 0, 10) == b""
    assert session.read_range(repository, empty, 5, 10) == b""
    with pytest.raises(errors.BlobUnknown):
        session.read_range(repository, UNUSED, 0, 10)


# Blobs that are gone


@pytest.mark.parametrize("mode", REMEMBERING)
@pytest.mark.parametrize("content", [BLOB, b"x" * 200_000, b""], ids=["small", "large", "empty"])
def test_blob_that_is_there_can_be_read(start: Start, kind: str, mode: str, content: bytes) -> None:
    registry = start(kind, mode)
    session, repository = registry.session(), registry.repository()
    digest = session.upload_blob(repository, content)
    assert session.blob_is_readable(repository, digest)
    assert session.blob_is_readable(repository, digest, len(content))
    assert not session.blob_is_readable(repository, digest, len(content) + 1)
    assert not session.blob_is_readable(repository, UNUSED)
    assert not session.blob_is_readable(registry.repository(), digest)


@pytest.mark.parametrize("mode", REMEMBERING)
def test_blob_that_a_collection_removed_is_found_out_by_reading_only(start: Start, kind: str, mode: str) -> None:
    registry = start(kind, mode)
    session, repository = registry.session(), registry.repository()
    content = f"collected from {repository}".encode()
    digest = push_image(session, repository, "1", layers=[content]).layers[0]
    assert session.has_blob(repository, digest) == len(content)
    collect(registry, digest, mode)
    assert session.has_blob(repository, digest) == (len(content) if mode == "cached" else None)
    assert not session.blob_is_readable(repository, digest)
    assert not session.blob_is_readable(repository, digest, len(content))
    with pytest.raises(errors.ConnectionFailed if mode == "cached" else errors.BlobUnknown):
        session.read_range(repository, digest, 0, 5)
    target = registry.repository()
    assert session.mount_blob(target, digest, repository) == (mode == "cached")
    assert not session.blob_is_readable(target, digest)
    session.upload_blob(repository, content)
    assert session.blob_is_readable(repository, digest, len(content))
