"""What mends a damaged blob: the sentences of the deep check's page, held against the real registries."""

from __future__ import annotations

import hashlib
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.storage.hashing import MISMATCH, Hashing, Pace
from dashboard.storage.layout import blob_data, v2_directory
from tests.support.registries import KINDS, Kind, RunningRegistry, binary, missing, start_registry
from tests.unit.storage.test_storage_registry import Pusher
from tests.unit.storage.trees import OCI_IMAGE

CONTENT = b"a layer that was whole once" * 100


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    if binary(found) is None:
        pytest.skip(missing(found))
    return found


@pytest.fixture(params=[False, True], ids=["uncached", "cached"])
def registry(request: pytest.FixtureRequest, kind: Kind, tmp_path: Path) -> Iterator[RunningRegistry]:
    running = start_registry(kind, tmp_path, cache=request.param)
    yield running
    running.stop()


def damaged(registry: RunningRegistry) -> list[str]:
    """The digests that a deep check finds damaged."""
    v2 = str(v2_directory(registry.root))
    found = [each for each in Hashing(v2, pace=Pace(0), alive=lambda: None) if each.damage]
    assert all(each.damage and each.damage.code == MISMATCH for each in found)
    return [each.digest for each in found]


def status(registry: RunningRegistry, method: str, path: str) -> int:
    request = urllib.request.Request(f"{registry.url}/v2/{path}", method=method, headers={"Accept": OCI_IMAGE})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            code: int = answer.status
            return code
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def restarted(registry: RunningRegistry) -> RunningRegistry:
    registry.stop()
    cached = "blobdescriptor" in registry.config.read_text()
    return start_registry(registry.kind, registry.root.parent, port=int(registry.url.rpartition(":")[2]), cache=cached)


def test_pushing_and_deleting_mend_no_damaged_layer_and_removing_it_before_a_push_does(
    registry: RunningRegistry,
) -> None:
    push = Pusher(registry.url)
    layer = push.blob("team/app", CONTENT)
    image = push.image("team/app", [layer], "1.0")
    push.blob("other", CONTENT)
    push.image("other", [layer], "1.0")
    assert damaged(registry) == []
    data = v2_directory(registry.root) / blob_data(layer["digest"])
    data.write_bytes(b"X" + CONTENT[1:])

    assert damaged(registry) == [layer["digest"]]
    assert status(registry, "HEAD", f"team/app/blobs/{layer['digest']}") == 200, "the registry believes that it has it"
    push.blob("team/app", CONTENT)  # 201
    push.image("team/app", [layer], "1.0")
    assert damaged(registry) == [layer["digest"]], "a push is accepted and mends nothing"
    push.request("DELETE", f"{registry.url}/v2/team/app/blobs/{layer['digest']}")
    push.blob("team/app", CONTENT)
    assert damaged(registry) == [layer["digest"]], "nor does a deletion over the API"

    shutil.rmtree(data.parent)
    again = restarted(registry)
    try:
        assert status(again, "HEAD", f"other/blobs/{layer['digest']}") == 404, "so that a client uploads it"
        Pusher(again.url).blob("team/app", CONTENT)
        assert damaged(again) == []
        assert data.read_bytes() == CONTENT
        for name in ("team/app", "other"):
            assert status(again, "GET", f"{name}/blobs/{layer['digest']}") == 200, "in every repository that shares it"
            assert status(again, "GET", f"{name}/manifests/1.0") == 200
    finally:
        again.stop()
    assert image["digest"]


def test_a_damaged_manifest_is_an_error_and_is_mended_in_the_same_way(registry: RunningRegistry) -> None:
    push = Pusher(registry.url)
    layer = push.blob("team/app", CONTENT)
    image = push.image("team/app", [layer], "1.0")
    data = v2_directory(registry.root) / blob_data(image["digest"])
    whole = data.read_bytes()
    data.write_bytes(b" " + whole[1:])

    assert damaged(registry) == [image["digest"]]
    assert status(registry, "GET", "team/app/manifests/1.0") == 500
    push.request("PUT", f"{registry.url}/v2/team/app/manifests/1.0", whole, OCI_IMAGE)
    assert damaged(registry) == [image["digest"]], "a push is accepted and mends nothing"

    shutil.rmtree(data.parent)
    again = restarted(registry)
    try:
        Pusher(again.url).request("PUT", f"{again.url}/v2/team/app/manifests/1.0", whole, OCI_IMAGE)
        assert damaged(again) == []
        assert status(again, "GET", "team/app/manifests/1.0") == 200
    finally:
        again.stop()
    assert hashlib.sha256(data.read_bytes()).hexdigest() == image["digest"].partition(":")[2]
    assert json.loads(whole)["layers"][0]["digest"] == layer["digest"]
