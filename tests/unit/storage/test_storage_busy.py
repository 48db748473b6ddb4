"""A scan of a registry at work: pushes, deletions and a collection go on, and it neither raises nor is led astray."""

from __future__ import annotations

import threading
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.storage.detail import Detail
from dashboard.storage.usage import account, take
from tests.support.registries import KINDS, Kind, RunningRegistry, binary, missing, start_registry
from tests.unit.storage.test_storage_registry import Pusher, collect

SECONDS = 4.0


@pytest.fixture(params=KINDS)
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningRegistry]:
    kind: Kind = request.param
    if binary(kind) is None:
        pytest.skip(missing(kind))
    running = start_registry(kind, tmp_path)
    yield running
    running.stop()


def test_what_is_reached_from_beginning_to_end_is_never_an_orphan(registry: RunningRegistry) -> None:
    push = Pusher(registry.url)
    standing: set[str] = set()
    for number in range(30):
        layers = [push.blob(f"standing/s{number % 5}", f"layer {number} {i}".encode() * 50) for i in range(3)]
        image = push.image(f"standing/s{number % 5}", layers, f"v{number}", number=number)
        standing |= {image["digest"], *(layer["digest"] for layer in layers)}
    over = threading.Event()
    pushed, faults = [0], []

    def busy(worker: int) -> None:
        client = Pusher(registry.url)
        while not over.is_set():
            try:
                repository = f"busy/b{worker}"
                layer = client.blob(repository, f"{worker} {pushed[0]}".encode() * 99)
                image = client.image(repository, [layer], "latest", number=pushed[0])
                if pushed[0] % 2:
                    client.delete(repository, image)
                pushed[0] += 1
            except (urllib.error.URLError, OSError):
                continue  # the collection takes what a push has not yet named: that push fails, as it must

    def collecting() -> None:
        while not over.is_set():
            try:
                collect(registry)
            except AssertionError:
                continue  # a collection may fail on what a push is just writing

    workers = [threading.Thread(target=busy, args=(n,)) for n in range(2)] + [threading.Thread(target=collecting)]
    for worker in workers:
        worker.start()
    scans = 0
    ends = time.monotonic() + SECONDS
    try:
        while time.monotonic() < ends:
            reading = take(registry.root, now=time.time(), full=scans % 3 == 2)
            usage = account(reading)
            detail = Detail(reading)
            orphans = set(reading.facts.blobs) - {
                reading.graph.digests[number]
                for repository in reading.facts.repositories
                for number in reading.graph.reached(repository.revisions)
            }
            faults += sorted(orphans & standing)
            assert usage.blobs.bytes == usage.tagged.bytes + usage.untagged.bytes + usage.orphans.bytes
            assert sum(1 for _ in detail.tags()) == usage.repositories
            scans += 1
    finally:
        over.set()
        for worker in workers:
            worker.join()
    assert faults == []
    assert scans >= 3
    assert pushed[0] >= 3
