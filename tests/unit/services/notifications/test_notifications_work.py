"""What the worker makes of notifications: repositories read again, nothing lost; and what is told of their arrival."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from dashboard import tasks
from dashboard.models import (
    IndexedRepository,
    IndexedTag,
    Job,
    Notification,
    Registry,
)
from dashboard.registry.client import USER_AGENT
from dashboard.registry.errors import ConnectionFailed
from dashboard.services import jobs
from dashboard.services.notifications import process, pulls, receive
from tests.support.events import event

from .steps import IMAGE, INDEX, NOON, counted, last_pulls, notify, pull, work

pytestmark = pytest.mark.django_db


# Pushes and deletions


def test_what_was_pushed_to_or_deleted_from_is_read_again_once(registry: Registry, read: list[list[str]]) -> None:
    notify(registry, *(event("push", "team/app", tag=f"{n}") for n in range(30)), event("delete", "other"))
    notify(registry, event("push", "team/app"), event("push", "not A name"), event("pull", "pulled"))
    job = work(registry)
    assert read == [["other", "team/app"]]
    assert (job.state, job.outcome) == ("done", {"events": 34})
    assert not Notification.objects.filter(processed_at=None).exists()
    work(registry)
    assert len(read) == 1, "used once"


def test_many_repositories_are_read_in_portions_so_that_the_lease_is_kept(
    registry: Registry, read: list[list[str]]
) -> None:
    notify(registry, *(event("push", f"r{n:02}") for n in range(25)))
    work(registry)
    assert [len(names) for names in read] == [10, 10, 5]
    assert len(set(itertools.chain(*read))) == 25


@pytest.mark.parametrize("as_a_whole", [False, True])
def test_a_repository_that_cannot_be_read_is_told_and_keeps_nothing_waiting(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, as_a_whole: bool
) -> None:
    def unreachable(*, registry: Registry, names: Iterable[str]) -> dict[str, Exception | None]:
        error = ConnectionFailed("down", registry=registry.slug)
        if as_a_whole:
            raise error
        return dict.fromkeys(names, error)

    monkeypatch.setattr(process, "read_again", unreachable)
    notify(registry, event("push", "app"), pull())
    assert work(registry).state == "done"
    assert "app of default was notified and could not be read" in caplog.text
    assert counted()


def test_what_comes_while_the_job_ends_is_asked_for_again(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    notify(registry, event("push", "app"))
    real = jobs.finish

    def finish(job: Job, *args: Any, **kwargs: Any) -> None:
        notify(registry, event("push", "late"))
        assert Job.objects.get() == job, "the live job seems to see to it"
        real(job, *args, **kwargs)

    monkeypatch.setattr(jobs, "finish", finish)
    job = work(registry)
    assert list(Job.objects.exclude(pk=job.pk).values_list("state", flat=True)) == ["waiting"]


def test_a_fault_loses_no_notification(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(**_: object) -> dict[str, Exception | None]:
        raise RuntimeError("a fault")

    notify(registry, event("push", "app"), pull())
    with monkeypatch.context() as within:
        within.setattr(process, "read_again", fault)
        with pytest.raises(RuntimeError):
            work(registry)
    assert Notification.objects.filter(processed_at=None).count() == 2
    process.look_after()
    tasks.run_job(str(Job.objects.get(state="waiting").pk))
    assert counted() == {("", event("pull", "app")["target"]["digest"]): (1, 0)}


# The index anew, pruning, and what the pages are told


def test_a_rebuilt_index_knows_the_last_pulls_again(registry: Registry, app: IndexedRepository) -> None:
    notify(
        registry, pull(tag="1.0", digest=INDEX, minute=3), pull(digest=INDEX, minute=1), pull(digest=IMAGE, minute=2)
    )
    work(registry)
    before = last_pulls()
    IndexedTag.objects.update(pulled_at=None)
    IndexedRepository.objects.update(pulled_at=None)
    pulls.restore(registry=registry, repository="app")
    assert last_pulls() == before
    assert before["latest"] == NOON + dt.timedelta(minutes=1)
    app.refresh_from_db()
    assert app.pulled_at == NOON + dt.timedelta(minutes=3)


def test_used_notifications_are_pruned_and_what_they_counted_stays(
    registry: Registry, app: IndexedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify(registry, pull(tag="plain", digest=IMAGE))
    work(registry)
    notify(registry, pull(tag="1.0", digest=INDEX))
    Job.objects.filter(state="waiting").delete()
    since = receive.pulled_since(registry)
    monkeypatch.setattr(timezone, "now", lambda: NOON + dt.timedelta(days=14, hours=1))
    with override_settings(EVENTS_KEEP_DAYS=15):
        assert process.prune() == 0
    assert process.prune() == 1
    assert Notification.objects.get().processed_at is None, "nobody used it yet"
    assert counted() == {("plain", IMAGE): (1, 0)}
    assert since is not None
    assert receive.pulled_since(registry) == since
    assert not Job.objects.exists(), "what ended well a day ago says nothing"


def test_the_minutely_look_asks_only_where_something_waits(registry: Registry, read: object) -> None:
    Registry.objects.create(slug="second", url="http://s", public_host="s")
    tasks.look_after()
    assert not Job.objects.filter(kind="notifications").exists()
    notify(registry, event("push", "app"))
    Job.objects.all().delete()
    tasks.look_after()
    tasks.look_after()
    assert list(Job.objects.filter(kind="notifications").values_list("registry__slug", flat=True)) == ["default"]


def test_arrival_and_since_when_pulls_are_known_of(
    registry: Registry, read: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert receive.arriving(registry) == receive.Arrival(None, None, 0, 0)
    assert receive.pulled_since(registry) is None
    first = timezone.now()
    notify(registry, event("push", "app"))
    assert receive.arriving(registry) == receive.Arrival(first, first, 1, 1)
    assert receive.pulled_since(registry) is None, "this registry may be configured to tell of no pulls"
    work(registry)
    tomorrow = first + dt.timedelta(days=1)
    monkeypatch.setattr(timezone, "now", lambda: tomorrow)
    notify(registry, event("pull", "app", agent=USER_AGENT), event("push", "app"))
    assert receive.arriving(registry) == receive.Arrival(first, tomorrow, 1, 1)
    assert receive.pulled_since(registry) == tomorrow, "even of our own"
    monkeypatch.setattr(timezone, "now", lambda: tomorrow + dt.timedelta(days=1))
    notify(registry, event("pull", "app"))
    assert receive.pulled_since(registry) == tomorrow
