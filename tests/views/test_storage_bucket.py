"""A registry whose storage is a bucket: scanned and accounted, its status, its field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from dashboard import tasks
from dashboard.models import IndexState, Job, Registry, UsageSnapshot, User
from dashboard.services import figures
from dashboard.services.alerts.raise_and_end import measured
from dashboard.services.index.refresh import ask_for_refresh
from dashboard.services.index.update import reads_storage, state_of
from dashboard.services.usage import scans
from dashboard.storage import removal
from dashboard.storage.usage import measure
from tests.fake_registry import FakeRegistry
from tests.support.object_storage import ObjectStorage, object_storage
from tests.unit.storage.trees import Tree

from .page import look
from .test_status import STATUS, line

pytestmark = pytest.mark.django_db

URL = "/registries/default/-/storage/"


@pytest.fixture
def version() -> str:
    """A bucket looks alike."""
    return "3.1"


@pytest.fixture(scope="module")
def s3() -> Iterator[ObjectStorage]:
    with object_storage() as running:
        yield running


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "storage")
    shared = tree.blob("shared layer", 4096)
    for name, size in (("team/app", 3000), ("team/web", 500)):
        tree.tag(name, "1.0", tree.image(name, [shared, tree.blob(f"{name} layer", size)]))
    tree.image("team/app", [tree.blob("untagged layer", 700)])
    tree.blob("orphan", 90)
    return tree


@pytest.fixture
def bucket(s3: ObjectStorage, tree: Tree, registry: Registry, settings: Settings) -> str:
    """The tree in a bucket, which the registry's row names."""
    name = s3.bucket()
    s3.copy(tree.root, name, "prefix")
    settings.STORAGE_ENDPOINT = s3.endpoint
    registry.storage_url = f"s3://{name}/prefix"
    registry.save()
    return name


