"""The deep check's page and its job: started, paused, gone on with, its findings by name with what mends them."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ
from pytest_django import Settings

from dashboard import tasks
from dashboard.models import AuditEntry, DamagedBlob, DeepCheck, Job, Registry, User
from dashboard.services import deep_check, jobs
from dashboard.storage.hashing import Pace
from tests.fake_registry import FakeRegistry
from tests.unit.storage.trees import Tree

from .page import look, words

pytestmark = pytest.mark.django_db

URL = "/registries/default/-/deep-check/"
START = f"{URL}start/"
BLOBS = 12


@pytest.fixture
def version() -> str:
    """The disk looks alike."""
    return "2.8"


@pytest.fixture
def as_admin(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
def tree(tmp_path: Path, registry: Registry, settings: Settings) -> Tree:
    """A mounted storage of whole blobs."""
    settings.CHECK_MIB_PER_SECOND = 0
    tree = Tree(tmp_path / "storage")
    for number in range(BLOBS):
        put(tree, b"content %d" % number)
    registry.storage_root = str(tree.root)
    registry.save()
    return tree


def put(tree: Tree, content: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    tree.write(tree.data_path(digest), content)
    return digest


def run() -> Job:
    """What the worker does with the job that waits, until it waits no more."""
    job = Job.objects.filter(kind=Job.Kind.DEEP_CHECK).latest("requested_at")
    while job.state == Job.State.WAITING:
        tasks.run_job(str(job.pk))
        job.refresh_from_db()
    return job


def test_an_administrator_starts_it_and_everybody_sees_the_result(
    as_admin: Client, as_jonas: Client, registry: Registry, tree: Tree
) -> None:
    page = look(as_jonas, URL)
    assert "The blobs were never checked" in page.text()
    assert "An administrator can start it." in page.text()
    assert not page.has(f"form[action='{START}']")
    assert as_jonas.post(START).status_code == 403
    assert not Job.objects.exists()

    assert look(as_admin, URL).has(f"form[action='{START}']")
    assert as_admin.post(START).status_code == 302
    assert as_admin.post(START).status_code == 302, "a second click is the same job"
    assert "The check waits for the worker" in look(as_jonas, URL).text()
    assert run().state == Job.State.DONE

    page = look(as_jonas, URL)
    assert "Every blob is what its digest says" in page.text()
    assert f"{BLOBS} blobs, " in page.text(".facts")
    entry = AuditEntry.objects.exclude(action=AuditEntry.Action.SIGN_IN).get()
    assert (entry.action, entry.user, entry.registry, entry.method) == ("deep-check", "admin", "default", "anew")
    assert "began a deep check" in look(as_admin, "/registries/default/-/activity/").text()
    job_row = look(as_admin, "/registries/default/-/jobs/").row("deep check")
    assert "every blob is what its digest says" in words(job_row)


def test_a_damaged_blob_is_named_with_the_tags_that_need_it_and_the_cure(
    as_admin: Client, registry: Registry, tree: Tree, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    layer = b"a layer that was whole once" * 50
    fake.push_image("team/app", "1.0", "latest", layers=[layer])
    fake.push_image("team/other", "2.0", layers=[layer])
    fake.push_image("unharmed", "1", layers=[b"something else"])
    index()
    digest = put(tree, layer)
    tree.data_path(digest).write_bytes(b"X" + layer[1:])
    as_admin.post(START)

    assert run().outcome["damaged"] == 1

    page = look(as_admin, URL)
    line = page.text(".problem-list li")
    assert "Its content is not what its digest says" in line
    assert hashlib.sha256(b"X" + layer[1:]).hexdigest() in line
    assert list(page.links(".problem-list a.name")) == [
        "team/app:1.0", "team/app:latest", "team/other:2.0",
    ]  # fmt: skip
    directory = tree.data_path(digest).parent
    assert page.text(".problem-list .command code") == f"rm -r {directory}"
    assert "Pushing again alone mends nothing." in page.text("main")
    assert "unharmed" not in page.text("main")


def test_a_cut_off_blob_is_told_by_the_length_its_images_claim(
    as_admin: Client, registry: Registry, tree: Tree, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    layer = b"a layer that was whole once"
    fake.push_image("team/app", "1.0", layers=[layer])
    index()
    tree.data_path(put(tree, layer)).write_bytes(layer[:9])
    as_admin.post(START)
    run()

    assert f"It has another length 9 bytes, and its images say {len(layer)}." in look(as_admin, URL).text(
        ".problem-list li"
    )


def test_a_blob_of_an_index_child_leads_to_the_tag_and_a_manifest_is_told(
    as_admin: Client, registry: Registry, tree: Tree, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    layer = b"only in the child"
    child = fake.push_image("team/app", layers=[layer])
    fake.push_index("team/app", "multi", children=[child])
    index()
    tree.data_path(put(tree, layer)).write_bytes(b"damaged")
    manifest = tree.data_path(str(child.digest))
    tree.write(manifest, b"no manifest any more")
    as_admin.post(START)
    run()

    page = look(as_admin, URL)
    texts = page.texts(".problem-list li")
    assert len(texts) == 2
    assert all("Needed by team/app:multi" in text for text in texts)
    assert sum("It is a manifest" in text for text in texts) == 1


def test_names_that_one_may_not_know_of_are_not_told(
    as_jonas: Client, registry: Registry, tree: Tree, fake: FakeRegistry, index: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from django.db.models import Q

    from dashboard.services.access import Visible
    from dashboard.services.index import lists

    layer = b"shared and damaged"
    fake.push_image("team/app", "1.0", layers=[layer])
    fake.push_image("secret/app", "9.9", layers=[layer])
    index()
    tree.data_path(put(tree, layer)).write_bytes(b"damaged")
    deep_check.ask_for(registry=registry, user=None)
    run()
    monkeypatch.setattr(lists, "seen", lambda access, state: (Visible(Q(name__in=["team/app"])), None))

    page = look(as_jonas, URL)

    assert "Needed by team/app:1.0 and others that you cannot see" in page.text(".problem-list li")
    assert "secret" not in page.html


def test_the_storage_page_tells_what_was_found(as_admin: Client, registry: Registry, tree: Tree) -> None:
    from dashboard.services.usage import scans

    scan = scans.ask_for_scan(registry=registry, user=None)
    tasks.run_job(str(scan.pk))
    storage = "/registries/default/-/storage/"
    assert "No deep check yet: is every blob whole?" in look(as_admin, storage).text()

    as_admin.post(START)
    run()
    assert "Every blob was what its digest says" in look(as_admin, storage).text()

    tree.data_path(put(tree, b"whole")).write_bytes(b"damaged")
    as_admin.post(START)
    run()
    page = look(as_admin, storage)
    assert "1 blob is damaged" in page.text()
    assert page.has(f"a[href='{URL}']")


# Turns, pauses, ends


def test_it_works_in_turns_and_lets_others_in_between(
    registry: Registry, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deep_check, "TURN_SECONDS", -1.0)  # one blob each
    job = deep_check.ask_for(registry=registry, user=None)
    OrmQ.objects.all().delete()

    tasks.run_job(str(job.pk))

    job.refresh_from_db()
    assert (job.state, OrmQ.objects.count()) == (Job.State.WAITING, 1), "put back, with a message"
    assert DeepCheck.objects.get().blobs == 1
    assert run().state == Job.State.DONE
    check = DeepCheck.objects.get()
    assert (check.blobs, check.total_blobs) == (BLOBS, BLOBS)
    assert check.bytes == check.total_bytes == tree.data_bytes()


def test_it_is_paused_and_goes_on_where_it_was(
    as_admin: Client, registry: Registry, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deep_check, "TURN_SECONDS", -1.0)
    as_admin.post(START)
    job = Job.objects.get()
    for _ in range(5):
        tasks.run_job(str(job.pk))
    page = look(as_admin, URL)
    assert f"5 of {BLOBS} blobs" in page.text(".progress")
    pause = page.attributes("main form", "action")
    assert pause == [f"/registries/default/-/jobs/{job.pk}/cancel/"]
    assert as_admin.post(pause[0]).status_code == 302
    tasks.run_job(str(job.pk))  # a message that was under way

    page = look(as_admin, URL)
    assert "It stopped at" in page.text()
    assert DeepCheck.objects.get().blobs == 5
    as_admin.post(START)
    assert run().state == Job.State.DONE
    assert DeepCheck.objects.get().blobs == BLOBS
    assert [
        entry.method for entry in AuditEntry.objects.filter(action=AuditEntry.Action.DEEP_CHECK).order_by("at")
    ] == ["anew", "go-on"]


def test_cancelling_in_the_middle_of_a_blob_stops_there(
    registry: Registry, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = deep_check.ask_for(registry=registry, user=None)
    monkeypatch.setattr(jobs, "HEARTBEAT_SECONDS", 0.0)
    spend = Pace.spend
    spent: list[int] = []

    def cancel(self: Pace, count: int) -> None:
        spent.append(count)
        if len(spent) == 4:
            jobs.cancel(registry=registry, job_id=job.pk)
        spend(self, count)

    monkeypatch.setattr(Pace, "spend", cancel)

    assert run().state == Job.State.CANCELLED
    assert len(spent) == 4
    assert DeepCheck.objects.get().blobs == 3


def test_from_the_beginning_gives_up_what_was_done(
    as_admin: Client, registry: Registry, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    DeepCheck.objects.create(
        registry=registry,
        root=str(tree.v2),
        began_at=timezone.now(),
        position="sha256/ff/f",
        blobs=900,
        total_blobs=999,
    )
    assert "It stopped at" in look(as_admin, URL).text()
    as_admin.post(START, {"anew": "1"})

    run()

    check = DeepCheck.objects.get()
    assert check.blobs == BLOBS


def test_another_directory_is_begun_anew(registry: Registry, tree: Tree) -> None:
    DeepCheck.objects.create(registry=registry, root="/elsewhere", began_at=timezone.now(), position="sha256/ff/f")
    deep_check.ask_for(registry=registry, user=None)
    run()
    assert DeepCheck.objects.get().root == str(tree.v2)
    assert DeepCheck.objects.get().blobs == BLOBS


def test_a_mount_that_is_gone_fails_in_words(as_admin: Client, registry: Registry, tree: Tree) -> None:
    registry.storage_root = str(tree.root / "nowhere")
    registry.save()
    as_admin.post(START)
    job = run()
    assert (job.state, job.outcome_code) == (Job.State.FAILED, "storage-root-missing")
    assert "The storage directory is not there" in look(as_admin, URL).text("main")
    assert deep_check.finished(registry) is None


def test_findings_are_bounded_and_all_are_counted(
    as_admin: Client, registry: Registry, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DeepCheck, "MAX_FINDINGS", 3)
    for path in tree.v2.glob("blobs/*/*/*/data"):
        path.write_bytes(b"damaged")
    as_admin.post(START)
    run()
    assert DamagedBlob.objects.count() == 3
    page = look(as_admin, URL)
    assert f"{BLOBS} damaged blobs" in page.text()
    assert f"And {BLOBS - 3} more; mend these and check again." in page.text()


def test_old_checks_go(registry: Registry, tree: Tree) -> None:
    for _ in range(deep_check.KEPT + 2):
        deep_check.ask_for(registry=registry, user=None)
        run()
    assert DeepCheck.objects.count() == deep_check.KEPT


def test_a_check_is_due_by_schedule_only_where_it_is_wished(registry: Registry, tree: Tree, settings: Settings) -> None:
    deep_check.ask_for_due()
    assert not Job.objects.exists()

    settings.DEEP_CHECK_DAYS = 30
    deep_check.ask_for_due()
    deep_check.ask_for_due()
    assert Job.objects.count() == 1
    run()
    deep_check.ask_for_due()
    assert Job.objects.count() == 1, "not again so soon"
    assert not AuditEntry.objects.exists(), "nobody did it"

    long_ago = timezone.now() - dt.timedelta(days=31)
    Job.objects.update(requested_at=long_ago)
    DeepCheck.objects.update(began_at=long_ago)
    deep_check.ask_for_due()
    assert Job.objects.count() == 2


def test_a_bucket_is_not_checked_and_the_page_says_why(as_admin: Client, registry: Registry) -> None:
    registry.storage_url = "s3://bucket/prefix"
    registry.save()
    page = look(as_admin, URL)
    assert "would be a download of every byte" in page.text()
    assert not page.has("main form")
    as_admin.post(START)
    assert not Job.objects.exists()


def test_without_a_mount_the_page_says_so(as_admin: Client, registry: Registry) -> None:
    assert "storage is not mounted here" in look(as_admin, URL).text()


def test_the_page_needs_as_many_queries_for_many_findings_as_for_one(
    as_admin: Client, registry: Registry, tree: Tree, fake: FakeRegistry, index: Callable[[], None],
) -> None:  # fmt: skip
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def queries(number: int) -> int:
        DeepCheck.objects.all().delete()
        check = DeepCheck.objects.create(
            registry=registry, root="x", began_at=timezone.now(), finished_at=timezone.now(), damaged=number
        )
        for i in range(number):
            digest = fake.push_image(f"r{i}", "1", layers=[b"%d" % i]).digest
            DamagedBlob.objects.create(deep_check=check, path=f"{i}", digest=str(digest), code="mismatch")
        index()
        look(as_admin, URL)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert len(look(as_admin, URL).tree.css(".problem-list > li")) == number
        return len(captured)

    assert queries(1) == queries(20)
