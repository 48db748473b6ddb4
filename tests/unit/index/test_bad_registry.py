"""Registries that mean harm, disagree with themselves or move while they are read; refreshes that meet each other."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.utils import timezone

from dashboard.models import (
    Content,
    IndexedManifest,
    IndexedRepository,
    IndexedTag,
    Job,
    ManifestLabel,
    Registry,
    TagPeriod,
)
from dashboard.registry import media_types
from dashboard.registry.references import Digest, parse_repository
from dashboard.services import jobs
from dashboard.services.index import refresh, update, write
from dashboard.services.index.api_reader import ApiReader
from dashboard.services.index.readings import Reading, TagReading
from tests.fake_registry import FakeRegistry
from tests.support.images import descriptor
from tests.unit.index.support import done, history_of, index_of, names, notices, refreshed, tags_of


@pytest.fixture
def version() -> str:
    """One version: these defects are nobody's in particular."""
    return "3.1"


def test_names_that_the_grammar_forbids_are_shown_and_never_asked_for(registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    fake.hostile = True
    done(registry)
    done(registry)
    rows = dict(IndexedRepository.objects.values_list("name", "error_code"))
    assert rows["team/app"] == ""
    assert set(rows.values()) == {"", "unsupported-name"}
    assert len(rows) > 3
    tags = dict(IndexedTag.objects.values_list("name", "error_code"))
    assert tags["1.0"] == ""
    assert len([tag for tag, code in tags.items() if code == "unsupported-name"]) == 4
    fake.hostile = False
    done(registry)
    assert names(registry) == {"team/app"}, "what is not listed any more goes"
    assert tags_of(registry, "team/app").keys() == {"1.0"}


def answer_names(fake: FakeRegistry, pattern: str, key: str, listed: list[str]) -> None:
    body = json.dumps({"name": "app", key: listed}).encode()
    fake.fail_next(pattern, status=200, body=body, headers={"Content-Type": "application/json"}, times=None)


def test_names_that_no_database_takes_are_kept_as_they_can_be(registry: Registry, fake: FakeRegistry) -> None:
    """NUL, a lone surrogate, and names that are alike once they are cut."""
    fake.push_image("app", "1")
    strange = ["nul\0", "half \ud800", "x" * 400, "x" * 401, "é" * 300, "a" * 300 + "/b"]
    answer_names(fake, "GET /v2/_catalog", "repositories", ["app", *strange])
    answer_names(fake, "GET /v2/app/tags/list", "tags", ["1", *strange])
    done(registry)
    assert done(registry).outcome["changed"] == 0
    assert IndexedRepository.objects.exclude(error_code="").count() == 5
    assert IndexedTag.objects.exclude(error_code="").count() == 5
    assert IndexedTag.objects.get(error_code="").name == "1"


def test_documents_full_of_rubbish_are_kept_within_bounds(registry: Registry, fake: FakeRegistry) -> None:
    """Sizes that no database holds, text that none takes, children without end: one such image breaks no refresh."""
    name = parse_repository("app")
    config = json.dumps(
        {
            "os": "li\0nux",
            "architecture": "\ud800" * 300,
            "created": "9998-12-31T23:59:59+00:00",
            "rootfs": {"diff_ids": ["\ud800", "rubbish"]},
            "config": {"Labels": {"\0key\ud800": "value\0" * 1000} | {f"k{n}": "v" for n in range(200)}},
        }
    ).encode()
    digest = fake.upload_blob(name, config)
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": descriptor(media_types.OCI_CONFIG, digest, 10**30),
        "layers": [descriptor("x" * 1000, Digest(f"sha256:{n:064x}"), 10**18) for n in range(50)],
        "subject": descriptor("\0", Digest("sha256:" + "0" * 64), -1),
    }
    fake.put_manifest(name, "1", media_types.OCI_MANIFEST, json.dumps(document).encode())
    index = {
        "schemaVersion": 2,
        "manifests": [
            descriptor(media_types.OCI_MANIFEST, Digest(f"sha256:{n:064x}"), 1)
            | {"platform": {"os": "o" * 500, "architecture": "a b\0"}}
            for n in range(3)
        ],
    }
    fake.put_manifest(name, "2", media_types.OCI_INDEX, json.dumps(index).encode())
    fake.put_manifest(name, "3", media_types.OCI_INDEX, b"\xff\x00 no JSON")
    good = fake.push_image("good", "1")
    done(registry)
    row = IndexedManifest.objects.get(digest=fake.tags("app")["1"])
    assert row.bytes == 51 * 2**44
    assert (row.chain, row.platform.startswith("linux/?")) == ("", True)
    assert ManifestLabel.objects.filter(manifest=row).count() == ManifestLabel.MAX_LABELS
    assert tags_of(registry, "good") == {"1": good.digest}
    assert tags_of(registry, "app").keys() == {"1", "2", "3"}


