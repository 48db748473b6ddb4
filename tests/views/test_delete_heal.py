"""A tag whose link cannot be read breaks a deletion by digest off half-way (2.8): it is finished, both are healed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from dashboard.models import DeletionItem, TagPeriod
from dashboard.registry.client import RegistryClient, RegistrySession
from dashboard.registry.references import RepositoryName
from dashboard.services.deletion.recover import recover_all
from tests.support.deleting import Desk, desk_at
from tests.support.images import push_image
from tests.support.registries import binary, missing, start_registry

pytestmark = pytest.mark.django_db

NAME = RepositoryName("team/app")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[tuple[Desk, Path]]:
    """A desk at a real 2.8 of its own, and the directory of its repository."""
    if binary("2.8") is None:
        pytest.skip(missing("2.8"))
    running = start_registry("2.8", tmp_path)
    client = RegistryClient(running.url)
    with desk_at(client, running.url, client.session()) as desk:
        yield desk, running.root / "docker" / "registry" / "v2" / "repositories" / NAME
    client.close()
    running.stop()


@pytest.mark.parametrize("method", ["remove", "untag"])
@pytest.mark.parametrize("remembered", [True, False], ids=["history-knows-it", "nobody-knows-it"])
def test_a_link_that_breaks_in_the_middle(
    desk: tuple[Desk, Path], method: str, remembered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, directory = desk
    push_image(at.session, NAME, "going", layers=(b"going",))
    odd = push_image(at.session, NAME, "odd", layers=(b"odd",))
    link = directory / "_manifests" / "tags" / "odd" / "current" / "link"
    if remembered:
        _remember(at, odd.digest)
    made = at.plan(NAME, "going")
    delete = RegistrySession.delete_manifest

    def breaks_first(session: RegistrySession, repository: RepositoryName, digest: object) -> None:
        link.write_bytes(b"")
        monkeypatch.setattr(RegistrySession, "delete_manifest", delete)
        delete(session, repository, digest)  # type: ignore[arg-type]

    monkeypatch.setattr(RegistrySession, "delete_manifest", breaks_first)
    row = at.confirm(made, method)
    for _ in range(3):
        if row.state == DeletionItem.State.WAITING:
            recover_all()
            row.refresh_from_db()
    listed = set(at.session.tags(NAME))
    if remembered:
        assert (row.state, listed) == (DeletionItem.State.DONE, {"odd"}), (row.outcome_code, row.outcome)
        assert at.points_at(NAME, "odd") == odd.digest, "its link was written again"
        assert row.outcome["mended"] == ["odd"]
    else:
        assert (row.state, row.outcome_code) == (DeletionItem.State.FAILED, "dangling"), row.outcome
        assert listed == {"going", "odd"}
        assert at.points_at(NAME, "going") is None, "it names nothing, and the page says so"


@pytest.mark.parametrize("remembered", [True, False], ids=["history-knows-it", "nobody-knows-it"])
def test_a_link_that_was_broken_before(desk: tuple[Desk, Path], remembered: bool) -> None:
    at, directory = desk
    image = push_image(at.session, NAME, "going", "staying", layers=(b"going",))
    odd = push_image(at.session, NAME, "odd", layers=(b"odd",))
    if remembered:
        _remember(at, odd.digest)
    (directory / "_manifests" / "tags" / "odd" / "current" / "link").write_bytes(b"")
    made = at.plan(NAME, "going")
    assert made.effect["unread"] == ["odd"]
    row = at.confirm(made, "untag")
    if remembered:
        assert (row.state, row.outcome_code) == (DeletionItem.State.DONE, "untagged")
        assert (at.points_at(NAME, "odd"), set(at.session.tags(NAME))) == (odd.digest, {"odd", "staying"})
    else:
        assert (row.state, row.outcome_code) == (DeletionItem.State.REFUSED, "would-break-off")
        assert at.points_at(NAME, "going") == at.points_at(NAME, "staying") == image.digest, "nothing was changed"


def _remember(at: Desk, digest: str) -> None:
    TagPeriod.objects.create(
        registry=at.registry, repository=NAME, tag="odd", digest=digest, began_at=timezone.now(), learnt="event"
    )
