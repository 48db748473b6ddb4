"""Lists, manifests and blobs, as every registry answers them."""

from __future__ import annotations

import json

import pytest

from dashboard.registry import errors, media_types, paging
from dashboard.registry.client import RegistryClient, RegistrySession
from dashboard.registry.manifests import Kind, parse_manifest
from dashboard.registry.references import RepositoryName, digest_of, parse_digest, parse_repository
from tests.support.images import push_artifact, push_image, push_index

from .conftest import Start, Subject

pytestmark = pytest.mark.contract

UNUSED = parse_digest("sha256:" + "0" * 63 + "1")


def test_catalog_lists_each_repository_once_and_keeps_emptied_ones(session: RegistrySession, registry: Subject) -> None:
    full, emptied = registry.repository("listed"), registry.repository("listed")
    push_image(session, full, "1", "2")
    session.delete_manifest(emptied, push_image(session, emptied, "1").digest)

    catalog = session.repositories()

    assert catalog.complete
    assert catalog.names.count(full) == 1
    assert catalog.names.count(emptied) == 1


PAGING_NAMES = (
    "a", "a/1", "a/b", "a/b/c", "a-b", "a.b", "b", "c", "c/2", "c/2/3", "c/2/x", "d", "d/1", "d/2", "d/3", "d/4",
    "e/8/7", "e/9",
)  # fmt: skip


def test_catalog_is_whole_at_every_page_size_in_spite_of_the_paging_defects(start: Start, kind: str) -> None:
    registry = start(kind, "paging")
    session = registry.session()
    for name in PAGING_NAMES:
        push_image(session, name, "1")
    for page_size in (5, 6, 8, 9, 11, 13, 14, 16, 17, 18, 19):
        try:
            catalog = paging.repositories(session._exchange, page_size)
        except errors.ConnectionFailed:
            assert registry.version == "3.1"  # breaks off at every size there is: said, never a short list
            continue
        assert not catalog.complete or set(catalog.names) == set(PAGING_NAMES), page_size
    assert set(session.repositories().names) == set(PAGING_NAMES)


def test_fake_pages_the_catalog_exactly_as_the_real_one(start: Start, real_kind: str) -> None:
    real, fake = start(real_kind, "paging").session(), start(f"fake-{real_kind}", "paging").session()
    for name in PAGING_NAMES:
        push_image(real, name, "1")
        push_image(fake, name, "1")

    def page(session: RegistrySession, last: str, size: int) -> object:
        try:
            found = paging._page(session._exchange, paging._catalog_call(last, size), "repositories")
        except errors.ConnectionFailed:
            return "broken off"
        return found.names, found.last

    for last in ("", *PAGING_NAMES):
        for size in (1, 2, 5, 13, 40):
            assert page(fake, last, size) == page(real, last, size), (last, size)


def test_too_large_a_page_is_asked_again_without_a_size(session: RegistrySession, repository: RepositoryName) -> None:
    push_image(session, repository, "1")
    catalog = paging.repositories(session._exchange, 100_000)
    assert catalog.complete
    assert repository in catalog.names


def test_tags_are_all_listed(session: RegistrySession, repository: RepositoryName) -> None:
    names = [f"v{number}" for number in range(120)]
    push_image(session, repository, *names)
    assert sorted(session.tags(repository)) == sorted(names)


def test_emptied_repository_has_no_tags(session: RegistrySession, repository: RepositoryName) -> None:
    session.delete_manifest(repository, push_image(session, repository, "1").digest)
    assert session.tags(repository) == ()


def test_unknown_repository_is_said_to_be_unknown(session: RegistrySession, repository: RepositoryName) -> None:
    with pytest.raises(errors.RepositoryUnknown) as caught:
        session.tags(repository)
    assert caught.value.status == 404
    assert caught.value.subject == repository
    assert [d.code for d in caught.value.diagnostics] == ["NAME_UNKNOWN"]


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
def test_image_is_read_by_tag_and_by_digest(session: RegistrySession, repository: RepositoryName, docker: bool) -> None:
    pushed = push_image(session, repository, "1.0", docker=docker)
    for reference in ("1.0", pushed.digest):
        head = session.head_manifest(repository, reference)
        got = session.get_manifest(repository, reference)
        assert (head.digest, head.media_type, head.size) == (pushed.digest, pushed.media_type, len(pushed.raw))
        assert (got.digest, got.media_type, got.raw) == (pushed.digest, pushed.media_type, pushed.raw)
    assert parse_manifest(got.raw, got.media_type).kind == Kind.IMAGE


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
def test_index_is_read_as_itself_and_not_as_one_of_its_children(
    session: RegistrySession, repository: RepositoryName, docker: bool
) -> None:
    children = [
        push_image(session, repository, platform=platform, docker=docker) for platform in ("linux/amd64", "linux/arm64")
    ]
    pushed = push_index(session, repository, "multi", children=children, docker=docker)
    got = session.get_manifest(repository, "multi")
    assert (got.digest, got.media_type, got.raw) == (pushed.digest, pushed.media_type, pushed.raw)
    assert session.head_manifest(repository, "multi").media_type == pushed.media_type
    manifest = parse_manifest(got.raw, got.media_type)
    assert [str(child.platform) for child in manifest.children] == ["linux/amd64", "linux/arm64"]
    assert all(session.has_manifest(repository, child.digest) for child in manifest.children)


