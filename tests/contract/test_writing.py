"""Pushing and deleting, as every registry does it."""

from __future__ import annotations

import hashlib
import json

import pytest

from dashboard.registry import errors, media_types
from dashboard.registry.client import Capabilities, Deletion, Family, RegistrySession
from dashboard.registry.references import RepositoryName, digest_of, parse_digest
from tests.support.images import push_image, push_index

from .conftest import Start, Subject

pytestmark = pytest.mark.contract

UNUSED = parse_digest("sha256:" + hashlib.sha256(b"nobody has this").hexdigest())


def test_probe_of_an_open_registry(registry: Subject) -> None:
    before = registry.session().repositories()
    capabilities = registry.session().probe()
    expected = {
        "2.8": (Family.DISTRIBUTION_2, Deletion.BY_DIGEST),
        "3.1": (Family.DISTRIBUTION_3, Deletion.BY_TAG),
    }
    assert (capabilities.family, capabilities.deletion) == expected[registry.version]
    assert capabilities == Capabilities(
        capabilities.family, capabilities.scheme, capabilities.deletion, capabilities.seconds, (), False
    )
    assert capabilities.scheme == "none"
    assert capabilities.seconds > 0
    assert set(registry.session().repositories().names) >= set(before.names)


def test_put_returns_the_digest_of_the_bytes(session: RegistrySession, repository: RepositoryName) -> None:
    pushed = push_image(session, repository)
    assert session.put_manifest(repository, "1.0", pushed.media_type, pushed.raw) == digest_of(pushed.raw)
    assert session.tags(repository) == ("1.0",)


def test_pushing_by_digest_makes_no_tag(session: RegistrySession, repository: RepositoryName) -> None:
    pushed = push_image(session, repository)
    assert session.has_manifest(repository, pushed.digest)
    with pytest.raises(errors.RepositoryUnknown):
        session.tags(repository)


def test_put_of_a_manifest_whose_blob_is_missing_is_refused_by_name(
    session: RegistrySession, repository: RepositoryName
) -> None:
    config = session.upload_blob(repository, b"{}")
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": {"mediaType": media_types.OCI_CONFIG, "digest": config, "size": 2},
        "layers": [{"mediaType": media_types.OCI_LAYER_GZIP, "digest": UNUSED, "size": 7}],
    }
    with pytest.raises(errors.Rejected) as caught:
        session.put_manifest(repository, "1.0", media_types.OCI_MANIFEST, json.dumps(document).encode())
    assert [d.code for d in caught.value.diagnostics] == ["MANIFEST_BLOB_UNKNOWN"]
    assert UNUSED in caught.value.diagnostics[0].detail


def test_put_of_an_index_whose_child_is_missing_is_refused(
    session: RegistrySession, repository: RepositoryName
) -> None:
    child = {"mediaType": media_types.OCI_MANIFEST, "digest": UNUSED, "size": 7}
    with pytest.raises(errors.Rejected) as caught:
        push_index(session, repository, "multi", children=[child])
    assert [d.code for d in caught.value.diagnostics] == ["MANIFEST_BLOB_UNKNOWN"]


def test_put_of_more_than_four_mebibytes_is_refused(session: RegistrySession, repository: RepositoryName) -> None:
    with pytest.raises(errors.Rejected):
        session.put_manifest(repository, "big", media_types.OCI_MANIFEST, b" " * (4 * 1024 * 1024 + 1))


def test_unfinished_upload_leaves_no_blob(session: RegistrySession, registry: Subject) -> None:
    repository = registry.repository()
    upload = session.begin_upload(repository, b"only a beginning")
    assert upload.id
    assert session.has_blob(repository, digest_of(b"only a beginning")) is None
    if registry.running is not None:
        uploads = registry.running.root / "docker/registry/v2/repositories" / repository / "_uploads"
        assert [path.name for path in uploads.iterdir()] == [upload.id]
        assert (uploads / upload.id / "data").read_bytes() == b"only a beginning"


def test_deleting_a_digest_takes_every_tag_that_names_it_and_no_other(
    session: RegistrySession, repository: RepositoryName
) -> None:
    doomed = push_image(session, repository, "1.0", "1", "latest", layers=(b"old",))
    kept = push_image(session, repository, "2.0", layers=(b"new",))
    session.delete_manifest(repository, doomed.digest)
    assert session.tags(repository) == ("2.0",)
    assert not session.has_manifest(repository, doomed.digest)
    assert session.has_manifest(repository, kept.digest)
    with pytest.raises(errors.ManifestUnknown):
        session.delete_manifest(repository, doomed.digest)


def test_deleting_a_tag_takes_that_tag_only_or_is_said_to_be_unsupported(
    session: RegistrySession, registry: Subject
) -> None:
    repository = registry.repository()
    pushed = push_image(session, repository, "1.0", "1", "latest")
    if registry.version == "2.8":
        with pytest.raises(errors.Unsupported) as caught:
            session.delete_tag(repository, "1")
        assert not isinstance(caught.value, errors.DeletionDisabled)
        assert sorted(session.tags(repository)) == ["1", "1.0", "latest"]
        return
    session.delete_tag(repository, "1")
    assert sorted(session.tags(repository)) == ["1.0", "latest"]
    assert session.has_manifest(repository, pushed.digest)
    with pytest.raises(errors.ManifestUnknown):
        session.delete_tag(repository, "1")


def test_deleting_an_index_leaves_its_children(session: RegistrySession, repository: RepositoryName) -> None:
    child = push_image(session, repository)
    index = push_index(session, repository, "multi", children=[child])
    session.delete_manifest(repository, index.digest)
    assert session.tags(repository) == ()
    assert session.has_manifest(repository, child.digest)


def test_what_was_deleted_can_be_put_back(session: RegistrySession, repository: RepositoryName) -> None:
    pushed = push_image(session, repository, "1.0", "latest")
    session.delete_manifest(repository, pushed.digest)
    for tag in ("1.0", "latest"):
        session.put_manifest(repository, tag, pushed.media_type, pushed.raw)
    assert sorted(session.tags(repository)) == ["1.0", "latest"]
    assert session.get_manifest(repository, "latest").raw == pushed.raw


def test_disabled_deletion_is_found_by_the_probe_and_changes_nothing(start: Start, kind: str) -> None:
    registry = start(kind, "no-delete")
    session, repository = registry.session(), registry.repository()
    pushed = push_image(session, repository, "1.0", "latest")
    capabilities = session.probe()
    assert (capabilities.deletion, capabilities.faults) == (Deletion.DISABLED, ())
    with pytest.raises(errors.DeletionDisabled):
        session.delete_manifest(repository, pushed.digest)
    with pytest.raises(errors.DeletionDisabled):
        session.delete_tag(repository, "latest")
    assert sorted(session.tags(repository)) == ["1.0", "latest"]


def test_registry_in_maintenance_says_so(start: Start, kind: str) -> None:
    registry = start(kind, "readonly")
    session, repository = registry.session(), registry.repository()
    assert session.probe().deletion == Deletion.READ_ONLY
    with pytest.raises(errors.ReadOnly):
        session.delete_manifest(repository, UNUSED)
    with pytest.raises(errors.ReadOnly):
        session.upload_blob(repository, b"{}")
