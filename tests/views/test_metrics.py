"""Metrics: who gets them, that they sum, count over all processes, and that no name of anybody's is in them."""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from dashboard import tasks
from dashboard.contexts.storage import sums_of
from dashboard.models import Alert, Job, JobTally, Registry, RequestTally, UsageSnapshot
from dashboard.registry.errors import RegistryError
from dashboard.registry.references import parse_repository
from dashboard.services import connections, jobs, request_tally
from dashboard.services.index.update import read_again
from dashboard.services.usage import scans
from tests.fake_registry import FakeRegistry
from tests.unit.storage.trees import Tree

pytestmark = pytest.mark.django_db

TOKEN = "metrics-token-for-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def version() -> str:
    """One version: numbers come from our database."""
    return "3.1"


@pytest.fixture(autouse=True)
def token() -> Iterator[None]:
    """A token is set."""
    with override_settings(METRICS_TOKEN=TOKEN):
        yield


def scraped() -> Samples:
    """What Prometheus reads."""
    response = Client().get("/metrics", headers=BEARER)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum over all labels not given."""
    return sum(value for (n, found), value in samples.items() if n == name and set(labels.items()) <= set(found))


# Who gets them


def test_without_a_token_there_are_none_and_it_says_how(as_maria: Client) -> None:
    with override_settings(METRICS_TOKEN=""):
        for headers in ({}, {"Authorization": "Bearer "}, BEARER):
            response = as_maria.get("/metrics", headers=headers)
            assert response.status_code == 404
            assert b"DASHBOARD_METRICS_TOKEN" in response.content


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer x", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xff\xfe"],
)
def test_another_token_or_a_session_opens_nothing(admin: Any, registry: Registry, given: str) -> None:
    browser = Client()
    browser.force_login(admin)
    response = browser.get("/metrics", headers={"Authorization": given} if given else {})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert b"strata_" not in response.content
    assert TOKEN.encode() not in response.content


def test_nothing_is_asked_of_a_registry(registry: Registry, fake: FakeRegistry) -> None:
    scraped()
    assert not fake.requests
    assert Client().post("/metrics", headers=BEARER).status_code == 405


# Storage


@pytest.fixture
def tree(tmp_path: Any, registry: Registry) -> Tree:
    """A mounted and scanned storage: a shared layer, an untagged revision, an orphan and an upload."""
    tree = Tree(tmp_path / "storage")
    shared = tree.blob("shared layer", 4096)
    for name, size in (("team/app", 3000), ("team/web", 500)):
        tree.tag(name, "1.0", tree.image(name, [shared, tree.blob(f"{name} layer", size)]))
    tree.image("team/app", [tree.blob("untagged layer", 700)])
    tree.blob("orphan", 90)
    tree.upload("team/app", "11111111-1111-4111-8111-111111111111", 33)
    registry.storage_root = str(tree.root)
    registry.save()
    job = scans.ask_for_scan(registry=registry, user=None)
    tasks.run_job(str(job.pk))
    return tree


def test_the_classes_sum_to_the_disk(registry: Registry, tree: Tree) -> None:
    found = scraped()
    snapshot = UsageSnapshot.objects.get()
    assert (
        total(found, "strata_storage_bytes")
        == snapshot.disk_bytes
        == of(found, "strata_storage_disk_bytes", registry="default")
    )
    assert of(found, "strata_storage_bytes", registry="default", **{"class": "upload"}) == 33
    assert of(found, "strata_storage_bytes", registry="default", **{"class": "orphan"}) == 90
    assert of(found, "strata_storage_in_flight_bytes", registry="default") == 90
    assert of(found, "strata_storage_bytes", registry="default", **{"class": "tagged_shared"}) == 4098
    assert of(found, "strata_storage_blobs", registry="default", **{"class": "tagged_shared"}) == 2, "and a config"
    assert of(found, "strata_storage_free_bytes", registry="default") == snapshot.free_bytes
    assert of(found, "strata_storage_tags", registry="default") == 2
    assert of(found, "strata_storage_repositories", registry="default") == 2
    assert of(found, "strata_scan_problems", registry="default") == 0
    assert of(found, "strata_scan_duration_seconds", registry="default") == snapshot.seconds
    assert of(found, "strata_scan_timestamp_seconds", registry="default") == pytest.approx(
        snapshot.began_at.timestamp(), abs=1
    )
    UsageSnapshot.objects.update(began_at=timezone.now() - dt.timedelta(hours=30))
    assert of(scraped(), "strata_scan_age_seconds", registry="default") == pytest.approx(30 * 3600, abs=30)


def test_after_a_full_pass_the_metadata_is_a_class_of_its_own_as_on_the_page(registry: Registry, tree: Tree) -> None:
    tasks.run_job(str(scans.ask_for_scan(registry=registry, user=None, full=True).pk))
    found, last = scraped(), UsageSnapshot.objects.latest()
    metadata = of(found, "strata_storage_bytes", registry="default", **{"class": "metadata"})
    assert metadata == last.report["metadata"]["bytes"] > 0
    assert total(found, "strata_storage_bytes") == last.disk_bytes
    assert of(found, "strata_storage_bytes", registry="default", **{"class": "other"}) == sums_of(last).other


def test_where_the_disk_counts_less_than_the_files_no_false_part_is_told(registry: Registry, tree: Tree) -> None:
    UsageSnapshot.objects.update(disk_bytes=100, free_bytes=40)
    found = scraped()
    assert not [key for key in found if ("class", "other") in key[1] or ("class", "free") in key[1]]
    assert of(found, "strata_storage_free_bytes", registry="default") == 40


def test_only_the_newest_scan_of_each_registry_counts(registry: Registry, tree: Tree) -> None:
    newest = UsageSnapshot.objects.get()
    UsageSnapshot.objects.create(
        registry=registry, began_at=newest.began_at - dt.timedelta(days=1), seconds=9, root="/x",
        disk_bytes=1, free_bytes=1, report={},
    )  # fmt: skip
    assert of(scraped(), "strata_storage_disk_bytes", registry="default") == newest.disk_bytes


def test_no_name_of_a_repository_or_person_is_in_them(registry: Registry, tree: Tree, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    read_again(registry=registry, names=["team/app"])
    request_tally.add_now()
    text = Client().get("/metrics", headers=BEARER).content.decode()
    assert "team" not in text
    assert "sha256" not in text
    assert str(tree.root) not in text


def test_the_number_of_queries_does_not_grow_with_registries(registry: Registry, tree: Tree) -> None:
    scraped()
    with CaptureQueriesContext(connection) as one:
        scraped()
    report = UsageSnapshot.objects.get().report
    for number in range(20):
        more = Registry.objects.create(slug=f"r{number}", url=f"http://r{number}.test", public_host=f"r{number}")
        UsageSnapshot.objects.create(
            registry=more, began_at=timezone.now(), seconds=1, root="/x", disk_bytes=10**6, free_bytes=5, report=report
        )
        RequestTally.objects.create(registry=more, operation="ping", outcome="ok", within_ms=10, requests=1)
    with CaptureQueriesContext(connection) as many:
        found = scraped()
    assert of(found, "strata_storage_disk_bytes", registry="r19") == 10**6
    assert len(many) == len(one)
    assert not [q for q in many.captured_queries if re.search(r'"report"(?: AS|, "| FROM)', q["sql"])], (
        "reports are long"
    )


# Requests


def test_requests_are_counted_by_operation_and_outcome(registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "1.0")
    session = connections.background(registry=registry).session
    session.tags(parse_repository("team/app"))
    session.tags(parse_repository("team/app"))
    with pytest.raises(RegistryError):
        session.tags(parse_repository("team/none"))
    fake.fail_next("", exception="refused", times=None)
    with pytest.raises(RegistryError):
        session.repositories()
    assert not RequestTally.objects.exists(), "a request writes nothing itself"
    request_tally.add_now()
    found = scraped()
    counted = "strata_registry_requests_total"
    assert of(found, counted, registry="default", operation="tags", outcome="ok") == 2
    assert of(found, counted, registry="default", operation="tags", outcome="repository_unknown") == 1
    assert of(found, counted, registry="default", operation="repositories", outcome="connection_failed") == 1
    name = "strata_registry_request_duration_seconds"
    assert of(found, f"{name}_count", registry="default", operation="tags") == 3
    assert of(found, f"{name}_bucket", registry="default", operation="tags", le="+Inf") == 3
    assert 0 < of(found, f"{name}_sum", registry="default", operation="tags") < 30
    bars = [of(found, f"{name}_bucket", registry="default", operation="tags", le=le) for le in ("0.01", "1.0", "30.0")]
    assert bars == sorted(bars)


def test_what_another_process_added_is_summed_and_none_is_lost(registry: Registry) -> None:
    request_tally.note(registry.pk, "tags", "ok", 0.02)
    request_tally.add_now()
    request_tally.note(registry.pk, "tags", "ok", 0.02)
    request_tally.note(registry.pk, "tags", "ok", 90.0)
    request_tally.note(10**6, "tags", "ok", 0.02)  # removed meanwhile
    request_tally.add_now()
    rows = list(RequestTally.objects.order_by("within_ms").values_list("within_ms", "requests"))
    assert rows == [(0, 1), (25, 2)]
    request_tally.add_now()
    assert of(scraped(), "strata_registry_requests_total", registry="default", operation="tags", outcome="ok") == 3


def test_while_the_database_is_busy_they_wait(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    request_tally.note(registry.pk, "tags", "ok", 0.02)
    monkeypatch.setattr(request_tally, "write_within", lambda _milliseconds, _write: False)
    request_tally.add_now()
    assert not RequestTally.objects.exists()
    monkeypatch.undo()
    request_tally.add_now()
    assert RequestTally.objects.get().requests == 1


def test_a_page_adds_them_every_few_seconds(
    as_jonas: Client, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_jonas.get("/registries/default/-/status/")
    assert not RequestTally.objects.exists()
    monkeypatch.setattr(request_tally, "EVERY_SECONDS", 0.0)
    as_jonas.get("/registries/default/-/status/")
    assert RequestTally.objects.filter(operation="ping", outcome="ok", requests__gte=2).exists()


@pytest.mark.django_db(transaction=True)
def test_threads_that_count_at_once_lose_none(registry: Registry) -> None:
    def work() -> None:
        for _ in range(200):
            request_tally.note(registry.pk, "tags", "ok", 0.001)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    request_tally.add_now()
    assert RequestTally.objects.get().requests == 800


# Jobs, trash, alerts


def test_jobs_go_on_being_counted_once_their_rows_are_forgotten(registry: Registry) -> None:
    old = timezone.now() - dt.timedelta(days=10)
    for state in ("done", "done", "failed"):
        Job.objects.create(registry=registry, kind="scan", state=state, requested_at=old, finished_at=old)
    Job.objects.create(registry=registry, kind="scan", state="done", requested_at=timezone.now())
    Job.objects.create(registry=registry, kind="refresh", requested_at=timezone.now())
    before = scraped()
    assert of(before, "strata_jobs_ended_total", registry="default", kind="scan", state="done") == 3
    assert of(before, "strata_jobs_live", registry="default", kind="refresh", state="waiting") == 1
    assert of(before, "strata_jobs_live", registry="default", kind="scan", state="running") == 0
    assert jobs.forget_old() == 3
    assert jobs.forget_old() == 0
    assert Job.objects.filter(kind="scan").count() == 1
    assert dict(JobTally.objects.values_list("state", "jobs")) == {"done": 2, "failed": 1}
    after = scraped()
    for state, number in (("done", 3), ("failed", 1)):
        assert of(after, "strata_jobs_ended_total", registry="default", kind="scan", state=state) == number


def test_alerts_are_one_while_they_last(registry: Registry) -> None:
    alert = Alert.objects.create(registry=registry, code="free-space", since=timezone.now())
    found = scraped()
    assert of(found, "strata_alert", registry="default", code="free-space") == 1
    assert of(found, "strata_alert", registry="default", code="orphans") == 0
    Alert.objects.filter(pk=alert.pk).update(resolved_at=timezone.now())
    assert of(scraped(), "strata_alert", registry="default", code="free-space") == 0
    assert of(scraped(), "strata_trash_items", registry="default") == 0
