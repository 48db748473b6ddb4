"""The real registries on an S3 server: what they write there is accounted to the byte, and as they would collect it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.storage import objects
from dashboard.storage.bucket import Bucket
from dashboard.storage.garbage import Graph
from dashboard.storage.layout import blob_data
from dashboard.storage.usage import Amount, Usage, account, measure
from tests.support.object_storage import CREDENTIALS, REGION, ObjectStorage, object_storage
from tests.support.registries import KINDS, Kind, RunningRegistry, binary, missing, start_registry
from tests.unit.storage.test_storage_registry import Pusher, collect, collectable, fill

V2 = "registry/docker/registry/v2"


@pytest.fixture(scope="module")
def s3() -> Iterator[ObjectStorage]:
    with object_storage() as running:
        yield running


@pytest.fixture
def name(s3: ObjectStorage) -> str:
    return s3.bucket()


@pytest.fixture(params=KINDS)
def registry(request: pytest.FixtureRequest, tmp_path: Path, s3: ObjectStorage, name: str) -> Iterator[RunningRegistry]:
    kind: Kind = request.param
    if binary(kind) is None:
        pytest.skip(missing(kind))
    options: dict[str, Any] = {
        "accesskey": CREDENTIALS["AWS_ACCESS_KEY_ID"], "secretkey": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        "region": REGION, "regionendpoint": s3.endpoint, "forcepathstyle": True, "secure": False, "bucket": name,
        "rootdirectory": "/registry",
    }  # fmt: skip
    running = start_registry(kind, tmp_path, s3=options)
    yield running
    running.stop()


@pytest.fixture
def bucket(s3: ObjectStorage, name: str) -> Bucket:
    return Bucket(f"s3://{name}/registry", s3.endpoint)


def accounted(bucket: Bucket) -> Usage:
    return account(objects.take(bucket, now=time.time()))


def test_every_byte_is_where_a_plain_listing_has_it_and_orphans_are_what_the_registry_would_collect(
    registry: RunningRegistry, s3: ObjectStorage, name: str, bucket: Bucket
) -> None:
    push = Pusher(registry.url)
    fill(push)
    push.image("sha512", [push.blob("sha512", b"sha512" * 11, "sha512")], "v")

    eligible = collectable(registry)
    reading = objects.take(bucket, now=time.time())
    usage = account(reading)

    keys = s3.keys(name)
    data = {key: size for key, size in keys.items() if key.startswith(f"{V2}/blobs/") and key.endswith("/data")}
    assert usage.blobs == Amount(len(data), sum(data.values()))
    assert usage.tagged.bytes + usage.untagged.bytes + usage.orphans.bytes == usage.blobs.bytes
    marked = {
        d
        for r in reading.facts.repositories
        for d in Graph(reading.facts).digests_of(reading.graph.reached(r.revisions))
    }
    assert reading.facts.blobs.keys() - marked == eligible
    assert usage.orphans == Amount(len(eligible), sum(keys[f"{V2}/{blob_data(digest)}"] for digest in eligible))
    assert usage.in_flight == usage.orphans  # all of it was pushed a moment ago
    assert len(eligible) >= 7
    tags = [key for key in keys if "/_manifests/tags/" in key and key.endswith("/current/link")]
    assert usage.tags == len(tags) > 5
    assert sorted(problem.code for problem in usage.problems) == ["blob-unprotected", "child-missing"]


def test_it_is_what_a_directory_holds_after_the_same_pushes(
    registry: RunningRegistry, bucket: Bucket, tmp_path: Path
) -> None:
    on_disk = start_registry(registry.kind, tmp_path / "disk")
    for each in (registry, on_disk):
        fill(Pusher(each.url))
    on_disk.stop()

    there, here = accounted(bucket).to_json(), measure(on_disk.root, now=time.time()).to_json()

    assert {**there, "seconds": 0} == {**here, "seconds": 0}


def test_after_a_collection_nothing_is_orphaned(registry: RunningRegistry, bucket: Bucket) -> None:
    fill(Pusher(registry.url))
    before = accounted(bucket)

    collect(registry)

    after = accounted(bucket)
    assert after.orphans == Amount(0, 0)
    assert (after.tagged, after.untagged, after.tags) == (before.tagged, before.untagged, before.tags)


def test_an_upload_that_is_not_finished_is_counted(registry: RunningRegistry, bucket: Bucket) -> None:
    push = Pusher(registry.url)
    push.image("app", [push.blob("app", b"layer")], "v")
    location = push.request("POST", f"{registry.url}/v2/app/blobs/uploads/")["Location"]
    push.request("PATCH", location, b"half of a layer")

    uploads = accounted(bucket).uploads

    assert uploads.count == 1
    assert uploads.bytes in (0, len(b"half of a layer"))
