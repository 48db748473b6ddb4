"""What we call orphans is what the real registry's collector would delete, on 2.8 and on 3.1."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.storage.garbage import Graph
from dashboard.storage.layout import blob_data, v2_directory
from dashboard.storage.scan import Scan
from dashboard.storage.usage import Amount, measure
from tests.support.registries import KINDS, Kind, RunningRegistry, binary, missing, start_registry
from tests.unit.storage.trees import OCI_CONFIG, OCI_IMAGE, OCI_INDEX, OCI_LAYER

SUMMARY = re.compile(r"^\d+ blobs marked, (?P<blobs>\d+) blobs and 0 manifests eligible for deletion$", re.MULTILINE)
ELIGIBLE = re.compile(r"^blob eligible for deletion: (?P<digest>\S+)$", re.MULTILINE)


@pytest.fixture(params=KINDS)
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningRegistry]:
    kind: Kind = request.param
    if binary(kind) is None:
        pytest.skip(missing(kind))
    running = start_registry(kind, tmp_path)
    yield running
    running.stop()


class Pusher:
    """The few requests of a push, plainly."""

    def __init__(self, url: str) -> None:
        self.url = url

    def request(self, method: str, url: str, body: bytes | None = None, content_type: str = "") -> Any:
        headers = {"Content-Type": content_type or "application/octet-stream"}
        request = urllib.request.Request(url, data=body, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()
            return answer.headers

    def blob(self, repository: str, content: bytes, algorithm: str = "sha256") -> dict[str, Any]:
        digest = f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
        location = self.request("POST", f"{self.url}/v2/{repository}/blobs/uploads/")["Location"]
        self.request("PUT", f"{location}&{urllib.parse.urlencode({'digest': digest})}", content)
        return {"mediaType": OCI_LAYER, "digest": digest, "size": len(content)}

    def image(
        self, repository: str, layers: list[dict[str, Any]], reference: str = "", **more: object
    ) -> dict[str, Any]:
        config = self.blob(repository, json.dumps({"layers": len(layers), "of": reference, **more}).encode())
        config["mediaType"] = OCI_CONFIG
        return self.manifest(
            repository, {"mediaType": OCI_IMAGE, "config": config, "layers": layers, **more}, reference
        )

    def index(self, repository: str, children: list[dict[str, Any]], reference: str = "") -> dict[str, Any]:
        return self.manifest(repository, {"mediaType": OCI_INDEX, "manifests": children}, reference)

    def manifest(self, repository: str, document: dict[str, Any], reference: str) -> dict[str, Any]:
        content = json.dumps({"schemaVersion": 2, **document}).encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        media_type = str(document["mediaType"])
        self.request("PUT", f"{self.url}/v2/{repository}/manifests/{reference or digest}", content, media_type)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def delete(self, repository: str, manifest: dict[str, Any]) -> None:
        self.request("DELETE", f"{self.url}/v2/{repository}/manifests/{manifest['digest']}")


def collect(registry: RunningRegistry, *options: str) -> str:
    """What the registry's own garbage collection prints; it must have succeeded."""
    done = subprocess.run(
        [str(binary(registry.kind)), "garbage-collect", *options, str(registry.config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"OTEL_TRACES_EXPORTER": "none"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def collectable(registry: RunningRegistry) -> set[str]:
    """The digests that a garbage collection would delete now, as the dry run says."""
    output = collect(registry, "--dry-run")
    found = set(ELIGIBLE.findall(output))
    summary = SUMMARY.search(output)
    assert summary, output
    assert len(found) == int(summary["blobs"])
    return found


def fill(push: Pusher) -> None:
    """Images that share a base, an index with a deleted child, attached and untagged ones, a layer without image."""
    base = push.blob("team/app", b"base" * 1000)
    first = push.image("team/app", [base, push.blob("team/app", b"one" * 333)], "1.0")
    push.image("team/app", [base, push.blob("team/app", b"two" * 222)], "1.0")
    push.blob("team/app/worker", b"base" * 1000)
    push.image("team/app/worker", [base], "v")

    platforms = [
        push.image("multi", [push.blob("multi", name.encode() * 77)], name=name) for name in ("amd64", "arm64")
    ]
    push.index("multi", platforms, "broken")
    push.delete("multi", platforms[1])

    inner = push.image("multi", [push.blob("multi", b"inner" * 55)], name="inner")
    push.index("multi", [push.index("multi", [inner])], "nested")

    lost = push.image("multi", [push.blob("multi", b"lost" * 44)], name="lost")
    push.delete("multi", push.index("multi", [lost], "gone"))

    signed = push.image("signed", [push.blob("signed", b"signed" * 33)], "v")
    push.image("signed", [push.blob("signed", b"signature")], subject=signed)

    push.blob("never-tagged", b"pushed, and no manifest followed")
    push.delete("emptied", push.image("emptied", [push.blob("emptied", b"emptied" * 22)], "v"))
    push.delete("team/app", first)


def test_orphans_are_what_the_collector_would_delete(registry: RunningRegistry) -> None:
    push = Pusher(registry.url)
    fill(push)
    # Served by its sha512 digest, and deleted by a collection all the same (3.1 even stops there, with an error).
    push.image("sha512", [push.blob("sha512", b"sha512" * 11, "sha512")], "v")
    v2 = v2_directory(registry.root)

    eligible = collectable(registry)
    usage = measure(registry.root, now=time.time())
    facts = Scan(str(v2), young_after=0.0).run()

    graph = Graph(facts)
    marked = set().union(*(graph.reached(repository.revisions) for repository in facts.repositories))
    assert facts.blobs.keys() - graph.digests_of(marked) == eligible
    assert usage.orphans == Amount(len(eligible), sum((v2 / blob_data(d)).stat().st_size for d in eligible))
    assert usage.in_flight == usage.orphans  # all of it was pushed a moment ago
    assert len(eligible) >= 7
    stored = sum(path.stat().st_size for path in v2.rglob("data"))
    assert usage.tagged.bytes + usage.untagged.bytes + usage.orphans.bytes + usage.uploads.bytes == stored
    assert sorted(problem.code for problem in usage.problems) == ["blob-unprotected", "child-missing"]


def test_after_a_collection_nothing_is_orphaned_and_nothing_else_changed(registry: RunningRegistry) -> None:
    fill(Pusher(registry.url))
    before = measure(registry.root, now=time.time())

    collect(registry)

    after = measure(registry.root, now=time.time())
    assert after.orphans == Amount(0, 0)
    assert (after.tagged, after.untagged, after.uploads) == (before.tagged, before.untagged, before.uploads)
    assert (after.repositories, after.tags) == (before.repositories, before.tags)
