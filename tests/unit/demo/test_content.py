"""The demo shows every case that the pages know, and what it pushes is whole."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import zstandard

from dashboard.registry import media_types
from dashboard.registry.manifests import Kind, Manifest, parse_config, parse_manifest
from dashboard.registry.references import digest_of, parse_repository, parse_tag
from dashboard.services.demo.content import NIGHTLIES, Interrupt, Push, Remove, events
from dashboard.services.demo.images import Document
from dashboard.services.demo.layers import MODIFIED

MIB = 1024 * 1024


@dataclass
class Demo:
    """The demo as a registry would hold it after all events."""

    documents: dict[str, dict[str, Document]] = field(default_factory=lambda: defaultdict(dict))
    tags: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    removed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    interrupted: list[Interrupt] = field(default_factory=list)

    def manifest(self, repository: str, tag: str) -> Manifest:
        document = self.documents[repository][self.tags[repository][tag]]
        return parse_manifest(document.raw, document.media_type)


@cache
def demo() -> Demo:
    held = Demo()
    for event in events():
        parse_repository(event.repository)
        match event:
            case Push():
                for document in everything_in(event.document):
                    held.documents[event.repository][document.digest] = document
                for tag in event.tags:
                    held.tags[event.repository][parse_tag(tag)] = event.document.digest
            case Remove():
                held.removed[event.repository].add(event.document.digest)
                kept = held.tags[event.repository].items()
                held.tags[event.repository] = {tag: to for tag, to in kept if to != event.document.digest}
            case Interrupt():
                held.interrupted.append(event)
    return held


def everything_in(document: Document) -> Iterator[Document]:
    for child in document.children:
        yield from everything_in(child)
    yield document


def all_documents() -> Iterator[Document]:
    for documents in demo().documents.values():
        yield from documents.values()


def unpacked(media_type: str, content: bytes) -> bytes:
    if media_type.endswith("zstd"):
        return zstandard.ZstdDecompressor().decompress(content)
    return gzip.decompress(content) if media_type.endswith("gzip") else content


def images() -> Iterator[tuple[Document, Manifest]]:
    for document in all_documents():
        manifest = parse_manifest(document.raw, document.media_type)
        is_system = document.platform.get("os") in {"linux", "windows"}
        if manifest.kind is Kind.IMAGE and is_system:
            yield document, manifest


def test_everything_a_document_refers_to_is_pushed_with_it_and_has_the_size_it_says() -> None:
    for document in all_documents():
        manifest = parse_manifest(document.raw, document.media_type)
        blobs = {blob.digest: blob for blob in document.blobs}
        for content in manifest.content():
            assert digest_of(blobs[content.digest].content) == content.digest
            assert len(blobs[content.digest].content) == content.size
            assert blobs[content.digest].media_type == content.media_type
        children = {child.digest: child for child in document.children}
        assert {child.digest for child in manifest.children} == set(children)
        assert all(len(children[child.digest].raw) == child.size for child in manifest.children)


def test_layers_of_images_are_archives_that_the_config_names_by_their_unpacked_digest() -> None:
    seen = set()
    for document, manifest in images():
        config = parse_config(document.blobs[0].content)
        assert len(config.diff_ids) == len(manifest.layers)
        for blob, diff_id in zip(document.blobs[1:], config.diff_ids, strict=True):
            if blob.digest in seen:
                continue
            seen.add(blob.digest)
            plain = unpacked(blob.media_type, blob.content)
            assert digest_of(plain) == diff_id
            with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
                members = archive.getmembers()
            assert any(member.isfile() for member in members)
            assert {member.mtime for member in members} == {MODIFIED}
    assert len(seen) > NIGHTLIES / 3


def test_the_history_of_an_image_accounts_for_each_of_its_layers() -> None:
    with_history = without = 0
    for document, manifest in images():
        history = parse_config(document.blobs[0].content).history
        if not history:
            without += 1
            continue
        with_history += 1
        assert sum(not line.empty_layer for line in history) == len(manifest.layers)
    assert with_history > NIGHTLIES / 3
    assert without == 3, "busybox, whose builder writes no history"


def test_the_same_files_come_out_each_time() -> None:
    # Over the archives, which no compression library touches: a new version of zlib may pack them otherwise.
    digest = hashlib.sha256()
    for document, _ in images():
        digest.update(" ".join(parse_config(document.blobs[0].content).diff_ids).encode())
    assert digest.hexdigest() == "3a95b674f202a9ba16fdc797ea2f7d283da0ea1df54d4fc1dee348697f00d938"


def test_the_whole_fits_a_laptop_and_is_big_enough_to_show_sizes() -> None:
    blobs = {blob.digest: len(blob.content) for document in all_documents() for blob in document.blobs}
    assert 40 * MIB < sum(blobs.values()) < 80 * MIB


def test_images_share_base_layers_across_repositories() -> None:
    base = demo().manifest("library/debian", "12").layers[0].digest
    for repository, tag in (
        ("library/python", "3.11"),
        ("team/app", "1.4.2"),
        ("team/web", "3.2.0"),
        ("data/etl", "2026-10"),
    ):
        assert demo().manifest(repository, tag).layers[0].digest == base


def test_one_digest_under_several_tags() -> None:
    tags = demo().tags["team/app"]
    assert tags["1.4.2"] == tags["1.4"] == tags["stable"]
    assert demo().manifest("team/app", "1.4.2").kind is Kind.IMAGE


def test_an_index_of_three_platforms_has_an_attestation_for_each() -> None:
    release = demo().manifest("team/app", "2.0.0")
    platforms = [str(child.platform) for child in release.children if not child.is_attestation]
    assert platforms == ["linux/amd64", "linux/arm64", "linux/arm/v7"]
    about = [child.attests for child in release.children if child.is_attestation]
    assert about == [child.digest for child in release.children if not child.is_attestation]
    for child in release.children:
        layers = parse_manifest(demo().documents["team/app"][child.digest].raw).layers
        assert child.is_attestation == all(layer.media_type == media_types.IN_TOTO for layer in layers)


def test_a_tagged_index_has_lost_its_arm64_child() -> None:
    broken = demo().manifest("team/app", "2.1.0-rc.1")
    lost = [child for child in broken.children if child.digest in demo().removed["team/app"]]
    assert [str(child.platform) for child in lost] == ["linux/arm64"]
    assert len(broken.children) == 2


def test_a_docker_manifest_list_beside_oci_indexes() -> None:
    listed = demo().manifest("library/busybox", "1.36")
    assert listed.media_type == media_types.DOCKER_LIST
    assert {child.media_type for child in listed.children} == {media_types.DOCKER_MANIFEST}


def test_a_repository_with_two_hundred_tags_where_nights_without_a_change_share_a_digest() -> None:
    tags = demo().tags["infra/ci/nightly"]
    assert len(tags) == 200
    assert tags["2026.11.13"] == tags["2026.11.14"] == tags["2026.11.15"] != tags["2026.11.16"]


def test_a_repository_lies_inside_another() -> None:
    assert demo().tags["team/app"]
    assert demo().tags["team/app/worker"]


def test_revisions_that_a_moved_tag_left_behind() -> None:
    reached = set(demo().tags["team/app"].values())
    for digest in list(reached):
        reached |= {child.digest for child in demo().documents["team/app"][digest].children}
    left = set(demo().documents["team/app"]) - reached - demo().removed["team/app"]
    assert len(left) == 2
    assert all(parse_manifest(demo().documents["team/app"][digest].raw).kind is Kind.IMAGE for digest in left)


def test_a_repository_is_emptied() -> None:
    assert demo().tags["sandbox/old"] == {}
    assert set(demo().documents["sandbox/old"]) == demo().removed["sandbox/old"]


def test_a_helm_chart_whose_tag_writes_plus_as_underscore() -> None:
    chart = demo().manifest("charts/platform", "1.0.1_build.7")
    assert chart.kind is Kind.ARTIFACT
    assert chart.artifact_type == media_types.HELM_CONFIG
    document = demo().documents["charts/platform"][chart.digest]
    assert json.loads(document.blobs[0].content)["version"] == "1.0.1+build.7"
    with tarfile.open(fileobj=io.BytesIO(document.blobs[1].content)) as archive:
        assert "platform/Chart.yaml" in archive.getnames()


def test_a_signature_and_an_sbom_are_tagged_after_the_digest_they_are_about() -> None:
    release = demo().tags["team/app"]["2.0.0"]
    name = release.replace("sha256:", "sha256-")
    signature = demo().manifest("team/app", f"{name}.sig")
    assert [layer.media_type for layer in signature.layers] == [media_types.COSIGN_SIGNATURE]
    statement = json.loads(demo().documents["team/app"][signature.digest].blobs[1].content)
    assert statement["critical"]["image"]["docker-manifest-digest"] == release
    [attached] = demo().manifest("team/app", name).children
    sbom = parse_manifest(demo().documents["team/app"][attached.digest].raw)
    assert sbom.subject is not None
    assert sbom.subject.digest == release
    assert sbom.artifact_type == attached.artifact_type == "application/vnd.cyclonedx+json"


def test_zstd_layers_beside_gzip_layers() -> None:
    kinds = [layer.media_type for layer in demo().manifest("team/web", "3.2.0").layers]
    assert kinds.count(media_types.OCI_LAYER_ZSTD) == 2
    assert set(kinds) == {media_types.OCI_LAYER_GZIP, media_types.OCI_LAYER_ZSTD}


def test_an_upload_that_is_never_finished() -> None:
    [upload] = demo().interrupted
    assert upload.repository == "data/etl"
    assert len(upload.content) == 2 * MIB


def test_a_config_with_everything_in_it() -> None:
    app = demo().manifest("team/app", "1.4.2")
    config = parse_config(demo().documents["team/app"][app.digest].blobs[0].content)
    assert "DATABASE_PASSWORD=change-me" in config.environment
    assert config.environment[0].startswith("PATH="), "what the base set is inherited"
    assert config.labels["org.opencontainers.image.version"] == "1.4.2"
    assert config.ports == ("8000/tcp", "9090/tcp")
    assert config.volumes == ("/data",)
    assert config.health_check == ("CMD-SHELL", "curl -f http://localhost:8000/healthz || exit 1")
    assert (config.user, config.working_dir, config.stop_signal) == ("app", "/app", "SIGTERM")
    assert sum(line.empty_layer for line in config.history) > 5


def test_an_image_for_windows_and_a_wasm_module() -> None:
    platforms = {child.platform.os for child in demo().manifest("infra/gateway", "5.0.1").children if child.platform}
    assert platforms == {"linux", "windows"}
    module = demo().manifest("infra/gateway/filters", "rate-limit-0.3.0")
    assert module.kind is Kind.ARTIFACT
    assert [layer.media_type for layer in module.layers] == ["application/wasm"]