def test_artifact_keeps_its_own_types(session: RegistrySession, repository: RepositoryName) -> None:
    push_artifact(
        session,
        repository,
        "chart",
        config=b'{"name": "chart"}',
        config_type=media_types.HELM_CONFIG,
        layers=[(media_types.HELM_CHART, b"a chart")],
        annotations={"org.opencontainers.image.title": "chart"},
    )
    got = session.get_manifest(repository, "chart")
    manifest = parse_manifest(got.raw, got.media_type)
    assert (manifest.kind, manifest.artifact_type) == (Kind.ARTIFACT, media_types.HELM_CONFIG)


def test_manifest_without_media_type_is_read(session: RegistrySession, repository: RepositoryName) -> None:
    config = session.upload_blob(repository, b"{}")
    raw = json.dumps(
        {"schemaVersion": 2, "config": {"mediaType": media_types.OCI_EMPTY, "digest": config, "size": 2}, "layers": []}
    ).encode()
    session.put_manifest(repository, "bare", media_types.OCI_MANIFEST, raw)
    got = session.get_manifest(repository, "bare")
    assert (got.raw, got.media_type) == (raw, media_types.OCI_MANIFEST)


@pytest.mark.parametrize("reference", ["nothing", UNUSED], ids=["tag", "digest"])
def test_unknown_manifest_is_said_to_be_unknown(
    session: RegistrySession, repository: RepositoryName, reference: str
) -> None:
    push_image(session, repository, "1.0")
    with pytest.raises(errors.ManifestUnknown):
        session.head_manifest(repository, reference)
    with pytest.raises(errors.ManifestUnknown) as caught:
        session.get_manifest(repository, reference)
    assert reference in caught.value.subject


def test_content_is_had_only_from_the_repository_that_holds_it(session: RegistrySession, registry: Subject) -> None:
    holder, other = registry.repository(), registry.repository()
    pushed = push_image(session, holder, "1.0", layers=(b"held by one only",))
    push_image(session, other, "1.0", layers=(b"something else",))
    assert session.has_manifest(holder, pushed.digest)
    assert not session.has_manifest(other, pushed.digest)
    assert session.has_blob(holder, pushed.layers[0]) == len(b"held by one only")
    assert session.has_blob(other, pushed.layers[0]) is None
    with pytest.raises(errors.BlobUnknown):
        session.read_blob(other, pushed.layers[0], limit=1000)


def test_layer_is_no_manifest(session: RegistrySession, repository: RepositoryName) -> None:
    pushed = push_image(session, repository, "1.0")
    assert not session.has_manifest(repository, pushed.layers[0])


def test_blob_is_read_whole_and_in_parts(session: RegistrySession, repository: RepositoryName) -> None:
    content = bytes(range(256)) * 4096
    digest = session.upload_blob(repository, content)
    assert digest == digest_of(content)
    assert session.read_blob(repository, digest, limit=len(content)) == content
    with session.stream_blob(repository, digest) as parts:
        assert b"".join(parts) == content
    with pytest.raises(errors.TooLarge) as caught:
        session.read_blob(repository, digest, limit=len(content) - 1)
    assert caught.value.limit == len(content) - 1


def test_unknown_blob_is_said_to_be_unknown(session: RegistrySession, repository: RepositoryName) -> None:
    push_image(session, repository, "1.0")
    with pytest.raises(errors.BlobUnknown):
        session.read_blob(repository, UNUSED, limit=10)
    with pytest.raises(errors.BlobUnknown), session.stream_blob(repository, UNUSED) as parts:
        next(parts)


def test_registry_with_nested_names_reads_each_as_itself(session: RegistrySession, registry: Subject) -> None:
    outer = registry.repository("nested")
    inner = parse_repository(f"{outer}/worker")
    push_image(session, outer, "outer")
    push_image(session, inner, "inner")
    assert session.tags(outer) == ("outer",)
    assert session.tags(inner) == ("inner",)


def test_address_below_which_there_is_no_registry(start: Start, real_kind: str) -> None:
    registry = start(real_kind, "open")
    assert registry.running is not None
    client = RegistryClient(f"{registry.running.url}/elsewhere")
    with pytest.raises(errors.NotARegistry):
        client.session().ping()
    client.close()
