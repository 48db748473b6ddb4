"""Pointing tags at digests through the dashboard's own services, on the real registries and the fake.

The promise under test: what is pointed back is what it was to the byte, and nothing is moved that was not seen.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dashboard.models import AuditEntry, ProtectedMove, TagPeriod
from dashboard.registry import errors
from dashboard.registry.client import RegistryClient
from dashboard.registry.references import Digest, RepositoryName, Tag, parse_repository
from dashboard.services import point_survey, pointing, protection
from dashboard.services.audit import Actor
from dashboard.services.index.update import read_again
from dashboard.services.pointing import Pointed, PointRefused
from tests.support.deleting import Desk, desk_at
from tests.support.images import Pushed, push_image, push_index
from tests.support.registries import Kind, binary, missing, start_registry

from .conftest import READER, Start, Subject

pytestmark = pytest.mark.django_db

ACTOR = Actor("maria", "10.0.0.7", "robot")


@pytest.fixture
def desk(registry: Subject) -> Iterator[Desk]:
    """Somebody who may, at the open registry."""
    url = registry.running.url if registry.running else "http://registry.test:5000"
    with desk_at(registry.client, url, registry.session()) as desk:
        yield desk


def point(desk: Desk, repository: RepositoryName, tag: str, digest: str, expected: str = "") -> Pointed:
    return pointing.point(
        desk.access, repository=repository, tag=Tag(tag), digest=Digest(digest), expected=expected, actor=ACTOR
    )


def seen(desk: Desk, repository: RepositoryName) -> None:
    """What a notification, a refresh or a page leads to."""
    assert list(read_again(registry=desk.registry, names=[repository]).values()) == [None]


def moved_twice(desk: Desk, repository: RepositoryName) -> list[Pushed]:
    """`latest` on one image after the other, each seen by the index."""
    pushed = []
    for number in range(3):
        pushed.append(push_image(desk.session, repository, "latest", layers=(b"base", b"layer %d" % number)))
        seen(desk, repository)
    return pushed


def lose(registry: Subject, repository: RepositoryName, digest: str) -> None:
    """The repository has the blob no more, as after a collection."""
    if registry.fake:
        registry.fake.state.repository(repository).layers.discard(digest)
        return
    assert registry.running is not None
    algorithm, _, text = digest.partition(":")
    root = registry.running.root / "docker/registry/v2"
    (root / "blobs" / algorithm / text[:2] / text / "data").unlink()


def audited() -> list[tuple[str, str, str, list[str], str, str]]:
    rows = AuditEntry.objects.order_by("pk")
    return list(rows.values_list("action", "outcome", "code", "tags", "digest_before", "digest_after"))


def test_a_tag_that_moved_twice_goes_back_to_the_byte(
    registry: Subject, desk: Desk, repository: RepositoryName
) -> None:
    first, _, last = moved_twice(desk, repository)
    done = point(desk, repository, "latest", first.digest, last.digest)
    assert (done.before, done.digest, done.now, done.put) == (last.digest, first.digest, first.digest, 0)
    got = desk.session.get_manifest(repository, "latest")
    assert (got.digest, got.raw, got.media_type) == (first.digest, first.raw, first.media_type)
    assert audited() == [("move", "done", "", ["latest"], last.digest, first.digest)]
    entry = AuditEntry.objects.get()
    assert (entry.user, entry.address, entry.acted_as, entry.answers) == (
        "maria", "10.0.0.7", "robot", ["PUT latest: accepted"],
    )  # fmt: skip
    pointing.follow(desk.registry.pk, repository, "latest", last.digest)
    periods = TagPeriod.objects.filter(tag="latest").order_by("pk").values_list("digest", flat=True)
    assert [*periods][-1] == first.digest
    assert len(periods) == 4
    if registry.running:
        shown = subprocess.run(
            ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{registry.running.host}/{repository}:latest"],
            capture_output=True, timeout=60, check=True,
        )  # fmt: skip
        assert shown.stdout == first.raw


def test_a_new_tag_on_an_image_that_has_one(desk: Desk, repository: RepositoryName) -> None:
    image = push_image(desk.session, repository, "1.0", docker=True)
    done = point(desk, repository, "stable", image.digest)
    assert (done.before, done.now) == ("", image.digest)
    assert desk.points_at(repository, "1.0") == desk.points_at(repository, "stable") == image.digest
    assert audited() == [("retag", "done", "", ["stable"], "", image.digest)]


def test_what_the_repository_forgot_is_put_back_children_first(
    registry: Subject, desk: Desk, repository: RepositoryName
) -> None:
    amd64 = push_image(desk.session, repository, platform="linux/amd64", layers=(b"amd",))
    arm64 = push_image(desk.session, repository, platform="linux/arm64", layers=(b"arm",))
    index = push_index(desk.session, repository, "multi", children=[amd64, arm64])
    seen(desk, repository)
    newer = push_image(desk.session, repository, "multi", layers=(b"newer",))
    seen(desk, repository)
    for digest in (index.digest, arm64.digest):
        desk.session.delete_manifest(repository, digest)
    found = point_survey.survey(desk.access, repository, index.digest, Tag("multi"))
    assert (found.put_back, list(found.gone), found.expected, found.is_return) == (2, [], newer.digest, True)
    assert not desk.session.has_manifest(repository, index.digest), "looking puts nothing"
    done = point(desk, repository, "multi", index.digest, newer.digest)
    assert (done.now, done.put) == (index.digest, 1)
    assert desk.session.get_manifest(repository, "multi").raw == index.raw
    assert desk.session.get_manifest(repository, arm64.digest).raw == arm64.raw
    short = arm64.digest.partition(":")[2][:12]
    assert AuditEntry.objects.get().answers == [f"PUT {short}: accepted", "PUT multi: accepted"]
    if registry.running:
        inspected = subprocess.run(
            ["skopeo", "inspect", "--tls-verify=false", "--override-os=linux", "--override-arch=arm64",
             f"docker://{registry.running.host}/{repository}:multi"],
            capture_output=True, timeout=60, check=True,
        )  # fmt: skip
        assert json.loads(inspected.stdout)["Architecture"] == "arm64"


@pytest.mark.parametrize("forgotten", [False, True])
def test_refused_where_a_layer_is_gone_and_said_which(
    registry: Subject, desk: Desk, repository: RepositoryName, forgotten: bool
) -> None:
    own = f"own layer of {repository}".encode()
    old = push_image(desk.session, repository, "latest", layers=(b"base", own))
    seen(desk, repository)
    new = push_image(desk.session, repository, "latest", layers=(b"base", b"new"))
    seen(desk, repository)
    if forgotten:
        desk.session.delete_manifest(repository, old.digest)
    lose(registry, repository, old.layers[1])
    found = point_survey.survey(desk.access, repository, old.digest, Tag("latest"))
    assert list(found.gone) == [old.layers[1]]
    with pytest.raises(PointRefused) as caught:
        point(desk, repository, "latest", old.digest, new.digest)
    assert (caught.value.code, caught.value.gone) == ("gone", (old.layers[1],))
    assert desk.points_at(repository, "latest") == new.digest
    assert desk.session.has_manifest(repository, old.digest) is not forgotten
    assert audited() == [("move", "refused", "gone", ["latest"], new.digest, old.digest)]


def test_refused_where_a_child_is_gone_for_good(registry: Subject, desk: Desk, repository: RepositoryName) -> None:
    amd64 = push_image(desk.session, repository, platform="linux/amd64", layers=(b"amd",))
    arm64 = push_image(desk.session, repository, platform="linux/arm64", layers=(f"arm of {repository}".encode(),))
    index = push_index(desk.session, repository, "multi", children=[amd64, arm64])
    seen(desk, repository)
    desk.session.delete_manifest(repository, arm64.digest)
    assert arm64.config is not None
    for digest in (*arm64.layers, arm64.config):
        lose(registry, repository, digest)
    with pytest.raises(PointRefused) as caught:
        point(desk, repository, "other", index.digest)
    assert (caught.value.code, caught.value.gone) == ("gone", (arm64.digest,))
    assert desk.points_at(repository, "other") is None


def test_a_tag_that_moved_since_it_was_seen_stays(desk: Desk, repository: RepositoryName) -> None:
    first, second, third = moved_twice(desk, repository)
    with pytest.raises(PointRefused) as caught:
        point(desk, repository, "latest", first.digest, second.digest)
    assert (caught.value.code, caught.value.now) == ("moved", third.digest)
    with pytest.raises(PointRefused) as caught:
        point(desk, repository, "latest", first.digest)
    assert (caught.value.code, caught.value.now) == ("exists", third.digest)
    with pytest.raises(PointRefused) as caught:
        point(desk, repository, "gone", first.digest, second.digest)
    assert (caught.value.code, caught.value.now) == ("moved", "")
    assert desk.points_at(repository, "latest") == third.digest
    assert desk.points_at(repository, "gone") is None
    assert [(outcome, code) for _, outcome, code, *_ in audited()] == [
        ("refused", "moved"), ("refused", "exists"), ("refused", "moved"),
    ]  # fmt: skip


def test_a_protected_tag_is_not_moved_but_goes_back_to_what_it_was(desk: Desk, repository: RepositoryName) -> None:
    protection.add(registry=desk.registry, tag_pattern="latest", repository_pattern="contract/*", note="", actor=ACTOR)
    first, second, third = moved_twice(desk, repository)
    move = ProtectedMove.objects.get()
    assert (move.before, move.after, move.rule) == (first.digest, third.digest, "contract/*:latest")
    with pytest.raises(PointRefused) as caught:
        point(desk, repository, "latest", second.digest, third.digest)
    assert (caught.value.code, caught.value.rule) == ("protected", "contract/*:latest")
    assert desk.points_at(repository, "latest") == third.digest
    point(desk, repository, "latest", first.digest, third.digest)
    assert desk.points_at(repository, "latest") == first.digest
    seen(desk, repository)
    move.refresh_from_db()
    assert (move.dismissed_by, ProtectedMove.objects.count()) == ("maria", 1)


def test_who_may_only_pull_is_told_so_and_nothing_changes(start: Start, kind: str) -> None:
    subject = start(kind, "token")
    repository = subject.repository()
    url = subject.running.url if subject.running else "http://registry.test:5000"
    with desk_at(subject.client, url, subject.session()) as desk:
        image = push_image(desk.session, repository, "1.0")
        desk.registry.from_environment, desk.registry.default_username = False, READER.username
        desk.registry.set_default_password(READER.password)
        desk.registry.save()
        with pytest.raises(errors.Unauthorized) as caught:
            point(desk, repository, "stable", image.digest)
        assert (caught.value.operation, caught.value.user) == ("put manifest", "reader")
        assert desk.points_at(repository, "stable") is None
    assert audited() == [("retag", "refused", "unauthorized", ["stable"], "", image.digest)]


def test_a_registry_in_maintenance_is_heard(real_kind: str, tmp_path: Path) -> None:
    """The same storage behind a registry that only reads."""
    real: Kind = "2.8" if real_kind == "2.8" else "3.1"
    if binary(real) is None:
        pytest.skip(missing(real))
    repository = parse_repository("team/app")
    open_for_pushes = start_registry(real, tmp_path)
    with closing(RegistryClient(open_for_pushes.url)) as client:
        image = push_image(client.session(), repository, "1.0")
    open_for_pushes.stop()
    running = start_registry(real, tmp_path, readonly=True)
    with closing(RegistryClient(running.url)) as client, desk_at(client, running.url, client.session()) as desk:
        with pytest.raises(errors.ReadOnly):
            point(desk, repository, "stable", image.digest)
        assert desk.points_at(repository, "stable") is None
    running.stop()
    assert audited() == [("retag", "refused", "read-only", ["stable"], "", image.digest)]
