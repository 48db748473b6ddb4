"""Notices of protected tags: raised where the history is written, followed, and ended; never for what was done here."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.models import AuditEntry, IndexedRepository, ProtectedMove, Registry
from dashboard.registry.references import Digest
from dashboard.services import audit, protected_moves, protection
from dashboard.services.access import Visible
from dashboard.services.audit import Actor
from dashboard.services.index import history, refresh
from dashboard.services.index.history import Move
from dashboard.services.index.update import read_again
from tests.fake_registry import FakeRegistry
from tests.support.events import event
from tests.unit.index.support import done, moment
from tests.unit.services.notifications.steps import notify, work

APP, WEB = "team/app", "web"
ACTOR = Actor("admin")
ONE, TWO, THREE = (Digest(f"sha256:{letter * 64}") for letter in "123")
Open = tuple[str, str, str, str]


@pytest.fixture
def version() -> str:
    """What is noticed does not depend on it."""
    return "3.1"


@pytest.fixture(autouse=True)
def rules(registry: Registry) -> None:
    """Latest everywhere, versions in one namespace."""
    for tags, repositories in (("latest", "*"), ("v*", "team/*")):
        protection.add(registry=registry, tag_pattern=tags, repository_pattern=repositories, note="", actor=ACTOR)


def opened() -> list[Open]:
    rows = ProtectedMove.objects.filter(dismissed_at=None).order_by("repository", "tag")
    return list(rows.values_list("repository", "tag", "before", "after"))


def note(registry: Registry, digest: Digest | None, minute: float, tag: str = "latest") -> None:
    history.note(registry=registry, moves=[Move(APP, tag, digest, moment(minute))], learnt="refresh")  # type: ignore[arg-type]


def recorded(action: str, after: str, at: dt.datetime, *, tag: str = "latest", outcome: str = "done") -> None:
    entry = audit.record(
        actor=ACTOR, action=AuditEntry.Action(action), outcome=AuditEntry.Outcome(outcome), registry="default",
        repository=APP, tags=["other", tag], before=ONE, after=after,
    )  # fmt: skip
    AuditEntry.objects.filter(pk=entry.pk).update(at=at)


# Whoever reads finds it


@pytest.mark.parametrize("reads", ["refresh", "again"])
def test_a_push_that_moves_a_protected_tag_raises_a_notice(registry: Registry, fake: FakeRegistry, reads: str) -> None:
    def read() -> None:
        if reads == "refresh":
            done(registry)
        else:
            read_again(registry=registry, names=[APP, WEB])

    old = fake.push_image(APP, "latest", "v1", "free", layers=[b"old"])
    fake.push_image(WEB, "latest", "v1", layers=[b"old"])
    read()
    assert opened() == [], "what is seen first was not moved"
    new = fake.push_image(APP, "latest", "v1", "free", layers=[b"new"])
    fake.push_image(WEB, "v1", layers=[b"new"])
    read()
    assert opened() == [(APP, "latest", old.digest, new.digest), (APP, "v1", old.digest, new.digest)]
    assert set(ProtectedMove.objects.values_list("rule", flat=True)) == {"latest", "team/*:v*"}
    read()
    assert len(opened()) == 2


def test_a_protected_tag_that_vanished_raises_one_too(registry: Registry, fake: FakeRegistry) -> None:
    image = fake.push_image(APP, "latest", "free")
    fake.push_image(APP, "other", layers=[b"other"])
    done(registry)
    fake.remove_manifest(APP, image.digest)
    done(registry)
    assert opened() == [(APP, "latest", image.digest, "")]


def test_a_repository_that_vanished_takes_its_protected_tags_along(registry: Registry, fake: FakeRegistry) -> None:
    image = fake.push_image(APP, "latest")
    fake.push_image(WEB, "1")
    fake.push_image("third", "1")
    done(registry)
    del fake.state.repositories[APP]
    done(registry)
    assert not IndexedRepository.objects.filter(name=APP).exists()
    assert opened() == [(APP, "latest", image.digest, "")]


def test_a_rebuild_of_the_index_forgets_nothing(registry: Registry, fake: FakeRegistry) -> None:
    old = fake.push_image(APP, "latest", layers=[b"old"])
    done(registry)
    new = fake.push_image(APP, "latest", layers=[b"new"])
    refresh.empty(registry)
    done(registry)
    assert opened() == [(APP, "latest", old.digest, new.digest)]


def test_an_unmounted_volume_is_no_deletion(registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image(APP, "latest", *(f"v{n}" for n in range(25)))
    done(registry)
    fake.state.repositories[APP].tags.clear()
    done(registry)
    assert opened() == [], "held back by the guard, so not known to be gone"


# It follows its tag


def test_one_notice_follows_the_tag_and_ends_where_it_comes_back(registry: Registry) -> None:
    note(registry, ONE, 0)
    note(registry, TWO, 1)
    note(registry, THREE, 2)
    assert opened() == [(APP, "latest", ONE, THREE)]
    note(registry, None, 3)
    assert opened() == [(APP, "latest", ONE, "")]
    note(registry, TWO, 4)
    assert opened() == [(APP, "latest", ONE, TWO)], "deleted and pushed anew"
    assert ProtectedMove.objects.get().at == moment(4)
    note(registry, ONE, 5)
    assert opened() == []
    assert ProtectedMove.objects.get().dismissed_by == ""
    note(registry, TWO, 6)
    assert opened() == [(APP, "latest", ONE, TWO)]
    assert ProtectedMove.objects.count() == 2


def test_a_rule_that_is_gone_raises_nothing_and_leaves_what_is_open(registry: Registry) -> None:
    note(registry, ONE, 0)
    note(registry, ONE, 0, tag="v1")
    note(registry, TWO, 1)
    for rule in protection.rules_of(registry):
        protection.remove(registry=registry, pk=rule.pk, actor=ACTOR)
    note(registry, TWO, 2, tag="v1")
    note(registry, THREE, 2)
    assert opened() == [(APP, "latest", ONE, THREE)]


# What was done here


@pytest.mark.parametrize(
    ("action", "after"),
    [("move", TWO), ("retag", TWO), ("restore", TWO), ("delete", ""), ("untag", "")],
)
def test_what_was_done_from_here_raises_nothing(registry: Registry, action: str, after: str) -> None:
    note(registry, ONE, 0)
    recorded(action, after, moment(5))
    note(registry, Digest(after) if after else None, 6)
    assert opened() == []


@pytest.mark.parametrize(
    ("what", "minute", "options"),
    [
        ("before the tag pointed there", -60, {}), ("to another digest", 5, {"after": THREE}),
        ("in vain", 5, {"outcome": "failed"}), ("another tag", 5, {"tag": "v1"}),
        ("something else", 5, {"action": "rule"}),
    ],
    ids=["earlier", "elsewhere", "failed", "another-tag", "another-action"],
)  # fmt: skip
def test_what_was_done_from_here_otherwise_excuses_nothing(
    registry: Registry, what: str, minute: float, options: dict[str, str]
) -> None:
    note(registry, ONE, 0)
    recorded(**({"action": "move", "after": TWO} | options), at=moment(minute))
    note(registry, TWO, 6)
    assert opened() == [(APP, "latest", ONE, TWO)], what


def test_what_is_done_from_here_ends_a_notice_too(registry: Registry) -> None:
    note(registry, ONE, 0)
    note(registry, None, 1)
    assert len(opened()) == 1
    recorded("retag", THREE, moment(2))
    note(registry, THREE, 3)
    assert opened() == []


# Who


def test_who_moved_or_deleted_it_is_told_by_notifications(registry: Registry, fake: FakeRegistry) -> None:
    old = fake.push_image(APP, "latest", "v1", "v2", layers=[b"old"])
    done(registry)
    new = fake.push_image(APP, "latest", layers=[b"new"])
    del fake.state.repositories[APP].tags["v1"]
    del fake.state.repositories[APP].tags["v2"]
    notify(
        registry,
        event("push", APP, tag="latest", digest=old.digest, actor="somebody before"),
        event("push", APP, tag="latest", digest=new.digest, actor="ci"),
        event("push", APP, tag="v1", digest=new.digest, actor="nobody of these"),
        event("delete", APP, tag="v1", digest="", actor="jonas"),
        event("delete", APP, digest=old.digest, actor="maria"),
    )
    work(registry)
    assert dict(ProtectedMove.objects.values_list("tag", "by")) == {"latest": "ci", "v1": "jonas", "v2": "maria"}


def test_a_notification_that_comes_after_the_reading_names_its_actor_still(
    registry: Registry, fake: FakeRegistry
) -> None:
    fake.push_image(APP, "latest", layers=[b"old"])
    done(registry)
    new = fake.push_image(APP, "latest", layers=[b"new"])
    read_again(registry=registry, names=[APP])
    assert ProtectedMove.objects.get().by == ""
    notify(registry, event("push", APP, tag="latest", digest=new.digest, actor="ci"))
    work(registry)
    assert ProtectedMove.objects.get().by == "ci"


# What pages ask


def test_notices_of_what_somebody_may_not_know_are_not_listed(registry: Registry, fake: FakeRegistry) -> None:
    for repository in (APP, WEB):
        fake.push_image(repository, "latest", layers=[b"old"])
    done(registry)
    for repository in (APP, WEB):
        fake.push_image(repository, "latest", layers=[b"new"])
    done(registry)
    every = protected_moves.of_registry(registry, Visible(Q()))
    some = protected_moves.of_registry(registry, Visible(Q(name__in=[WEB])))
    one = protected_moves.of_repository(registry, APP)
    assert [sorted(move.repository for move in found.moves) for found in (every, some, one)] == [
        [APP, WEB], [WEB], [APP],
    ]  # fmt: skip


def test_dismissing_is_said_in_the_audit_once(registry: Registry) -> None:
    note(registry, ONE, 0)
    note(registry, TWO, 1)
    move = ProtectedMove.objects.get()
    AuditEntry.objects.all().delete()
    assert protected_moves.dismiss(move=move, actor=Actor("maria", "10.0.0.7", "robot"))
    assert not protected_moves.dismiss(move=move, actor=Actor("jonas"))
    entry = AuditEntry.objects.get()
    assert (entry.user, entry.action, entry.code, entry.repository, entry.tags) == (
        "maria", "rule", "notice-dismissed", APP, ["latest"],
    )  # fmt: skip
    assert (entry.digest_before, entry.digest_after) == (ONE, TWO)
    move.refresh_from_db()
    assert move.dismissed_by == "maria"
    assert timezone.now() - (move.dismissed_at or moment(0)) < dt.timedelta(minutes=1)


@pytest.mark.parametrize("count", [1, 3, 50])
def test_what_it_costs_does_not_grow_with_the_tags(registry: Registry, count: int) -> None:
    moves = [Move(APP, f"v{n}", ONE, moment(0)) for n in range(count)]
    with CaptureQueriesContext(connection) as first:
        history.note(registry=registry, moves=moves, learnt="refresh")  # type: ignore[arg-type]
    asked = [q["sql"] for q in first if "protect" in q["sql"] or "tagrule" in q["sql"] or "audit" in q["sql"]]
    assert len(asked) == 1, "whether a notice is open; nothing moved"
    moved = [Move(APP, f"v{n}", TWO, moment(1)) for n in range(count)]
    with CaptureQueriesContext(connection) as second:
        history.note(registry=registry, moves=moved, learnt="refresh")  # type: ignore[arg-type]
    asked = [q["sql"] for q in second if "protect" in q["sql"] or "tagrule" in q["sql"] or "audit" in q["sql"]]
    assert len(asked) == 4, "rules, open notices, the audit, the new ones"
    assert ProtectedMove.objects.count() == count
