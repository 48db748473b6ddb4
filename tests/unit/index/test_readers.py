"""Refreshes from either source: the same index; what is known is not fetched again; moves are history."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from dashboard.models import IndexedRepository, IndexedTag, IndexState, PullDay, Registry, TagPeriod
from dashboard.services.index import refresh
from tests.fake_registry import FakeRegistry
from tests.support.images import Pushed
from tests.unit.index.support import (
    done,
    history_of,
    index_of,
    names,
    notices,
    read_from,
    refreshed,
    tags_of,
    write_out,
)

BY_SOURCE = frozenset({"since", "since_is_push", "pushed_at", "stamp"})
"""Only the storage tells pushes."""


def attestation(image: Pushed, of: Pushed) -> dict[str, object]:
    """An entry of an index as BuildKit writes it."""
    return image.descriptor | {
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of.digest},
    }


def fill(fake: FakeRegistry) -> dict[str, Pushed]:
    """Images, indexes with an attestation and a missing child, a signature, an artifact, an emptied repository."""
    amd = fake.push_image("team/app", layers=(b"base", b"app"), config={"config": {"Labels": {"team": "blue"}}})
    arm = fake.push_image("team/app", layers=(b"base arm", b"app"), platform="linux/arm64/v8")
    proof = fake.push_image("team/app", layers=(b"proof",), platform="unknown/unknown", config={"created": ""})
    whole = fake.push_index("team/app", "1.0", "latest", children=[amd, arm, attestation(proof, amd)])
    lost = fake.push_image("other", "1", layers=(b"lost",), platform="linux/s390x")
    partial = fake.push_index("team/app", "broken", children=[amd, lost])
    nested = fake.push_index("team/app", "nested", children=[whole.descriptor])
    fake.push_image("team/app", f"sha256-{amd.digest.partition(':')[2]}.sig", layers=(b"signature",))
    plain = fake.push_image("plain", "1", "2", layers=(b"base", b"plain"), docker=True)
    fake.push_artifact("charts/web", "0.1.0", artifact_type="application/vnd.example", layers=[("text/plain", b"x")])
    fake.empty_repository("emptied")
    return {"amd": amd, "arm": arm, "whole": whole, "partial": partial, "nested": nested, "plain": plain}


def test_both_readers_give_the_same_index(
    registry: Registry, fake: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = fill(fake)
    done(registry)
    over_api = index_of(registry, without=BY_SOURCE)
    tags = over_api["tags"]
    assert tags["team/app:1.0"]["platforms"] == tags["team/app:nested"]["platforms"] == "linux/amd64 linux/arm64"
    assert (tags["team/app:broken"]["platforms"], tags["team/app:broken"]["is_partial"]) == (
        "linux/amd64 !linux/s390x",
        True,
    )
    assert over_api["repositories"]["team/app"]["tags"] == 5
    assert over_api["repositories"]["plain"]["exclusive_bytes"] == sum(
        len(fake.state.blobs[digest]) for digest in (pushed["plain"].config or "", pushed["plain"].layers[1])
    )
    refresh.empty(registry)
    read_from(write_out(fake, tmp_path), registry, monkeypatch)
    fake.forget_requests()
    done(registry)
    assert fake.requests == [], "the storage tells everything"
    assert IndexState.objects.get().source == "storage"
    by_storage = index_of(registry, without=BY_SOURCE)
    # The storage lists untagged revisions, too.
    for part in ("revisions", "blobs"):
        by_storage[part] = {row for row in by_storage[part] if row[-1]}
        over_api[part] = {row for row in over_api[part] if row[-1]}
    assert by_storage["tags"] == over_api["tags"]
    assert by_storage["revisions"] == over_api["revisions"]
    assert by_storage["blobs"] == over_api["blobs"]
    assert by_storage["repositories"] == over_api["repositories"]


def test_second_refresh_asks_for_lists_and_conditionally_for_tags(registry: Registry, fake: FakeRegistry) -> None:
    fill(fake)
    done(registry)
    before = index_of(registry)
    fake.forget_requests()
    job = done(registry)
    repositories = IndexedRepository.objects.count()
    tags = IndexedTag.objects.count()
    assert fake.count("GET", "/v2/_catalog") == 1
    assert fake.count("GET", "/tags/list") == repositories
    assert fake.count("HEAD") == tags
    assert len(fake.requests) == 1 + repositories + tags
    assert all("if-none-match" in r.headers for r in fake.requests if r.method == "HEAD"), "a 304 is no pull"
    assert (job.outcome["changed"], index_of(registry)) == (0, before)


def test_only_new_digests_are_fetched(registry: Registry, fake: FakeRegistry) -> None:
    fill(fake)
    done(registry)
    new = fake.push_image("plain", "3", layers=(b"base", b"new"))
    fake.forget_requests()
    assert done(registry).outcome["changed"] == 1
    assert [str(r) for r in fake.requests if r.method == "GET" and ("manifests" in r.path or "blobs" in r.path)] == [
        f"GET /v2/plain/manifests/{new.digest}",
        f"GET /v2/plain/blobs/{new.config}",
    ]


def test_moved_and_removed_tags_close_periods(registry: Registry, fake: FakeRegistry) -> None:
    old = fake.push_image("app", "1", layers=(b"1",))
    fake.push_image("app", "stays", layers=(b"s",))
    done(registry)
    new = fake.push_image("app", "1", layers=(b"2",))
    done(registry)
    assert history_of("app", "1") == [(old.digest, False), (new.digest, True)]
    first, second = TagPeriod.objects.filter(tag="1").order_by("began_at")
    assert first.ended_at == second.began_at == IndexedTag.objects.get(name="1").since
    assert second.learnt == TagPeriod.Learnt.REFRESH
    fake.remove_manifest("app", new.digest)
    done(registry)
    assert history_of("app", "1") == [(old.digest, False), (new.digest, False)]
    assert tags_of(registry, "app").keys() == {"stays"}


def test_storage_tells_the_past_of_tags_seen_for_the_first_time(
    registry: Registry, fake: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [fake.push_image("app", "1", layers=(b"%d" % n,)) for n in range(3)]
    tree = write_out(fake, tmp_path)
    for n, image in enumerate(images):
        link = tree.tag("app", "1", image.digest).parents[1] / "index" / image.digest.replace(":", "/") / "link"
        for path in (link, link.parents[3] / "current" / "link"):
            os.utime(path, (1_700_000_000 + n, 1_700_000_000 + n))
    read_from(tree, registry, monkeypatch)
    done(registry)
    assert history_of("app", "1") == [(image.digest, image is images[2]) for image in images]
    periods = TagPeriod.objects.order_by("began_at")
    assert [p.began_at.timestamp() for p in periods] == [1_700_000_000, 1_700_000_001, 1_700_000_002]
    assert [p.ended_at and p.ended_at.timestamp() for p in periods] == [1_700_000_001, 1_700_000_002, None]
    assert {p.learnt for p in periods} == {"storage"}
    tag = IndexedTag.objects.get()
    assert (tag.since.timestamp(), tag.since_is_push) == (1_700_000_002, True)
    done(registry)
    assert TagPeriod.objects.count() == 3, "told once"


@pytest.mark.parametrize("source", ["api", "storage"])
def test_rebuild_gives_the_same_rows(
    registry: Registry,
    fake: FakeRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pushed = fill(fake)
    if source == "storage":
        read_from(write_out(fake, tmp_path), registry, monkeypatch)
    done(registry)
    PullDay.objects.create(
        registry=registry,
        repository="plain",
        tag="1",
        digest=pushed["plain"].digest,
        day=dt.date(2026, 5, 3),
        gets=1,
        last_at=timezone.now(),
    )
    call_command("refresh_index", "--rebuild")
    before, history = index_of(registry), list(TagPeriod.objects.order_by("pk").values())
    assert before["tags"]["plain:1"]["pulled_at"] is not None
    call_command("refresh_index", "--rebuild")
    assert index_of(registry) == before
    assert list(TagPeriod.objects.order_by("pk").values()) == history, "the history is ours and is kept"
    assert (
        f"{len(names(registry))} repositories, {len(before['tags'])} tags" in capsys.readouterr().out.splitlines()[-1]
    )


def test_large_repository_is_written_in_parts_and_has_a_history(
    registry: Registry, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.services.index.batch.ROWS_AT_ONCE", 10)
    monkeypatch.setattr("dashboard.services.index.documents.ROWS_AT_ONCE", 10)
    fake.push_image("large", *(f"1.{n}" for n in range(35)))
    done(registry)
    assert IndexedTag.objects.count() == TagPeriod.objects.filter(ended_at=None).count() == 35


def test_one_repository_that_fails_is_reported_and_the_rest_goes_on(registry: Registry, fake: FakeRegistry) -> None:
    for name in ("a", "b", "c"):
        fake.push_image(name, "1")
    done(registry)
    fake.push_image("c", "2")
    fake.fail_next("/v2/b/tags/list", status=500, times=None)
    done(registry)
    assert notices(registry) == [{"code": "repository-not-read", "repository": "b", "error": "server-fault"}]
    assert IndexedRepository.objects.get(name="b").error_code == "server-fault"
    assert tags_of(registry, "c").keys() == {"1", "2"}
    assert tags_of(registry, "b").keys() == {"1"}, "what was known stays"
    fake.heal()
    done(registry)
    assert (notices(registry), IndexedRepository.objects.get(name="b").error_code) == ([], "")


def test_registry_down_in_mid_refresh_leaves_what_was_known(
    registry: Registry, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "AT_ONCE", 1)
    for name in ("a", "b", "c"):
        fake.push_image(name, "1", layers=(name.encode(),))
    done(registry)
    before = index_of(registry)
    for name in ("a", "b", "c"):
        fake.push_image(name, "2", layers=(name.encode() * 2,))
    fake.fail_next("HEAD /v2/b/", exception="refused", times=None)
    job = refreshed(registry)
    assert (job.state, job.outcome_code) == ("failed", "connection-failed")
    assert tags_of(registry, "a").keys() == {"1", "2"}
    for tag in ("b:1", "c:1"):
        assert index_of(registry)["tags"][tag] == before["tags"][tag]
    fake.heal()
    done(registry)
    assert all(tags_of(registry, name).keys() == {"1", "2"} for name in ("a", "b", "c"))


def test_a_repository_that_is_too_slow_stops_nobody_else(registry: Registry, fake: FakeRegistry) -> None:
    for name in ("a", "b", "c"):
        fake.push_image(name, "1")
    fake.fail_next("/v2/b/tags/list", exception="timeout", times=None)
    done(registry)
    assert names(registry) == {"a", "c"}
    assert notices(registry) == [{"code": "repository-not-read", "repository": "b", "error": "timed-out"}]


def test_silence_about_a_child_is_no_absence(registry: Registry, fake: FakeRegistry) -> None:
    """A child that could not be asked for is neither shown as missing for ever nor taken for granted."""
    pushed = fill(fake)
    fake.fail_next(f"/v2/team/app/manifests/{pushed['arm'].digest}", status=500, times=None)
    done(registry)
    tag = IndexedTag.objects.get(repository__name="team/app", name="1.0")
    assert (tag.digest, tag.error_code) == (pushed["whole"].digest, "server-fault")
    fake.heal()
    done(registry)
    tag.refresh_from_db()
    assert (tag.error_code, tag.platforms, tag.is_partial) == ("", "linux/amd64 linux/arm64", False)


def test_a_child_of_two_repositories_is_proved_in_each(registry: Registry, fake: FakeRegistry) -> None:
    child = fake.push_image("has", platform="linux/arm64", layers=(b"child",))
    fake.push_index("has", "1", children=[child])
    fake.push_image("lacks", "0", layers=(b"other",))
    fake.push_index("lacks", "1", children=[child])
    done(registry)
    rows = {row.repository.name: row for row in IndexedTag.objects.filter(name="1").select_related("repository")}
    assert (rows["has"].platforms, rows["has"].is_partial) == ("linux/arm64", False)
    assert (rows["lacks"].platforms, rows["lacks"].is_partial, rows["lacks"].bytes) == ("!linux/arm64", True, 0)


def test_config_that_came_too_late_is_asked_for_again(registry: Registry, fake: FakeRegistry) -> None:
    image = fake.push_image("app", "1")
    fake.fail_next(f"/blobs/{image.config}", exception="timeout", times=None)
    done(registry)
    assert IndexedTag.objects.get().error_code == "timed-out"
    fake.heal()
    done(registry)
    tag = IndexedTag.objects.get()
    assert (tag.error_code, tag.platforms) == ("", "linux/amd64")
