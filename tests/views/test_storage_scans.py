"""Scans over time: when they are due, what each keeps, what is thinned out, layers that are stored twice."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from dashboard import tasks
from dashboard.models import (
    IndexedBlob,
    Job,
    LargeBlob,
    MeasuredNamespace,
    MeasuredRepository,
    MeasuredTag,
    Registry,
    RepositoryGrowth,
    UsageSnapshot,
)
from dashboard.services.usage import duplicates, scans
from dashboard.storage import units
from tests.fake_registry import FakeRegistry
from tests.unit.storage.trees import Tree

pytestmark = pytest.mark.django_db


@pytest.fixture
def version() -> str:
    return "2.8"


@pytest.fixture(autouse=True)
def state_dir(tmp_path: Path, settings: Any) -> None:
    """Nothing remembered of an earlier test."""
    settings.STATE_DIR = tmp_path / "state"


@pytest.fixture
def tree(tmp_path: Path, registry: Registry) -> Tree:
    tree = Tree(tmp_path / "storage")
    tree.tag("team/app", "1.0", tree.image("team/app", [tree.blob("layer", 3000)], note="app"))
    tree.tag("team/web", "1.0", tree.image("team/web", [tree.blob("web", 500)], note="web"))
    registry.storage_root = str(tree.root)
    registry.save()
    return tree


def scan(registry: Registry, *, full: bool = False) -> UsageSnapshot:
    job = scans.ask_for_scan(registry=registry, user=None, full=full)
    tasks.run_job(str(job.pk))
    job.refresh_from_db()
    assert job.state == Job.State.DONE, job.outcome
    found = scans.latest(registry)
    assert found is not None
    return found


def test_only_the_last_scan_keeps_its_rows_and_the_sums_of_all_remain(registry: Registry, tree: Tree) -> None:
    first = scan(registry)
    assert MeasuredTag.objects.count() == 2
    tree.tag("team/app", "2.0", tree.image("team/app", [tree.blob("more", 70)], note="more"))
    second = scan(registry)

    first.refresh_from_db()
    assert first.tagged_bytes + 70 < second.tagged_bytes
    assert set(first.report) <= {"repositories", "tags", "blobs", "tagged", "untagged", "orphans", "uploads",
                                 "metadata", "problem_count"}  # fmt: skip
    for model in (MeasuredRepository, MeasuredNamespace, LargeBlob):
        assert set(model._default_manager.values_list("snapshot", flat=True)) == {second.pk}
    assert MeasuredTag.objects.count() == 3
    assert set(MeasuredTag.objects.values_list("repository__snapshot", flat=True)) == {second.pk}


def test_growth_is_kept_where_something_changed_and_when_a_repository_went(registry: Registry, tree: Tree) -> None:
    scan(registry)
    scan(registry)
    assert RepositoryGrowth.objects.count() == 2, "nothing changed"
    tree.tag("team/app", "2.0", tree.image("team/app", [tree.blob("more", 70)], note="more"))
    tree.repository("team/web").rename(tree.root / "elsewhere")
    scan(registry)

    rows = RepositoryGrowth.objects.order_by("repository", "at").values_list("repository", "bytes")
    app = MeasuredRepository.objects.get(name="team/app")
    assert [name for name, _ in rows] == ["team/app", "team/app", "team/web", "team/web"]
    assert [size for _, size in rows][1] == app.bytes
    assert [size for _, size in rows][3] == 0


def test_old_snapshots_are_thinned_to_one_a_day_and_then_one_a_week(registry: Registry, tree: Tree) -> None:
    now = timezone.now()
    for days in (1, 20, 21, 500, 501, 502, 503, 504, 505, 506, 507, 508):
        for hours in range(3):
            UsageSnapshot.objects.create(
                registry=registry, began_at=now.replace(hour=5) - dt.timedelta(days=days, hours=-hours), seconds=1,
                root="x", disk_bytes=1, free_bytes=1, report={},
            )  # fmt: skip
    scan(registry)

    ages = [round((now - began).total_seconds() / 86400) for began in
            UsageSnapshot.objects.order_by("-began_at").values_list("began_at", flat=True)]  # fmt: skip
    assert sum(age < 14 for age in ages) == 1 + 3
    assert sum(14 <= age < 100 for age in ages) == 2
    assert 2 <= sum(age > 400 for age in ages) <= 3


def test_a_worker_killed_while_it_wrote_leaves_nothing_that_is_shown(
    registry: Registry, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scan(registry)

    def killed(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("dashboard.services.usage.rows._tags", killed)
        job = scans.ask_for_scan(registry=registry, user=None)
        with pytest.raises(KeyboardInterrupt):
            tasks.run_job(str(job.pk))
    assert UsageSnapshot.objects.count() == 2
    assert scans.latest(registry) == whole, "the one that is not whole counts for nothing"
    Job.objects.filter(state=Job.State.RUNNING).update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    tasks.run_job(str(job.pk))
    assert UsageSnapshot.objects.filter(is_whole=False).count() == 0
    assert scans.latest(registry) != whole


def test_the_second_scan_opens_no_manifest_again_and_a_full_pass_opens_all(
    registry: Registry, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    read = units._read_manifest

    def counting(v2: str, digest: str, problems: list[units.FoundProblem]) -> Any:
        opened.append(digest)
        return read(v2, digest, problems)

    monkeypatch.setattr(units, "_read_manifest", counting)
    scan(registry)
    assert len(opened) == 2
    new = tree.image("team/app", [tree.blob("more", 70)], note="more")
    again = scan(registry)
    assert opened[2:] == [new]
    full = scan(registry, full=True)
    assert len(opened) == 3 + 3
    assert full.is_full
    assert full.report["metadata"]["links"] > 0
    assert "metadata" not in again.report
    kept = scan(registry)
    assert kept.report["metadata"] == full.report["metadata"], "what the last full pass counted is shown on"
    assert dt.datetime.fromisoformat(kept.report["metadata_at"]) == full.began_at


class TestDue:
    """Scans every few hours, and a full pass after three at night."""

    def _live(self, registry: Registry) -> list[str]:
        scans.ask_for_due_scans()
        return [str(kind) for kind in Job.objects.filter(state__in=Job.LIVE).values_list("kind", flat=True)]

    def _age(self, **span: float) -> None:
        then = timezone.now() - dt.timedelta(**span)
        UsageSnapshot.objects.update(began_at=then)
        Job.objects.update(requested_at=then)

    def test_the_first_at_once_then_every_six_hours(
        self, registry: Registry, tree: Tree, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scans, "_night_passed", lambda _now, _last: False)
        assert self._live(registry) == ["scan"]
        tasks.run_job(str(Job.objects.get().pk))
        assert self._live(registry) == []
        self._age(hours=6, minutes=1)
        assert self._live(registry) == ["scan"]
        Job.objects.update(state=Job.State.DONE)
        settings.SCAN_HOURS = 0
        self._age(days=30)
        assert self._live(registry) == [], "by hand only"

    def test_a_full_pass_once_each_night_that_came_since_the_last(
        self, registry: Registry, tree: Tree, settings: Any
    ) -> None:
        settings.SCAN_HOURS = 0
        scan(registry)
        self._age(days=2)
        assert self._live(registry) == ["full-scan"]
        assert scans.ask_for_scan(registry=registry, user=None).kind == Job.Kind.FULL_SCAN, "one at a time"
        tasks.run_job(str(Job.objects.get(kind=Job.Kind.FULL_SCAN).pk))
        assert self._live(registry) == []

    @pytest.mark.parametrize(
        ("last", "now", "due"),
        [
            ("2026-11-24T02:00+00:00", "2026-11-24T02:59+00:00", False),
            ("2026-11-24T02:00+00:00", "2026-11-24T03:00+00:00", True),
            ("2026-11-24T03:30+00:00", "2026-11-24T23:00+00:00", False),
            ("2026-11-24T23:00+00:00", "2026-11-25T01:00+00:00", False),
            ("2026-11-20T23:00+00:00", "2026-11-25T01:00+00:00", True),
        ],
    )
    def test_the_hour_of_the_night(self, last: str, now: str, due: bool) -> None:
        assert scans._night_passed(dt.datetime.fromisoformat(now), dt.datetime.fromisoformat(last)) is due
        assert not scans._night_passed(dt.datetime.fromisoformat(now), None), "never before the first scan"


def test_layers_of_the_same_content_are_found_however_they_are_compressed(
    registry: Registry, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    content = b"the same files " * 4000
    diff_id = f"sha256:{hashlib.sha256(content).hexdigest()}"
    best, fast = gzip.compress(content, 9, mtime=0), gzip.compress(content, 1, mtime=0)
    same = {"rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    (one,) = fake.push_image("one", "v", layers=[best], config=same).layers
    (two,) = fake.push_image("two", "v", layers=[fast], config=same).layers
    fake.push_image("three", "v", layers=[best], config=same | {"author": "somebody else"})
    other = {"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "4" * 64]}}
    fake.push_image("four", "v", layers=[gzip.compress(b"something else", mtime=0)], config=other)
    index()
    sizes: dict[str, int] = {one: len(best), two: len(fast)}

    found = duplicates.find(registry, sizes)

    assert IndexedBlob.objects.get(digest=one).diff_id == diff_id
    spare = min(sizes.values())
    largest = {"diff_id": diff_id, "digests": sorted(sizes, key=lambda d: -sizes[d]), "bytes": spare}
    assert found == {"groups": 1, "bytes": spare, "largest": [largest]}
    assert duplicates.find(registry, {one: sizes[one]})["largest"] == [], "the other one is not on the disk"
