"""Pointing a tag at a digest when something goes wrong between two requests, and what the worker does afterwards."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from dashboard.models import (
    AuditEntry,
    Content,
    Deletion,
    DeletionPlan,
    IndexedTag,
    IndexState,
    Notification,
    ProtectedMove,
    Registry,
    TagPeriod,
    User,
)
from dashboard.registry import errors
from dashboard.registry.client import RegistrySession
from dashboard.registry.references import Digest, RepositoryName, Tag
from dashboard.services import access, kept_images, point_survey, pointing
from dashboard.services.audit import Actor
from dashboard.services.index import mount, own_writes
from dashboard.services.index.update import read_again
from dashboard.services.notifications.pushes import AROUND
from dashboard.services.pointing import Pointed, PointRefused
from dashboard.tasks import follow_pointing
from tests.fake_registry import FakeRegistry
from tests.support.images import Pushed
from tests.unit.storage.trees import Tree

APP = RepositoryName("team/app")
ACTOR = Actor("maria", "10.0.0.7")
OTHER = Digest("sha256:" + "e" * 64)

Point = Callable[..., Pointed]


@pytest.fixture
def point(registry: Registry, maria: User) -> Point:
    """What the button does."""

    def act(tag: str, digest: str, expected: str = "", repository: str = APP) -> Pointed:
        return pointing.point(
            access.access_to(user=maria, registry=registry, budget=30),
            repository=RepositoryName(repository), tag=Tag(tag), digest=Digest(digest), expected=expected, actor=ACTOR,
        )  # fmt: skip

    return act


def seen(registry: Registry, repository: str = APP) -> None:
    read_again(registry=registry, names=[repository])


def two(registry: Registry, fake: FakeRegistry) -> tuple[Pushed, Pushed]:
    """An image that `latest` named, and the one that it names."""
    old = fake.push_image(APP, "latest", layers=[b"old"])
    seen(registry)
    new = fake.push_image(APP, "latest", layers=[b"new"])
    seen(registry)
    return old, new


def entry() -> tuple[str, str, str, list[str]]:
    row = AuditEntry.objects.get()
    return row.action, row.outcome, row.code, row.answers


def test_only_what_has_to_be_is_sent(registry: Registry, fake: FakeRegistry, point: Point) -> None:
    old, new = two(registry, fake)
    fake.forget_requests()
    point("latest", old.digest, new.digest)
    writes = [f"{r.method} {r.path}" for r in fake.requests if r.method not in ("GET", "HEAD")]
    assert writes == ["PUT /v2/team/app/manifests/latest"]
    assert str(fake.requests[-2]) == writes[0]
    assert str(fake.requests[-3]) == "HEAD /v2/team/app/manifests/latest", "looked at right before"
    assert str(fake.requests[-1]) == "HEAD /v2/team/app/manifests/latest", "and read back"


def test_a_push_between_the_first_look_and_the_last_wins(
    registry: Registry, fake: FakeRegistry, point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = two(registry, fake)
    newest = fake.push_image(APP, layers=[b"newest"])
    read = kept_images.read

    def pushed_meanwhile(*args: object, **options: object) -> kept_images.KeptImage:
        fake.move_tag(APP, "latest", newest.digest)
        return read(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(kept_images, "read", pushed_meanwhile)
    with pytest.raises(PointRefused, match="moved"):
        point("latest", old.digest, new.digest)
    assert fake.tags(APP) == {"latest": newest.digest}
    assert entry() == ("move", "refused", "moved", [])


def test_a_push_right_after_is_said(
    registry: Registry, fake: FakeRegistry, point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = two(registry, fake)
    put = RegistrySession.put_manifest

    def and_somebody_else(session: RegistrySession, *args: str) -> Digest:
        digest = put(session, *args)  # type: ignore[arg-type]
        fake.move_tag(APP, "latest", other.digest)
        return digest

    other = fake.push_image(APP, layers=[b"other"])
    monkeypatch.setattr(RegistrySession, "put_manifest", and_somebody_else)
    done = point("latest", old.digest, new.digest)
    assert (done.digest, done.now) == (old.digest, other.digest)
    assert entry() == ("move", "done", "overtaken", ["PUT latest: accepted"])


@pytest.mark.parametrize("arrives", [True, False])
def test_an_answer_that_never_came_is_asked_for(
    registry: Registry, fake: FakeRegistry, point: Point, monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    old, new = two(registry, fake)
    put = RegistrySession.put_manifest

    def broken_off(session: RegistrySession, *args: str) -> Digest:
        if arrives:
            put(session, *args)  # type: ignore[arg-type]
        raise errors.TimedOut("put manifest", "registry.test:5000")

    monkeypatch.setattr(RegistrySession, "put_manifest", broken_off)
    if arrives:
        assert point("latest", old.digest, new.digest).now == old.digest
        assert entry() == ("move", "done", "", ["PUT latest: timed-out"])
    else:
        with pytest.raises(errors.TimedOut):
            point("latest", old.digest, new.digest)
        assert entry() == ("move", "failed", "timed-out", ["PUT latest: timed-out"])
    assert fake.tags(APP) == {"latest": old.digest if arrives else new.digest}
    assert any(pointing.FOLLOW in str(message.task) for message in OrmQ.objects.all()), "either way it is read again"


def test_a_registry_that_falls_silent_after_the_write_did_it_nevertheless(
    registry: Registry, fake: FakeRegistry, point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = two(registry, fake)
    put = RegistrySession.put_manifest

    def last_word(session: RegistrySession, *args: str) -> Digest:
        digest = put(session, *args)  # type: ignore[arg-type]
        fake.fail_next("HEAD", exception="timeout", times=None)
        return digest

    monkeypatch.setattr(RegistrySession, "put_manifest", last_word)
    done = point("latest", old.digest, new.digest)
    fake.heal()
    assert (done.now, fake.tags(APP)) == ("", {"latest": old.digest})
    assert entry()[:3] == ("move", "done", "not-read-back")


def test_a_registry_that_accepts_and_does_nothing_is_found_out(
    registry: Registry, fake: FakeRegistry, point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = two(registry, fake)
    monkeypatch.setattr(RegistrySession, "put_manifest", lambda *_args: old.digest)
    with pytest.raises(PointRefused, match="lost"):
        point("latest", old.digest, new.digest)
    assert entry()[:3] == ("move", "failed", "lost")


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (405, b"Method not allowed", "read-only"), (403, b"", "forbidden"), (401, b"", "unauthorized"),
        (429, b"", "rate-limited"), (400, b'{"errors":[{"code":"MANIFEST_INVALID"}]}', "rejected"),
    ],
)  # fmt: skip
def test_what_the_registry_refuses_stands_in_the_audit(
    registry: Registry, fake: FakeRegistry, point: Point, status: int, body: bytes, code: str
) -> None:
    old, new = two(registry, fake)
    fake.fail_next("PUT", status=status, body=body, headers={"Content-Type": "text/plain"})
    with pytest.raises(errors.RegistryError) as caught:
        point("latest", old.digest, new.digest)
    assert caught.value.code == code
    assert entry()[:3] == ("move", "refused", code)
    assert fake.tags(APP) == {"latest": new.digest}


def test_a_blob_that_the_registry_misses_in_the_end_is_named(
    registry: Registry, fake: FakeRegistry, point: Point, version: str
) -> None:
    """Gone between our look and its own: its answer names it."""
    old, new = two(registry, fake)
    body = f'{{"errors":[{{"code":"MANIFEST_BLOB_UNKNOWN","message":"x","detail":"{old.layers[0]}"}}]}}'.encode()
    fake.fail_next("PUT", status=400, body=body, headers={"Content-Type": "application/json"})
    with pytest.raises(PointRefused) as caught:
        point("latest", old.digest, new.digest)
    assert (caught.value.code, caught.value.gone) == ("gone", (old.layers[0],))


def test_a_deletion_that_is_at_work_in_the_repository_is_not_disturbed(
    registry: Registry, fake: FakeRegistry, point: Point, maria: User
) -> None:
    old, new = two(registry, fake)
    now = timezone.now()
    plan = DeletionPlan.objects.create(
        registry=registry, repository=APP, user=maria, created_at=now, expires_at=now, effect={}, fingerprint="f",
    )  # fmt: skip
    deletion = Deletion.objects.create(
        plan=plan, registry=registry, repository=APP, user=maria, user_name="maria", acted_with="default",
        created_at=now, kept_until=now, lease_until=now + dt.timedelta(minutes=3),
    )  # fmt: skip
    with pytest.raises(PointRefused, match="busy"):
        point("latest", old.digest, new.digest)
    elsewhere = fake.push_image("web", "1.0")
    point("2.0", elsewhere.digest, repository="web")
    Deletion.objects.filter(pk=deletion.pk).update(lease_until=now)
    point("latest", old.digest, new.digest)


# What is kept serves the repository that had it alone


def test_bytes_of_another_repository_are_not_to_be_had(registry: Registry, fake: FakeRegistry, point: Point) -> None:
    secret = fake.push_image("secret/app", "1.0", layers=[b"secret"])
    seen(registry, "secret/app")
    fake.push_image(APP, "1.0")
    assert Content.objects.filter(digest=secret.digest).exists()
    with pytest.raises(errors.ManifestUnknown):
        point("mine", secret.digest)
    assert fake.tags(APP).keys() == {"1.0"}


def test_an_index_that_lists_what_another_repository_holds_tells_nothing_of_it(
    registry: Registry, fake: FakeRegistry, maria: User
) -> None:
    """Some registries take indexes whose children are not there."""
    secret = fake.push_image("secret/app", "1.0", layers=[b"secret"])
    seen(registry, "secret/app")
    index = fake.push_index(APP, "1.0", children=[secret])
    found = point_survey.survey(access.access_to(user=maria, registry=registry), APP, index.digest, None)
    assert list(found.gone) == [secret.digest]
    assert (found.then.bytes, list(found.then.layers), found.then.created_at) == (0, [], None)


def test_an_image_that_is_nowhere_any_more_is_not_found(registry: Registry, fake: FakeRegistry, point: Point) -> None:
    old, new = two(registry, fake)
    fake.remove_manifest(APP, old.digest)
    Content.objects.all().delete()
    with pytest.raises(errors.ManifestUnknown):
        point("latest", old.digest, new.digest)
    assert fake.tags(APP) == {"latest": new.digest}
    assert entry()[:3] == ("move", "failed", "manifest-unknown")


def test_bytes_that_are_not_what_their_digest_says_are_not_put(
    registry: Registry, fake: FakeRegistry, point: Point
) -> None:
    old, new = two(registry, fake)
    fake.remove_manifest(APP, old.digest)
    Content.objects.filter(digest=old.digest).update(raw=old.raw + b" ")
    with pytest.raises(errors.DigestMismatch):
        point("latest", old.digest, new.digest)
    assert fake.tags(APP) == {"latest": new.digest}


def test_nested_indexes_are_put_from_the_inside_out(registry: Registry, fake: FakeRegistry, point: Point) -> None:
    """An entry that the root and an inner index both list stands before either."""
    shared = fake.push_image(APP, platform="linux/arm64", layers=[b"shared"])
    inner = fake.push_index(APP, children=[shared])
    inner_entry = {"mediaType": inner.media_type, "digest": inner.digest, "size": len(inner.raw)}
    root = fake.push_index(APP, "multi", children=[shared, inner_entry])
    seen(registry)
    newer = fake.push_image(APP, "multi", layers=[b"newer"])
    for digest in (root.digest, inner.digest, shared.digest):
        fake.remove_manifest(APP, digest)
    fake.forget_requests()
    assert point("multi", root.digest, newer.digest).put == 2
    puts = [r.path.rpartition("/")[2] for r in fake.requests if r.method == "PUT"]
    assert puts == [shared.digest, inner.digest, "multi"]


def test_foreign_layers_are_not_asked_for(registry: Registry, fake: FakeRegistry, point: Point) -> None:
    windows = fake.push_artifact(
        APP, "1.0", config=b'{"os":"windows"}', config_type="application/vnd.oci.image.config.v1+json"
    )
    foreign = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "digest": OTHER, "size": 5,
        "urls": ["https://elsewhere.test/layer"],
    }  # fmt: skip
    document = json.loads(windows.raw) | {"layers": [foreign]}
    raw = json.dumps(document).encode()
    digest = fake.put_manifest(APP, "win", windows.media_type, raw)
    assert point("windows", digest).now == digest


# Afterwards


def test_the_worker_reads_the_repository_again(registry: Registry, fake: FakeRegistry, point: Point) -> None:
    old, new = two(registry, fake)
    point("latest", old.digest, new.digest)
    follow_pointing(registry.pk, APP, "latest", new.digest)
    assert IndexedTag.objects.get().digest == old.digest
    assert [*TagPeriod.objects.order_by("pk").values_list("digest", flat=True)] == [
        old.digest, new.digest, old.digest,
    ]  # fmt: skip
    follow_pointing(registry.pk + 1, APP, "latest", new.digest)


@pytest.mark.parametrize("shows", [True, False])
def test_a_disk_on_which_it_does_not_appear_is_no_source(
    registry: Registry, fake: FakeRegistry, point: Point, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shows: bool
) -> None:
    monkeypatch.setattr(own_writes, "SEEN_WITHIN_SECONDS", 0.05)
    monkeypatch.setattr(own_writes, "POLL_SECONDS", 0.01)
    old, new = two(registry, fake)
    point("latest", old.digest, new.digest)
    tree = Tree(tmp_path / "storage")
    tree.hold(APP, new.digest)
    tree.hold(APP, old.digest)
    for image in (old, new):
        tree.write(tree.data_path(image.digest), image.raw)
    tree.tag(APP, "latest", old.digest if shows else new.digest)
    registry.storage_root = str(tree.root)
    registry.save()
    mount.note(registry, mount.Verdict(IndexState.Mount.BELONGS))
    follow_pointing(registry.pk, APP, "latest", new.digest)
    assert IndexState.objects.get().mount == ("belongs" if shows else "differs")
    fake.push_image(APP, "unseen")
    follow_pointing(registry.pk, APP, "unseen", "")
    assert IndexState.objects.get().mount == "differs"


# Who pushed


def test_who_pushed_is_told_by_the_notifications_of_those_minutes(
    registry: Registry, fake: FakeRegistry, maria: User
) -> None:
    old, new = two(registry, fake)
    for number, (tag, digest, actor) in enumerate(
        [("latest", new.digest, "ci"), ("other", new.digest, "x"), ("latest", old.digest, "jonas")]
    ):
        Notification.objects.create(
            registry=registry, event_id=f"{number}", received_at=timezone.now(),
            payload={"action": "push", "repository": APP, "tag": tag, "digest": digest, "actor": actor},
        )  # fmt: skip
    asking = access.access_to(user=maria, registry=registry)
    found = point_survey.survey(asking, APP, old.digest, Tag("latest"))
    assert found.now is not None
    assert (found.then.pushed_by, found.now.pushed_by) == ("jonas", "ci")
    TagPeriod.objects.update(began_at=timezone.now() - 7 * AROUND)
    found = point_survey.survey(asking, APP, old.digest, Tag("latest"))
    assert found.then.pushed_by == ""


def test_a_tag_whose_image_is_broken_can_be_pointed_elsewhere(
    registry: Registry, fake: FakeRegistry, maria: User, point: Point
) -> None:
    old, new = two(registry, fake)
    Content.objects.filter(digest=new.digest).delete()
    fake.fail_next(f"GET .*{new.digest}", status=500, times=None)
    found = point_survey.survey(access.access_to(user=maria, registry=registry), APP, old.digest, Tag("latest"))
    assert (found.expected, found.now and found.now.bytes) == (new.digest, None)
    assert point("latest", old.digest, new.digest).now == old.digest


def test_success_ends_the_notice_of_the_tag(registry: Registry, fake: FakeRegistry, point: Point) -> None:
    old, new = two(registry, fake)
    ProtectedMove.objects.create(
        registry=registry, repository=APP, tag="latest", rule="x", before=old.digest, after=new.digest,
        at=timezone.now(),
    )  # fmt: skip
    point("latest", old.digest, new.digest)
    move = ProtectedMove.objects.get()
    assert (move.dismissed_by, move.dismissed_at is None) == ("maria", False)