def test_a_registry_that_lies_about_a_type_poisons_no_digest(registry: Registry, fake: FakeRegistry) -> None:
    """What one registry claims under a digest is what all others see: only what the digest says is believed."""
    image = fake.push_image("app", "1")
    fake.state.blobs[image.digest] = b'{"schemaVersion": 1, "fsLayers": []}'
    fake.state.repositories["app"].revisions[image.digest] = media_types.DOCKER_SCHEMA1_SIGNED
    done(registry)
    tag = IndexedTag.objects.get()
    assert (tag.digest, tag.manifest, tag.error_code) == (image.digest, None, "digest-mismatch")
    assert not Content.objects.filter(digest=image.digest).exists()


def test_a_registry_that_answers_differently_on_each_page(registry: Registry, fake: FakeRegistry) -> None:
    """Its pages overlap, repeat themselves and never end: what was named is read, and the list is said to be short."""
    for name in ("a", "b", "c", "d"):
        fake.push_image(name, "1")
    done(registry)
    page = {"Content-Type": "application/json", "Link": '</v2/_catalog?last=b&n=2>; rel="next"'}
    fake.fail_next("/v2/_catalog", status=200, body=b'{"repositories": ["b", "a"]}', headers=page)
    fake.fail_next("/v2/_catalog", status=200, body=b'{"repositories": ["a", "b"]}', headers=page, times=None)
    done(registry)
    assert names(registry) == {"a", "b", "c", "d"}, "what it names no more is asked for, and is there"
    assert {notice["code"] for notice in notices(registry)} == {"list-incomplete"}


def test_a_tag_that_moves_while_it_is_read(registry: Registry, fake: FakeRegistry) -> None:
    """Between the list and its own answer: what the answer says is true then, and the next refresh has the end."""
    fake.push_image("app", "1", layers=(b"1",))
    done(registry)
    two = fake.push_image("app", layers=(b"2",))
    three = fake.push_image("app", layers=(b"3",))

    class Moving(ApiReader):
        def manifests(self, wanted):  # type: ignore[no-untyped-def]
            fake.move_tag("app", "1", three.digest)
            return super().manifests(wanted)

    fake.move_tag("app", "1", two.digest)
    reader = Moving(fake.client().session())
    readings = [r for r in reader.read(["app"], {}).values() if isinstance(r, Reading)]
    write.apply(registry=registry, reader=reader, readings=readings)
    assert tags_of(registry, "app") == {"1": two.digest}
    done(registry)
    assert tags_of(registry, "app") == {"1": three.digest}
    assert len(history_of("app", "1")) == 3


def test_a_tag_that_goes_while_it_is_read(registry: Registry, fake: FakeRegistry) -> None:
    gone = fake.push_image("app", "1", layers=(b"1",))
    fake.push_image("app", "2", layers=(b"2",))
    answer_names(fake, "GET /v2/app/tags/list", "tags", ["1", "2"])
    fake.remove_manifest("app", gone.digest)
    done(registry)
    assert tags_of(registry, "app").keys() == {"2"}


def test_a_manifest_whose_blob_is_gone(registry: Registry, fake: FakeRegistry) -> None:
    image = fake.push_image("app", "1")
    fake.push_image("app", "2", layers=(b"2",))
    fake.fail_next(f"GET /v2/app/manifests/{image.digest}", status=404, times=None)
    done(registry)
    tag = IndexedTag.objects.get(name="1")
    assert (tag.digest, tag.manifest, tag.error_code) == (image.digest, None, "manifest-unknown")
    assert (tag.bytes, IndexedRepository.objects.get().tags) == (None, 2)


