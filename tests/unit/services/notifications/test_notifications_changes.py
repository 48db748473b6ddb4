"""Pushes and deletions by others are kept once, with who and when; ours, layers and nonsense are not."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from dashboard.models import IndexedBlob, IndexedRepository, Notification, Registry, RegistryEvent
from dashboard.registry.client import USER_AGENT
from dashboard.services.notifications import changes, process
from tests.support.events import event

from .steps import IMAGE, NOON, counted, notify, pull, work

pytestmark = pytest.mark.django_db
LAYER = "sha256:" + "7" * 64


def push(repository: str = "app", **fields: Any) -> dict[str, Any]:
    return event("push", repository, at=NOON, **fields)


def delete(repository: str = "app", **fields: Any) -> dict[str, Any]:
    return event("delete", repository, at=NOON, **fields)


def kept(*fields: str) -> list[Any]:
    return list(RegistryEvent.objects.order_by("pk").values_list(*fields, flat=len(fields) == 1))


def test_who_pushed_and_deleted_what_when_and_from_where(registry: Registry, read: object) -> None:
    notify(
        registry,
        push(tag="1.0", digest=IMAGE, actor="ci-runner"),
        delete(digest=IMAGE, actor="maria"),
        delete(digest="", tag="1.0", address="[2001:db8::7]:4000"),
        pull(tag="1.0", digest=IMAGE),
    )
    work(registry)
    assert kept("action", "repository", "tag", "digest", "actor", "address", "at") == [
        ("push", "app", "1.0", IMAGE, "ci-runner", "10.0.0.7", NOON),
        ("delete", "app", "", IMAGE, "maria", "10.0.0.7", NOON),
        ("delete", "app", "1.0", "", "", "[2001:db8::7]", NOON),
    ]
    assert set(kept("user_agent")) == {"docker/27.3.1 go/go1.22"}
    assert counted() == {("1.0", IMAGE): (1, 0)}, "pulls are counted, not kept"


def test_what_came_twice_is_kept_once_even_when_its_notification_is_long_forgotten(
    registry: Registry, read: object
) -> None:
    sent = push(tag="1.0", digest=IMAGE)
    notify(registry, sent, sent)
    notify(registry, sent)
    work(registry)
    Notification.objects.all().delete()
    notify(registry, sent)
    work(registry)
    assert kept("tag") == ["1.0"]
    second = Registry.objects.create(slug="second", url="http://s", public_host="s")
    notify(second, sent)
    process.use(registry=second, ids=list(Notification.objects.filter(registry=second).values_list("pk", flat=True)))
    assert kept("registry__slug") == ["default", "second"], "another registry's of the same id is another"


def test_our_own_and_layers_and_nonsense_are_left_out(registry: Registry, read: object, app: IndexedRepository) -> None:
    IndexedBlob.objects.bulk_create([IndexedBlob(digest=digest, bytes=1) for digest in (LAYER, IMAGE)])
    notify(
        registry,
        push(tag="1.0", agent=USER_AGENT), delete(digest=IMAGE, agent="Strata/0.0.1"),
        push(digest=LAYER, media_type="application/octet-stream", where="blobs"), delete(digest=LAYER),
        push("Not A Name", tag="1.0"), push("x" * 300), push(tag="-no-tag"), push(tag="1.0", digest="sha256:short"),
        delete(digest="", tag=""),
    )  # fmt: skip
    work(registry)
    assert kept("tag") == []
    notify(registry, delete(digest=IMAGE), delete(digest="sha256:" + "9" * 64), push(tag="1.0", agent="Stratagem/1"))
    work(registry)
    assert kept("action") == ["delete", "delete", "push"], "a manifest; what nobody knows; a name that only begins so"


@pytest.mark.parametrize("timestamp", ["2031-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "yesterday", 7])
def test_a_time_that_cannot_be_gives_way_to_that_of_receipt(
    registry: Registry, read: object, timestamp: object
) -> None:
    notify(registry, {**push(tag="1.0"), "timestamp": timestamp})
    work(registry)
    assert kept("at") == [NOON + dt.timedelta(minutes=30)]


def test_endless_texts_are_cut(registry: Registry, read: object) -> None:
    long = "<script>" + "x" * 10_000
    notify(registry, push(tag="1.0", actor=long, agent=long, address=long))
    work(registry)
    assert kept("actor", "user_agent", "address") == [(long[:255], long[:200], long[:100])]


def test_a_change_is_kept_in_the_transaction_that_marks_its_notification(
    registry: Registry, read: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify(registry, push(tag="1.0"), pull(tag="1.0", digest=IMAGE))

    def fault(_made: object) -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as within:
        within.setattr(changes, "keep", fault)
        with pytest.raises(RuntimeError):
            work(registry)
    assert Notification.objects.filter(processed_at=None).count() == 2
    assert counted() == {}
    ids = list(Notification.objects.values_list("pk", flat=True))
    assert process.use(registry=registry, ids=ids) == 2
    assert process.use(registry=registry, ids=ids) == 0
    assert kept("tag") == ["1.0"]
