"""Random histories of real registries: pushed, deleted, pushed again; sums by the words, preview as the dry run."""

from __future__ import annotations

import os
import tempfile
import time
import urllib.error
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.storage.collection import Family, preview
from dashboard.storage.detail import Detail
from dashboard.storage.layout import v2_directory
from dashboard.storage.usage import account, take
from tests.support.collectors import collect
from tests.support.registries import KINDS, Kind, binary, missing, start_registry
from tests.unit.storage.accounting import assert_agrees, read_world
from tests.unit.storage.test_storage_registry import Pusher

DEEP = int(os.environ.get("TEST_DEEP", "1"))
REPOSITORIES = ("team/app", "team/app/worker", "team/web", "solo")
few = st.integers(0, 7)
images = st.tuples(st.just("image"), st.integers(0, 3), st.lists(few, max_size=3), few)
indexes = st.tuples(st.just("index"), st.integers(0, 3), st.lists(few, min_size=1, max_size=3), few)
attached = st.tuples(st.just("attached"), st.integers(0, 3), st.lists(few, max_size=1), few)
deletions = st.tuples(st.just("delete"), st.integers(0, 3), st.lists(few, max_size=0), few)
loose = st.tuples(st.just("blob"), st.integers(0, 3), st.lists(few, max_size=0), few)
histories = st.lists(images | images | indexes | attached | deletions | loose, min_size=4, max_size=16)


@settings(max_examples=6 * DEEP, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories, kind=st.sampled_from(KINDS))
def test_sums_and_preview_of_any_history(history: list[tuple[str, int, list[int], int]], kind: Kind) -> None:
    if binary(kind) is None:
        pytest.skip(missing(kind))
    with tempfile.TemporaryDirectory() as directory:
        registry = start_registry(kind, Path(directory))
        try:
            happened = play(Pusher(registry.url), history)
        finally:
            registry.stop()
        v2 = v2_directory(registry.root)
        reading = take(registry.root, now=time.time(), full=True)
        usage = account(reading)

        assert_agrees(read_world(v2), v2, usage, Detail(reading))
        stored = sum(path.stat().st_size for path in v2.rglob("data"))
        parts = (usage.tagged, usage.untagged, usage.orphans, usage.uploads)
        assert sum(part.bytes for part in parts) == stored, happened

        foreseen = preview(str(v2), reading.facts, reading.graph)
        for untagged in (False, True):
            ours = foreseen.of(Family.TWO if kind == "2.8" else Family.THREE, untagged=untagged)
            theirs = collect(kind, registry.root, "--dry-run", *(["-m"] if untagged else []))
            assert ours.fails_dry == (theirs.code != 0), (happened, theirs.errors)
            if theirs.run is not None and not ours.fails_dry:
                assert reading.graph.digests_of(ours.blobs) == theirs.run.blobs, happened


def play(push: Pusher, history: list[tuple[str, int, list[int], int]]) -> list[str]:
    """Carries a history out; returns what came of it, for a failure to be understood."""
    pushed = [("solo", push.image("solo", [push.blob("solo", b"the first" * 9)], "first"))]
    happened: list[str] = []
    for number, (what, where, parts, choice) in enumerate(history):
        repository = REPOSITORIES[where]
        tag = f"t{choice}" if choice < 4 else ""
        here = [document for name, document in pushed if name == repository]
        try:
            if what == "blob":
                push.blob(repository, f"loose {choice}".encode() * 20)
            elif what == "delete":
                name, document = pushed[choice % len(pushed)]
                push.delete(name, document)
            elif what == "index" and here:
                children = [here[part % len(here)] for part in parts]
                pushed.append((repository, push.index(repository, children, tag)))
            elif what == "attached" and here:
                layers = [push.blob(repository, f"layer {part}".encode() * 30) for part in parts]
                subject = here[choice % len(here)]
                pushed.append((repository, push.image(repository, layers, tag, subject=subject)))
            elif what == "image":
                layers = [push.blob(repository, f"layer {part}".encode() * 30) for part in parts]
                note = {"annotations": {"of": str(choice)}}  # the same again is a push of what was there, or is
                pushed.append((repository, push.image(repository, layers, tag, **note)))
            happened.append(f"{number} {what} {repository} {parts} {tag}")
        except urllib.error.HTTPError as error:
            happened.append(f"{number} {what} {repository}: {error.code}")  # deleted before, or a child that is gone
    return happened
