"""Pulls are counted once, in whatever order they came, and a child's for its index."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pytest

from dashboard.models import (
    IndexedManifest,
    IndexedRepository,
    IndexedRevision,
    Job,
    ManifestEntry,
    Notification,
    PullDay,
    Registry,
)
from dashboard.registry.client import USER_AGENT
from dashboard.services.notifications import process

from .steps import CHILD, IMAGE, INDEX, NOON, OTHER_INDEX, counted, last_pulls, notify, point, pull, work

pytestmark = pytest.mark.django_db


# Pulls


def test_gets_and_heads_are_counted_by_tag_digest_and_day(registry: Registry, app: IndexedRepository) -> None:
    yesterday = -13 * 60
    notify(
        registry,
        pull(tag="1.0", digest=INDEX, method="HEAD"), pull(tag="1.0", digest=INDEX, method="HEAD"),
        pull(digest=INDEX), pull(tag="plain", digest=IMAGE), pull(tag="plain", digest=IMAGE, minute=yesterday),
    )  # fmt: skip
    work(registry)
    assert counted() == {("1.0", INDEX): (0, 2), ("", INDEX): (1, 0), ("plain", IMAGE): (2, 0)}
    days = PullDay.objects.filter(tag="plain").order_by("day").values_list("day", "gets", "last_at")
    assert list(days) == [
        (dt.date(2026, 5, 2), 1, NOON + dt.timedelta(minutes=yesterday)),
        (dt.date(2026, 5, 3), 1, NOON),
    ]


def test_the_day_is_that_of_utc(registry: Registry, app: IndexedRepository) -> None:
    sent = pull(tag="plain", digest=IMAGE)
    notify(registry, {**sent, "timestamp": "2026-05-03T01:30:00.123456789+02:00"})
    work(registry)
    assert PullDay.objects.get().day == dt.date(2026, 5, 2)


def test_our_own_requests_and_layers_and_nonsense_are_left_out(registry: Registry, app: IndexedRepository) -> None:
    notify(
        registry,
        pull(tag="1.0", digest=INDEX, agent=USER_AGENT), pull(tag="1.0", digest=INDEX, agent="Strata/0.0.1"),
        pull(digest=IMAGE, media_type="application/octet-stream", where="blobs"),
        pull(digest="sha256:short"), pull("Not A Name"), pull("x" * 300), pull(tag="-no-tag", digest=INDEX),
    )  # fmt: skip
    assert not Notification.objects.filter(payload__user_agent__startswith="Strata/").exists(), "not even kept"
    assert work(registry).state == "done"
    assert counted() == {}
    assert set(last_pulls().values()) == {None}
    notify(registry, pull(tag="1.0", digest=INDEX, agent="Stratagem/1.0"))
    work(registry)
    assert counted() == {("1.0", INDEX): (1, 0)}


def test_last_pull_of_the_named_tag_and_of_every_tag_of_a_digest(registry: Registry, app: IndexedRepository) -> None:
    notify(registry, pull(tag="1.0", digest=INDEX, minute=1))
    work(registry)
    assert last_pulls() == {"1.0": NOON + dt.timedelta(minutes=1), "latest": None, "plain": None}
    notify(registry, pull(digest=INDEX, minute=2))
    work(registry)
    two = NOON + dt.timedelta(minutes=2)
    assert last_pulls() == {"1.0": two, "latest": two, "plain": None}
    app.refresh_from_db()
    assert app.pulled_at == two


def test_last_pulls_only_move_forwards(registry: Registry, app: IndexedRepository) -> None:
    for minute in (5, 3):
        notify(registry, pull(tag="plain", digest=IMAGE, minute=minute))
        work(registry)
    five = NOON + dt.timedelta(minutes=5)
    assert last_pulls()["plain"] == five
    app.refresh_from_db()
    assert app.pulled_at == five
    assert PullDay.objects.get().last_at == five


def test_other_repositories_and_registries_are_untouched(registry: Registry, app: IndexedRepository) -> None:
    other = IndexedRepository.objects.create(registry=registry, name="copy", sort_key=b"copy", tree_key=b"copy")
    point(other, "copied", INDEX)
    second = Registry.objects.create(slug="second", url="http://s", public_host="s")
    theirs = IndexedRepository.objects.create(registry=second, name="app", sort_key=b"app", tree_key=b"app")
    point(theirs, "theirs", INDEX)
    notify(registry, pull(digest=INDEX), pull(digest=CHILD))
    work(registry)
    assert last_pulls() == {"1.0": NOON, "latest": NOON, "plain": None, "copied": None, "theirs": None}


IMPOSSIBLE = [
    "2031-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "2026-05-03T12:00:00",
    "2026-13-45T99:00:00Z", "yesterday", 7,
]  # fmt: skip


@pytest.mark.parametrize("timestamp", IMPOSSIBLE)
def test_a_time_that_cannot_be_gives_way_to_ours(registry: Registry, app: IndexedRepository, timestamp: object) -> None:
    notify(registry, {**pull(tag="plain", digest=IMAGE), "timestamp": timestamp})
    work(registry)
    assert last_pulls()["plain"] == NOON + dt.timedelta(minutes=30)


# Indexes and their children


def test_an_index_and_its_child_pulled_by_one_client_are_one_pull(registry: Registry, app: IndexedRepository) -> None:
    notify(registry, pull(tag="1.0", digest=INDEX, method="HEAD"), pull(digest=INDEX, minute=0.01))
    work(registry)
    notify(registry, pull(digest=CHILD, minute=0.02, address="10.0.0.7:41000"))
    work(registry)
    assert counted() == {("1.0", INDEX): (0, 1), ("", INDEX): (1, 0)}


@pytest.mark.parametrize(
    "apart",
    [{"address": "10.0.0.8:55874"}, {"agent": "containerd/2.0"}, {"minute": 5}],
    ids=["address", "agent", "time"],
)
def test_a_child_that_is_pulled_alone_counts_for_its_index(
    registry: Registry, app: IndexedRepository, apart: dict[str, Any]
) -> None:
    notify(registry, pull(digest=INDEX), pull(digest=CHILD, **apart))
    work(registry)
    assert counted() == {("", INDEX): (2, 0)}
    assert last_pulls()["latest"] == NOON + dt.timedelta(minutes=apart.get("minute", 0))


def test_a_head_of_the_index_is_no_pull_that_the_child_belongs_to(registry: Registry, app: IndexedRepository) -> None:
    notify(registry, pull(digest=INDEX, method="HEAD"), pull(digest=CHILD))
    work(registry)
    assert counted() == {("", INDEX): (1, 1)}


def test_a_child_counts_for_every_index_that_lists_it_unless_one_of_them_was_pulled(
    registry: Registry, app: IndexedRepository
) -> None:
    second = IndexedManifest.objects.create(digest=OTHER_INDEX, kind="index", document_bytes=1, bytes=1)
    IndexedRevision.objects.create(repository=app, manifest=second)
    ManifestEntry.objects.create(manifest=second, position=0, digest=CHILD)
    ManifestEntry.objects.create(manifest=second, position=1, digest=CHILD)
    notify(registry, pull(digest=CHILD))
    work(registry)
    assert counted() == {("", INDEX): (1, 0), ("", OTHER_INDEX): (1, 0)}
    notify(registry, pull(digest=OTHER_INDEX, minute=10), pull(digest=CHILD, minute=10))
    work(registry)
    assert counted() == {("", INDEX): (1, 0), ("", OTHER_INDEX): (2, 0)}


def test_a_child_that_is_tagged_itself_counts_for_itself(registry: Registry, app: IndexedRepository) -> None:
    point(app, "amd64", CHILD)
    notify(registry, pull(digest=CHILD), pull(tag="amd64", digest=CHILD, minute=1))
    work(registry)
    assert counted() == {("", CHILD): (1, 0), ("amd64", CHILD): (1, 0)}
    assert last_pulls() == {"amd64": NOON + dt.timedelta(minutes=1), "1.0": None, "latest": None, "plain": None}


def test_a_child_whose_index_another_repository_holds_counts_for_itself(registry: Registry, read: object) -> None:
    manifest = IndexedManifest.objects.create(digest=INDEX, kind="index", document_bytes=1, bytes=1)
    ManifestEntry.objects.create(manifest=manifest, position=0, digest=CHILD)
    other = IndexedRepository.objects.create(registry=registry, name="other", sort_key=b"o", tree_key=b"o")
    IndexedRevision.objects.create(repository=other, manifest=manifest)
    notify(registry, pull(digest=CHILD))
    work(registry)
    assert counted() == {("", CHILD): (1, 0)}


# In any order, any number of times


@pytest.mark.parametrize("seed", range(4))
def test_disorder_and_doubles_change_nothing(
    registry: Registry, app: IndexedRepository, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "ROWS_AT_ONCE", 3)
    chance = random.Random(seed)
    sent = [pull(tag="plain", digest=IMAGE, minute=n) for n in range(6)]
    for n in range(6):
        client = {"address": f"10.0.0.{n}:{chance.randrange(40000, 50000)}"}
        sent += [pull(digest=INDEX, minute=n, **client), pull(digest=CHILD, minute=n + 0.05, **client)]
    chance.shuffle(sent)
    for body in (sent[:9], sent[4:], sent, sent[::-1]):
        notify(registry, *body)
    work(registry)
    notify(registry, *sent)
    work(registry)
    assert counted() == {("plain", IMAGE): (6, 0), ("", INDEX): (6, 0)}
    assert last_pulls()["plain"] == NOON + dt.timedelta(minutes=5)


def test_two_workers_with_the_same_notifications_count_them_once(registry: Registry, app: IndexedRepository) -> None:
    notify(registry, pull(tag="plain", digest=IMAGE), pull(tag="plain", digest=IMAGE))
    ids = list(Notification.objects.values_list("pk", flat=True))
    assert process.use(registry=registry, ids=ids) == 2
    assert process.use(registry=registry, ids=ids) == 0
    assert counted() == {("plain", IMAGE): (2, 0)}


def test_ten_thousand_pulls_are_counted_in_bounded_transactions(
    registry: Registry, app: IndexedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = process.use

    def use(*, registry: Registry, ids: Any) -> int:
        sizes.append(len(ids))
        return real(registry=registry, ids=ids)

    monkeypatch.setattr(process, "use", use)
    notify(registry, *(pull(tag="plain", digest=IMAGE) for _ in range(10_000)))
    assert work(registry).outcome == {"events": 10_000}
    assert counted() == {("plain", IMAGE): (10_000, 0)}
    assert max(sizes) <= 500


def test_the_job_can_be_cancelled_between_transactions(registry: Registry, app: IndexedRepository) -> None:
    notify(registry, *(pull(tag="plain", digest=IMAGE) for _ in range(10)))
    Job.objects.update(cancel_requested=True)
    assert work(registry).state == "cancelled"
    assert counted() in ({}, {("plain", IMAGE): (10, 0)})
    assert PullDay.objects.count() * 10 == Notification.objects.exclude(processed_at=None).count()