@pytest.fixture
def as_admin(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def scan(registry: Registry, *, full: bool = False) -> Job:
    job = scans.ask_for_scan(registry=registry, user=None, full=full)
    tasks.run_job(str(job.pk))
    job.refresh_from_db()
    return job


def test_scan_now_accounts_for_the_bucket_and_the_parts_stand_alone(
    as_jonas: Client, registry: Registry, bucket: str, tree: Tree
) -> None:
    page = look(as_jonas, URL)
    assert registry.storage_url in page.text(".lede")
    assert as_jonas.post(f"{URL}scan/").status_code == 302
    tasks.run_job(str(Job.objects.get().pk))

    page = look(as_jonas, URL)

    expected = measure(tree.root, now=0)
    snapshot = UsageSnapshot.objects.get()
    assert (snapshot.disk_bytes, snapshot.free_bytes, snapshot.root) == (0, 0, registry.storage_url)
    assert snapshot.data_bytes == expected.data_bytes
    assert snapshot.report["orphans"] == {"count": 1, "bytes": 90}
    assert "A bucket has no disk that could be full" in page.text()
    assert not page.has(".disk .seg.free"), "there is no disk to draw"
    assert page.has(".disk .seg.orphan")
    assert "Full pass now" not in page.text(), "there are no directories to count"


def test_a_full_pass_reads_every_manifest_anew_and_a_scan_by_schedule_is_asked_for(
    registry: Registry, bucket: str
) -> None:
    scans.ask_for_due_scans()
    (job,) = Job.objects.all()
    tasks.run_job(str(job.pk))

    assert scan(registry, full=True).state == Job.State.DONE
    assert UsageSnapshot.objects.count() == 2


def test_a_bucket_that_is_gone_fails_in_words(as_jonas: Client, registry: Registry, bucket: str) -> None:
    registry.storage_url = "s3://no-such-bucket/prefix"
    registry.save()

    job = scan(registry)

    assert (job.state, job.outcome_code) == (Job.State.FAILED, "storage-bucket-unreadable")
    text = look(as_jonas, URL).text()
    assert "The bucket cannot be read. s3://no-such-bucket/prefix: NoSuchBucket." in text
    assert "AWS_ACCESS_KEY_ID" in text


def test_the_status_says_what_a_bucket_is_good_for(as_jonas: Client, registry: Registry, bucket: str) -> None:
    colour, verdict, found, _ = line(look(as_jonas, STATUS), "Storage")

    assert (colour, verdict) == ("green", "In a bucket")
    assert f"s3://{bucket}/prefix holds a registry's layout" in found
    assert "lists are read over the registry's API" in found


def test_the_status_tells_a_bucket_that_is_none(
    as_jonas: Client, registry: Registry, bucket: str, s3: ObjectStorage
) -> None:
    registry.storage_url = f"s3://{s3.bucket()}"
    registry.save()
    assert line(look(as_jonas, STATUS), "Storage")[:2] == ("red", "The bucket holds no registry's storage")


def test_lists_come_from_the_api(as_jonas: Client, registry: Registry, bucket: str, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    refresh = ask_for_refresh(registry=registry, user=None)
    tasks.run_job(str(refresh.pk))
    state = state_of(registry)

    assert state.mount != IndexState.Mount.BELONGS
    assert not reads_storage(registry, state)
    assert state.refreshed_at is not None
    assert look(as_jonas, "/registries/default/").has("a[href='/registries/default/team/app/']")


def test_an_emptied_repository_is_removed_from_the_bucket_by_hand(
    as_admin: Client, registry: Registry, bucket: str, fake: FakeRegistry
) -> None:
    fake.push_image("team/app", "1.0")
    fake.empty_repository("team/app")
    tasks.run_job(str(ask_for_refresh(registry=registry, user=None).pk))

    page = look(as_admin, "/registries/default/team/app/")

    below = f"s3://{bucket}/prefix/docker/registry/v2/repositories/team/app"
    assert " && ".join(f"aws s3 rm --recursive {below}/{own}/" for own in removal.OWN) in page.text()
    assert not page.has("form[action$='/-/remove-directory/']")


def test_thresholds_watch_a_bucket_too_but_for_its_free_space(registry: Registry, bucket: str, tree: Tree) -> None:
    assert scan(registry).state == Job.State.DONE

    known = measured(registry, figures.latest([registry])[registry.pk])

    assert (known.disk_bytes, known.free_bytes) == (None, None)
    assert (known.data_bytes, known.orphan_bytes) == (tree.data_bytes(), 90)
    assert known.scan_seconds is not None


# The field


def test_a_bucket_is_entered_in_the_interface_and_no_credential_is(as_admin: Client, registry: Registry) -> None:
    fields = {"slug": "second", "url": registry.url, "act_with": "default", "refresh_minutes": "5"}
    page = look(as_admin, "/settings/registries/new/")
    assert "only from the dashboard's environment" in page.text("#id_storage_url_helptext, .settings-form")

    for wrong in ("s3://key:secret@bucket/x", "/srv/registry", "https://bucket.s3.amazonaws.com"):
        answer = as_admin.post("/settings/registries/new/", {**fields, "storage_url": wrong})
        assert answer.status_code == 422
        assert b"Not an address such as s3://bucket/prefix" in answer.content
    answer = as_admin.post("/settings/registries/new/", {**fields, "storage_url": "s3://b-1/x", "storage_root": "/tmp"})
    assert b"either a directory or a bucket" in answer.content
    assert not Registry.objects.filter(slug="second").exists()

    assert as_admin.post("/settings/registries/new/", {**fields, "storage_url": "s3://b-1/x"}).status_code == 302
    assert Registry.objects.get(slug="second").storage_address == "s3://b-1/x"


def test_the_command_reports_a_bucket(s3: ObjectStorage, bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("storage_report", f"s3://{bucket}/prefix")
    out = capsys.readouterr().out
    assert out.startswith(f"Storage at s3://{bucket}/prefix: 2 repositories, 2 tags")
    assert "File system" not in out

    with pytest.raises(CommandError, match="NoSuchBucket"):
        call_command("storage_report", "s3://no-such-bucket")
    with pytest.raises(CommandError, match="is not an address such as"):
        call_command("storage_report", "s3://x")
