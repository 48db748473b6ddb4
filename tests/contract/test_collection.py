"""A collection run by the worker on the real registries: what it frees, and everything it stops at."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from dashboard import tasks
from dashboard.models import AuditEntry, Collection, CollectionPreview, Deletion, DeletionPlan, Job, Registry, User
from dashboard.registry.client import RegistryClient, RegistrySession
from dashboard.registry.errors import ManifestUnknown
from dashboard.registry.references import RepositoryName, parse_repository
from dashboard.services import access, connections, jobs
from dashboard.services.audit import Actor
from dashboard.services.collection import ask, command, run, writes
from dashboard.services.collection.ask import CollectionRefused
from dashboard.services.usage import scans
from tests.support.gates import ROOT, Gate, gate
from tests.support.images import Pushed, push_image, push_index
from tests.support.registries import KINDS, Kind, binary, missing
from tests.unit.storage.test_storage_registry import Pusher

pytestmark = pytest.mark.django_db

APP = parse_repository("team/app")


@dataclass
class Place:
    """A registry behind a gate, and the dashboard that may collect it."""

    gate: Gate
    registry: Registry
    admin: User
    session: RegistrySession
    settings: Settings

    def use(self, **cases: str) -> None:
        """Another command, see Gate.command_that."""
        self.settings.GC_COMMAND = str(self.gate.command_that(**cases))

    def ask(self) -> Collection:
        """As the form does."""
        entered = access.access_to(user=self.admin, registry=self.registry)
        return ask.ask_for(entered, typed="default", actor=Actor("admin", "127.0.0.1"))

    def collect(self) -> Collection:
        """Asks, and has the worker do it."""
        row = self.ask()
        tasks.run_job(str(row.job_id))
        row.refresh_from_db()
        return row

    def blobs(self) -> dict[str, int]:
        """What is on the disk."""
        found = self.gate.root.glob("docker/registry/v2/blobs/sha256/*/*/data")
        return {f"sha256:{path.parent.name}": path.stat().st_size for path in found}

    def takes_writes(self) -> bool:
        """Whether somebody can push."""
        image = push_image(self.session, "probe", "now", layers=(b"probe",))
        return self.session.head_manifest(image.repository, "now").digest == image.digest


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings) -> Iterator[Place]:
    """Each registry: for what its own collector or its answers decide."""
    with _place(request.param, tmp_path, settings) as made:
        yield made


@pytest.fixture
def one_place(tmp_path: Path, settings: Settings) -> Iterator[Place]:
    """One of them: for what our own commands and rows decide."""
    with _place(next((kind for kind in KINDS if binary(kind)), KINDS[0]), tmp_path, settings) as made:
        yield made


@contextmanager
def _place(kind: Kind, tmp_path: Path, settings: Settings) -> Iterator[Place]:
    if binary(kind) is None:
        pytest.skip(missing(kind))
    settings.STATE_DIR = tmp_path / "state"
    with gate(kind, tmp_path / "registry") as running:
        settings.GC_COMMAND = str(running.command)
        client = RegistryClient(running.url)
        registry = Registry.objects.create(
            slug="default",
            url=running.url,
            public_host=client.name,
            from_environment=True,
            storage_root=str(running.root),
        )
        admin = User.objects.create_superuser("admin")
        with connections.clients_made_by(lambda _row: client):
            yield Place(running, registry, admin, client.session(), settings)
        client.close()


def fill(place: Place) -> tuple[Pushed, Pushed]:
    """One image that stays, one that goes by its digest; their first layer is shared."""
    kept = push_image(place.session, "team/app", "1.0", layers=(b"base" * 100, b"kept"))
    gone = push_image(place.session, "team/app", "0.9", layers=(b"base" * 100, b"gone" * 50), platform="linux/arm64")
    amd64 = push_image(place.session, "multi", layers=(b"amd64",))
    push_index(place.session, "multi", "v", children=[amd64])
    place.session.delete_manifest(APP, gone.digest)
    return kept, gone


def test_what_was_deleted_is_freed_to_the_byte_and_the_rest_is_whole(place: Place) -> None:
    kept, gone = fill(place)
    before = place.blobs()
    scan = scans.ask_for_scan(registry=place.registry, user=None)
    tasks.run_job(str(scan.pk))
    for way in CollectionPreview.objects.get().report["ways"]:
        assert way["untagged"] or (way["bytes"], way["stops"]) == (
            sum(before[digest] for digest in (gone.digest, gone.layers[1], gone.config or "")),
            [],
        )

    row = place.collect()

    expected = {gone.digest, gone.layers[1], gone.config}
    assert (row.state, row.outcome_code) == (Collection.State.DONE, ""), row.log
    assert before.keys() - place.blobs().keys() == expected
    assert row.promised_bytes == row.freed_bytes == sum(before[str(digest)] for digest in expected)
    assert row.promised_blobs == row.freed_blobs == 3
    assert row.outcome["left"] == row.outcome["besides"] == {"blobs": 0, "bytes": 0}
    assert [step["step"] for step in row.steps] == list(run.STEPS)
    assert "blob eligible for deletion" in row.log
    assert place.session.head_manifest(APP, "1.0").digest == kept.digest
    assert place.session.blob_is_readable(APP, kept.layers[0])
    with pytest.raises(ManifestUnknown):
        place.session.head_manifest(APP, "0.9")
    assert place.takes_writes()
    assert Job.objects.get(kind=Job.Kind.COLLECTION).state == Job.State.DONE
    assert Job.objects.filter(kind=Job.Kind.SCAN, state=Job.State.WAITING).exists(), "it is scanned again"
    noted = AuditEntry.objects.get(action="collect")
    assert (noted.user, noted.outcome, noted.bytes) == ("admin", "done", row.freed_bytes)


def test_with_nothing_to_free_nothing_is_collected(place: Place) -> None:
    push_image(place.session, "team/app", "1.0")
    place.use()

    row = place.collect()

    assert (row.state, row.promised_blobs, row.freed_bytes) == (Collection.State.DONE, 0, 0)
    assert place.gate.said() == ["stop", "dry-run", "start"]


def refused(place: Place, code: str, *words: str) -> Collection:
    """Asserts that a collection stops: nothing is gone, the registry takes writes again, these words were said."""
    before = place.blobs()
    row = place.collect()
    assert (row.state, row.outcome_code) == (Collection.State.STOPPED, code), (row.outcome, row.log)
    assert place.blobs() == before
    assert place.gate.said() == list(words)
    assert AuditEntry.objects.filter(action="collect", outcome="refused", code=code).count() == 1
    if words:
        assert place.takes_writes()
    return row


def test_a_registry_that_goes_on_taking_writes_is_not_collected(place: Place) -> None:
    fill(place)
    place.use(stop="exit 0")
    refused(place, "writes-accepted", "stop", "start")
    uploads = place.gate.root.glob("docker/registry/v2/repositories/*/_uploads/*/startedat")
    assert not list(uploads), "the upload that the question began was cancelled"


def test_one_that_takes_writes_again_after_the_dry_run_is_not_collected(place: Place) -> None:
    fill(place)
    place.use(dry_run='"$ready" dry-run && "$ready" start')
    refused(place, "writes-accepted", "stop", "dry-run", "start")


def test_a_command_that_cannot_stop_ends_it(one_place: Place) -> None:
    fill(one_place)
    one_place.use(stop="echo no; exit 3")
    row = refused(one_place, "stop-failed", "stop", "start")
    assert row.outcome["exit_code"] == 3


def test_a_dry_run_that_fails_ends_it(one_place: Place) -> None:
    fill(one_place)
    one_place.use(dry_run='"$ready" dry-run; exit 1')
    assert refused(one_place, "dry-run-failed", "stop", "dry-run", "start").outcome["why"] == "exit-code"


def test_a_dry_run_without_its_summary_ends_it(one_place: Place) -> None:
    fill(one_place)
    one_place.use(dry_run="exit 0")
    assert refused(one_place, "dry-run-failed", "stop", "dry-run", "start").outcome["why"] == "no-summary"


def test_a_collector_that_would_remove_untagged_images_ends_it(one_place: Place) -> None:
    push_image(one_place.session, "team/app", "1.0", layers=(b"first",))
    push_image(one_place.session, "team/app", "1.0", layers=(b"second",))
    line = f"manifest eligible for deletion: sha256:{'a' * 64}"
    summary = "3 blobs marked, 0 blobs and 1 manifests eligible for deletion"
    one_place.use(dry_run=f"echo '{line}'; echo; echo '{summary}'")
    refused(one_place, "removes-manifests", "stop", "dry-run", "start")


def test_a_collector_of_another_storage_ends_it(one_place: Place) -> None:
    fill(one_place)
    digest = f"sha256:{'b' * 64}"
    summary = "3 blobs marked, 1 blobs and 0 manifests eligible for deletion"
    one_place.use(dry_run=f"echo '{summary}'; echo 'blob eligible for deletion: {digest}'")
    assert refused(one_place, "other-storage", "stop", "dry-run", "start").outcome["named"] == [digest]


def test_a_collector_that_would_remove_what_an_image_needs_ends_it_by_name(place: Place) -> None:
    kept, _ = fill(place)
    pusher = Pusher(place.gate.url)
    layer = pusher.blob("odd", b"pushed by sha512" * 20, "sha512")
    pusher.image("odd", [layer], "v")
    place.use()

    row = refused(place, "intersects", "stop", "dry-run", "start")

    assert row.outcome["count"] == 1
    assert row.outcome["bytes"] == len(b"pushed by sha512" * 20)
    assert place.session.head_manifest(APP, "1.0").digest == kept.digest


def test_nothing_begins_while_something_is_deleted_and_nothing_is_deleted_while_it_runs(one_place: Place) -> None:
    fill(one_place)
    now = timezone.now()
    plan = DeletionPlan.objects.create(
        registry=one_place.registry, repository=APP, user=one_place.admin, created_at=now, expires_at=now, effect={}
    )
    deletion = Deletion.objects.create(
        plan=plan, registry=one_place.registry, repository=APP, user=one_place.admin, created_at=now, kept_until=now
    )
    with pytest.raises(CollectionRefused, match="busy"):
        one_place.ask()
    Deletion.objects.update(state=Deletion.State.DONE)
    row = one_place.ask()
    Deletion.objects.update(state=Deletion.State.IN_PROGRESS)
    one_place.use()
    tasks.run_job(str(row.job_id))
    row.refresh_from_db()
    assert (row.state, row.outcome_code) == (Collection.State.STOPPED, "busy")
    assert one_place.gate.said() == []
    assert deletion.pk


def test_a_deletion_that_begins_meanwhile_ends_it(one_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(one_place)
    row = one_place.ask()
    one_place.use()
    kept = writes.why_not_refused

    def somebody_deletes(registry: Registry, repository: RepositoryName) -> str:
        now = timezone.now()
        plan = DeletionPlan.objects.create(
            registry=registry, repository=APP, user=one_place.admin, created_at=now, expires_at=now, effect={}
        )
        Deletion.objects.create(plan=plan, registry=registry, repository=APP, created_at=now, kept_until=now)
        return kept(registry, repository)

    monkeypatch.setattr(writes, "why_not_refused", somebody_deletes)
    tasks.run_job(str(row.job_id))
    row.refresh_from_db()
    assert (row.state, row.outcome_code) == (Collection.State.STOPPED, "busy")
    assert one_place.gate.said() == ["stop", "dry-run", "start"]
    assert one_place.takes_writes()


def test_a_storage_of_another_registry_is_not_collected(one_place: Place, tmp_path: Path) -> None:
    fill(one_place)
    other = tmp_path / "other" / "docker" / "registry" / "v2"
    (other / "blobs").mkdir(parents=True)
    (other / "repositories").mkdir()
    Registry.objects.update(storage_root=str(tmp_path / "other"))
    one_place.registry.refresh_from_db()
    one_place.use()
    refused(one_place, "mount-differs")


def test_a_collector_that_fails_half_way_is_told_with_what_it_freed(one_place: Place) -> None:
    fill(one_place)
    one_place.use(collect='"$ready" collect >/dev/null; echo broken; exit 1')

    row = one_place.collect()

    assert (row.state, row.outcome_code) == (Collection.State.FAILED, "collect-failed")
    assert row.freed_bytes == row.promised_bytes
    assert one_place.gate.said() == ["stop", "dry-run", "collect", "start"]
    assert one_place.takes_writes()


def test_a_collector_that_removes_something_else_is_found_out(one_place: Place) -> None:
    kept, _ = fill(one_place)
    encoded = kept.layers[1].partition(":")[2]
    path = f"{one_place.gate.root}/docker/registry/v2/blobs/sha256/{encoded[:2]}/{encoded}"
    one_place.use(collect=f"rm -r {path}")

    row = one_place.collect()

    assert (row.state, row.outcome_code) == (Collection.State.FAILED, "damaged")
    assert row.outcome["damaged"] == [
        {"repository": "team/app", "tag": "1.0"},
        {"repository": "", "digest": kept.layers[1]},
    ]
    assert row.outcome["left"]["blobs"] == 3
    assert row.outcome["besides"] == {"blobs": 1, "bytes": 4}


def test_a_registry_that_does_not_start_again_is_said_loudly(one_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(one_place)
    monkeypatch.setattr(run, "START_PAUSE", 0.01)
    monkeypatch.setattr(run, "ANSWERS_WITHIN", 0.5)
    one_place.use(start="exit 1")

    row = one_place.collect()

    assert (row.state, row.outcome_code) == (Collection.State.FAILED, "start-failed")
    assert one_place.gate.said() == ["stop", "dry-run", "collect", "start", "start", "start"]
    assert row.freed_bytes == row.promised_bytes


def test_what_a_dead_worker_left_is_started_and_nothing_else(one_place: Place) -> None:
    fill(one_place)
    one_place.use()
    row = one_place.ask()
    job = jobs.claim(str(row.job_id))
    assert job is not None
    Collection.objects.update(state=Collection.State.RUNNING, step="collect", began_at=timezone.now())
    Job.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    before = one_place.blobs()

    tasks.run_job(str(row.job_id))

    row.refresh_from_db()
    assert (row.state, row.outcome_code) == (Collection.State.INTERRUPTED, "interrupted")
    assert row.outcome["at"] == "collect"
    assert one_place.gate.said() == ["start"]
    assert one_place.blobs() == before
    assert one_place.takes_writes()


def test_a_worker_killed_while_it_collects_leaves_nothing_stopped(place: Place, tmp_path: Path) -> None:
    """The calling process is killed by SIGKILL while the command runs; whoever takes the job up starts the registry."""
    fill(place)
    place.use(dry_run="sleep 5")
    row = place.ask()
    job = jobs.claim(str(row.job_id))
    assert job is not None
    lock = tmp_path / "state" / "collections" / f"{place.registry.pk}.lock"
    lock.parent.mkdir(parents=True)
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from dashboard.services.collection import command as c\n"
        "import fcntl; fd = os.open(sys.argv[3], os.O_RDWR | os.O_CREAT); fcntl.flock(fd, fcntl.LOCK_EX)\n"
        "for word in (c.Word.STOP, c.Word.DRY_RUN):\n"
        "    c.call(sys.argv[2], word, seconds=60, log=c.Log(), lock=fd, beat=lambda: None)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", code, str(ROOT), place.settings.GC_COMMAND, str(lock)])
    until = time.monotonic() + 20
    while place.gate.said() != ["stop", "dry-run"]:
        assert time.monotonic() < until, place.gate.said()
        time.sleep(0.05)
    worker.kill()
    worker.wait(timeout=5)
    Collection.objects.update(state=Collection.State.RUNNING, step="dry-run", began_at=timezone.now())
    Job.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    before = place.blobs()

    tasks.run_job(str(row.job_id))

    row.refresh_from_db()
    assert (row.state, row.outcome["at"]) == (Collection.State.INTERRUPTED, "dry-run")
    assert place.gate.said() == ["stop", "dry-run", "start"]
    assert place.blobs() == before
    assert place.takes_writes()


def test_a_cancelled_collection_starts_the_registry_and_removes_nothing(one_place: Place) -> None:
    fill(one_place)
    row = one_place.ask()
    one_place.use(dry_run='"$ready" dry-run; sleep 1.2')
    Job.objects.update(cancel_requested=True)
    before = one_place.blobs()
    tasks.run_job(str(row.job_id))
    row.refresh_from_db()
    assert (row.state, row.outcome_code) == (Collection.State.STOPPED, "cancelled")
    assert one_place.gate.said()[-1] == "start"
    assert "collect" not in one_place.gate.said()
    assert one_place.blobs() == before


def test_a_collection_outside_is_noticed_by_the_scan(place: Place) -> None:
    _, gone = fill(place)
    _scan(place)
    for word in ("stop", "collect", "start"):
        command.call(
            str(place.gate.command),
            command.Word(word),
            seconds=60,
            log=command.Log(),
            lock=_lock(place),
            beat=lambda: None,
        )
    _scan(place)

    row = Collection.objects.get()
    assert (row.state, row.freed_blobs) == (Collection.State.NOTICED, 3)
    assert (row.freed_bytes or 0) > len(gone.raw)
    _scan(place)
    assert Collection.objects.count() == 1


def test_our_own_collection_is_not_noticed_as_somebody_elses(one_place: Place) -> None:
    fill(one_place)
    _scan(one_place)
    one_place.collect()
    _scan(one_place)
    assert [row.state for row in Collection.objects.all()] == [Collection.State.DONE]


def _scan(place: Place) -> None:
    tasks.run_job(str(scans.ask_for_scan(registry=place.registry, user=None).pk))


def _lock(place: Place) -> int:
    return os.open(place.gate.directory / "lock", os.O_RDWR | os.O_CREAT)