@pytest.mark.parametrize("order", ["refresh last", "check last", "event last"])
def test_page_refresh_and_event_write_the_same_tag_in_every_order(
    registry: Registry, fake: FakeRegistry, order: str
) -> None:
    """Whatever is written last, what began last is what counts; a reading that comes too late is made again."""
    fake.push_image("app", "1", "still", layers=(b"0",))
    done(registry)
    images = [fake.push_image("app", layers=(b"%d" % n,)) for n in range(1, 4)]
    session = fake.client().session()
    began = {}
    for n, who in enumerate(("refresh", "check", "event")):
        fake.move_tag("app", "1", images[n].digest)
        reader = ApiReader(session, shown=["1"], most_new=9) if who == "check" else ApiReader(session)
        found = reader.read(["app"], {"app": {"1": Digest("sha256:" + "0" * 64)}} if who == "check" else {})["app"]
        assert isinstance(found, Reading)
        began[who] = (reader, found)
    last = order.partition(" ")[0]
    for who in sorted(began, key=lambda name: (name == last, name)):
        reader, found = began[who]
        write.apply(registry=registry, reader=reader, readings=[found])
    assert tags_of(registry, "app")["1"] == images[2].digest
    assert IndexedRepository.objects.get().tags == 2
    assert history_of("app", "1")[-1] == (images[2].digest, True)


def test_a_late_reading_does_not_undo_what_was_found_unchanged_since(registry: Registry, fake: FakeRegistry) -> None:
    """Moved and moved back while a slow reading was under way: rows that were only confirmed keep their old times."""
    one = fake.push_image("app", "1", layers=(b"1",))
    done(registry)
    two = fake.push_image("app", layers=(b"2",))
    reader = ApiReader(fake.client().session())
    late = Reading("app", timezone.now(), frozenset({"1"}), {"1": TagReading(two.digest)})
    done(registry)
    write.apply(registry=registry, reader=reader, readings=[late])
    assert tags_of(registry, "app") == {"1": one.digest}
    assert history_of("app", "1") == [(one.digest, True)]


def test_exclusive_bytes_follow_what_notifications_changed_elsewhere(registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("a", "1", layers=(b"shared",))
    fake.push_image("b", "1", layers=(b"own",))
    done(registry)
    fake.push_image("b", "2", layers=(b"shared",))
    update.read_again(registry=registry, names=["b"])
    done(registry)
    before = index_of(registry)
    refresh.empty(registry)
    done(registry)
    assert index_of(registry)["repositories"] == before["repositories"]


def test_first_notification_of_a_repository_dates_none_of_its_tags(registry: Registry, fake: FakeRegistry) -> None:
    """Which of them was pushed just now nobody knows; of one that comes later it is known."""
    fake.push_image("app", "old", "older")
    update.read_again(registry=registry, names=["app"])
    assert set(IndexedTag.objects.values_list("since_is_push", flat=True)) == {False}
    assert set(TagPeriod.objects.values_list("learnt", flat=True)) == {"refresh"}
    fake.push_image("app", "new", layers=(b"new",))
    update.read_again(registry=registry, names=["app"])
    assert dict(IndexedTag.objects.values_list("name", "since_is_push")) == {"old": False, "older": False, "new": True}
    assert TagPeriod.objects.get(tag="new").learnt == "event"


def test_second_of_two_refreshes_is_refused(registry: Registry, fake: FakeRegistry) -> None:
    asked = refresh.ask_for_refresh(registry=registry, user=None)
    assert refresh.ask_for_refresh(registry=registry, user=None).pk == asked.pk
    assert jobs.claim(asked.pk) is not None
    assert jobs.claim(asked.pk) is None
    assert Job.objects.count() == 1


def test_refresh_whose_lease_was_lost_stops(
    registry: Registry, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "HEARTBEAT_SECONDS", 0)
    fake.push_image("app", "1")
    job = jobs.claim(refresh.ask_for_refresh(registry=registry, user=None).pk)
    assert job is not None
    Job.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    assert jobs.claim(job.pk) is not None
    with pytest.raises(jobs.JobLost):
        refresh.run_refresh(job)
    assert names(registry) == set()


def test_cancelled_refresh_stops_at_its_next_step_and_keeps_what_it_wrote(
    registry: Registry, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "HEARTBEAT_SECONDS", 0)
    monkeypatch.setattr(refresh, "AT_ONCE", 1)
    for name in ("a", "b", "c"):
        fake.push_image(name, "1")
    job = jobs.claim(refresh.ask_for_refresh(registry=registry, user=None).pk)
    assert job is not None

    def progress(done: int, _total: int) -> None:
        if done == 1:
            Job.objects.update(cancel_requested=True)

    refresh.run_refresh(job, progress)
    job.refresh_from_db()
    assert (job.state, names(registry)) == ("cancelled", {"a", "b"})
    done(registry)
    assert names(registry) == {"a", "b", "c"}


def test_registry_that_is_down_fails_the_refresh_and_says_why(registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("app", "1")
    done(registry)
    before = index_of(registry)
    fake.fail_next("", exception="refused", times=None)
    job = refreshed(registry)
    assert (job.state, job.outcome_code, index_of(registry)) == ("failed", "connection-failed", before)
