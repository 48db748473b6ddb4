"""Deleting one tag through the dashboard's own services, on the real registries and the fake.

The promise under test: it never deletes what you did not name.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.models import Deletion, DeletionItem, TrashedManifest
from dashboard.registry.references import Digest, RepositoryName
from dashboard.services.deletion import execute, plan
from tests.support.deleting import Desk, desk_at
from tests.support.images import push_image, push_index

from .conftest import Start, Subject

pytestmark = pytest.mark.django_db


def _desk(subject: Subject) -> Iterator[Desk]:
    url = subject.running.url if subject.running else "http://registry.test:5000"
    with desk_at(subject.client, url, subject.session()) as desk:
        yield desk


@pytest.fixture
def desk(registry: Subject) -> Iterator[Desk]:
    """A desk at the open registry, deletion enabled."""
    yield from _desk(registry)


def test_one_of_three_tags_goes_and_its_siblings_stay(desk: Desk, repository: RepositoryName) -> None:
    image = push_image(desk.session, repository, "1.0", "1", "latest")
    row = desk.delete(repository, "1")
    assert (row.state, row.outcome_code, row.method) == (DeletionItem.State.DONE, "untagged", "untag")
    assert desk.points_at(repository, "1") is None
    assert desk.points_at(repository, "1.0") == desk.points_at(repository, "latest") == image.digest
    assert sorted(desk.session.tags(repository)) == ["1.0", "latest"]


def test_siblings_can_be_pulled_with_skopeo_afterwards(start: Start, real_kind: str, tmp_path: Path) -> None:
    subject = start(real_kind, "open")
    repository = subject.repository()
    assert subject.running is not None
    for desk in _desk(subject):
        image = push_image(desk.session, repository, "1.0", "1", "latest", layers=(b"base", b"app"))
        assert desk.delete(repository, "1").state == DeletionItem.State.DONE
        for tag in ("1.0", "latest"):
            copy = tmp_path / f"{tag}-copy"
            source = f"docker://{subject.running.host}/{repository}:{tag}"
            command = ["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", source, f"dir:{copy}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr
            assert (copy / "manifest.json").read_bytes() == image.raw


def test_the_last_tag_takes_its_image_along(desk: Desk, repository: RepositoryName) -> None:
    image = push_image(desk.session, repository, "only", layers=(b"its own",))
    other = push_image(desk.session, repository, "other", layers=(b"another",))
    made = desk.plan(repository, "only")
    assert plan.effect_in(made).methods == ["remove", "untag"]
    row = desk.confirm(made)
    assert (row.state, row.outcome_code) == (DeletionItem.State.DONE, "removed")
    assert desk.points_at(repository, "only") is None
    assert not desk.session.has_manifest(repository, image.digest)
    assert desk.points_at(repository, "other") == other.digest
    kept = TrashedManifest.objects.get(deletion=row.deletion)
    assert (kept.digest, bytes(kept.raw), row.tags) == (image.digest, image.raw, ["only"])
    # Until a collection the registry takes the very bytes back.
    desk.session.put_manifest(repository, "only", kept.media_type, bytes(kept.raw))
    assert desk.points_at(repository, "only") == image.digest


def test_the_last_tag_can_go_alone(desk: Desk, repository: RepositoryName) -> None:
    image = push_image(desk.session, repository, "only")
    row = desk.delete(repository, "only", "untag")
    assert (row.state, row.outcome_code) == (DeletionItem.State.DONE, "untagged")
    assert desk.points_at(repository, "only") is None
    assert desk.session.has_manifest(repository, image.digest)


@pytest.mark.parametrize("docker", [False, True])
def test_an_index_takes_along_only_children_that_nothing_needs(
    desk: Desk, repository: RepositoryName, docker: bool
) -> None:
    lone = push_image(desk.session, repository, platform="linux/amd64", docker=docker, layers=(b"lone",))
    tagged = push_image(desk.session, repository, "arm", platform="linux/arm64", docker=docker, layers=(b"tagged",))
    shared = push_image(desk.session, repository, platform="linux/arm/v7", docker=docker, layers=(b"shared",))
    index = push_index(desk.session, repository, "multi", children=[lone, tagged, shared], docker=docker)
    keeper = push_index(desk.session, repository, "keeper", children=[shared], docker=docker)
    row = desk.delete(repository, "multi")
    assert row.outcome_code == "removed"
    held = {d: desk.session.has_manifest(repository, Digest(d)) for d in (index.digest, lone.digest)}
    assert held == {index.digest: False, lone.digest: False}
    assert desk.points_at(repository, "arm") == tagged.digest
    assert desk.points_at(repository, "keeper") == keeper.digest
    assert desk.session.has_manifest(repository, shared.digest)
    assert set(TrashedManifest.objects.filter(deletion=row.deletion).values_list("digest", flat=True)) == {
        index.digest,
        lone.digest,
    }


def test_a_child_of_a_live_index_only_loses_its_name(desk: Desk, repository: RepositoryName) -> None:
    child = push_image(desk.session, repository, "amd64", platform="linux/amd64")
    index = push_index(desk.session, repository, "multi", children=[child])
    made = desk.plan(repository, "amd64")
    effect = plan.effect_in(made)
    assert effect.methods == ["untag"]
    assert effect.items[0].parents == [{"digest": index.digest, "tags": ["multi"]}]
    with pytest.raises(execute.PlanRefused, match="not-offered"):
        desk.confirm(made, "remove")
    assert desk.confirm(made).outcome_code == "untagged"
    assert desk.session.has_manifest(repository, child.digest)
    assert desk.points_at(repository, "multi") == index.digest


def test_what_cannot_be_brought_back_wants_an_extra_tick(desk: Desk, repository: RepositoryName) -> None:
    amd64 = push_image(desk.session, repository, platform="linux/amd64", layers=(b"a",))
    arm64 = push_image(desk.session, repository, platform="linux/arm64", layers=(b"b",))
    index = push_index(desk.session, repository, "broken", children=[amd64, arm64])
    desk.session.delete_manifest(repository, arm64.digest)
    made = desk.plan(repository, "broken")
    assert plan.effect_in(made).items[0].missing == ["linux/arm64"]
    with pytest.raises(execute.PlanRefused, match="tick"):
        desk.confirm(made, "remove")
    assert desk.points_at(repository, "broken") == index.digest
    assert desk.confirm(made, "remove", accepts_loss=True).outcome_code == "removed"


def test_a_tag_that_moved_since_the_plan_is_refused(desk: Desk, repository: RepositoryName) -> None:
    push_image(desk.session, repository, "main", layers=(b"old",))
    made = desk.plan(repository, "main")
    newer = push_image(desk.session, repository, "main", layers=(b"new",))
    row = desk.confirm(made, "untag")
    assert (row.state, row.outcome_code) == (DeletionItem.State.REFUSED, "moved")
    assert desk.points_at(repository, "main") == newer.digest


def test_an_alias_pushed_since_the_plan_stops_the_removal(desk: Desk, repository: RepositoryName) -> None:
    image = push_image(desk.session, repository, "1.0")
    made = desk.plan(repository, "1.0")
    push_image(desk.session, repository, "stable")
    row = desk.confirm(made, "remove")
    assert (row.state, row.outcome_code, row.outcome["tags"]) == (DeletionItem.State.REFUSED, "alias-since", ["stable"])
    assert desk.points_at(repository, "1.0") == desk.points_at(repository, "stable") == image.digest


def test_an_index_pushed_since_the_plan_stops_the_removal(desk: Desk, repository: RepositoryName) -> None:
    image = push_image(desk.session, repository, "1.0")
    made = desk.plan(repository, "1.0")
    push_index(desk.session, repository, "multi", children=[image])
    row = desk.confirm(made, "remove")
    assert (row.state, row.outcome_code, row.outcome["tags"]) == (DeletionItem.State.REFUSED, "parent-since", ["multi"])
    assert desk.points_at(repository, "1.0") == image.digest


def test_a_plan_is_carried_out_once(desk: Desk, repository: RepositoryName) -> None:
    push_image(desk.session, repository, "a", "b")
    made = desk.plan(repository, "a")
    desk.confirm(made)
    with pytest.raises(execute.PlanRefused, match="used"):
        desk.confirm(made)


def test_deletion_switched_off_changes_nothing(start: Start, kind: str) -> None:
    subject = start(kind, "no-delete")
    repository = subject.repository()
    for desk in _desk(subject):
        image = push_image(desk.session, repository, "a", "b")
        made = desk.plan(repository, "a")
        assert plan.effect_in(made).ability == "disabled"
        with pytest.raises(execute.PlanRefused, match="off"):
            desk.confirm(made)
        assert desk.points_at(repository, "a") == desk.points_at(repository, "b") == image.digest
        assert not Deletion.objects.exists()
