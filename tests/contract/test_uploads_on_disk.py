"""Unfinished uploads of the real registries: begun over the API, seen on the disk, removed once they are abandoned."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dashboard.models import IndexState, Registry, User
from dashboard.registry.client import RegistryClient
from dashboard.registry.errors import NotFound
from dashboard.registry.references import parse_repository
from dashboard.services import uploads
from dashboard.services.audit import Actor
from dashboard.services.index import mount
from tests.support.deleting import desk_at
from tests.support.images import push_image
from tests.support.registries import Kind, binary, missing, start_registry

pytestmark = pytest.mark.django_db

APP = parse_repository("team/app")


def age(path: Path, days: float) -> None:
    """As if nobody had touched it for so long."""
    then = time.time() - days * 86400
    if (path / "startedat").exists():
        (path / "startedat").write_text(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(then)))
    for each in [*path.rglob("*"), path]:
        os.utime(each, (then, then))


@pytest.mark.parametrize("kind", ["2.8", "3.1"])
def test_an_upload_is_seen_and_removed_once_it_is_abandoned(kind: Kind, tmp_path: Path) -> None:
    if binary(kind) is None:
        pytest.skip(missing(kind))
    running = start_registry(kind, tmp_path)
    client = RegistryClient(running.url)
    try:
        with desk_at(client, running.url, client.session()) as desk:
            Registry.objects.filter(pk=desk.registry.pk).update(
                storage_root=str(running.root), allow_upload_removal=True
            )
            User.objects.filter(pk=desk.user.pk).update(is_superuser=True)
            desk.registry.refresh_from_db()
            desk.user.refresh_from_db()
            mount.note(desk.registry, mount.Verdict(IndexState.Mount.BELONGS))
            image = push_image(desk.session, APP, "1.0", layers=(b"app",))
            assert uploads.listing(desk.access).uploads == [], "what was finished has left nothing"

            going = desk.session.begin_upload(APP, b"g" * 1000)
            broken = desk.session.begin_upload(APP, b"b" * 2000)
            cancelled = desk.session.begin_upload(APP, b"c" * 3000)
            desk.session.cancel_upload(cancelled)
            found = uploads.listing(desk.access)
            by_size = {upload.bytes: upload for upload in found.uploads}
            assert {1000, 2000} <= by_size.keys() <= {0, 1000, 2000}
            assert found.complete
            assert found.foreign == []
            for size in (1000, 2000):
                assert by_size[size].started == pytest.approx(time.time(), abs=60)
                assert by_size[size].written == pytest.approx(time.time(), abs=60)
            if 0 in by_size:
                assert by_size[0].started is None, "what a cancelled one leaves has no startedat"
            assert found.abandoned.count == 0, "all of them are young"

            actor = Actor("admin")
            everything = [(APP, upload.id) for upload in found.uploads]
            refused = uploads.remove(desk.access, everything, actor=actor)
            assert {outcome.code for outcome in refused} == {"running"}
            directory = running.root / "docker/registry/v2/repositories" / APP / "_uploads"
            assert {path.name for path in directory.iterdir()} == {upload_id for _, upload_id in everything}

            for size in by_size.keys() - {1000}:
                age(directory / by_size[size].id, days=8)
            found = uploads.listing(desk.access)
            assert {upload.bytes for upload in uploads.abandoned_of(found, everything)} == by_size.keys() - {1000}
            outcomes = uploads.remove(desk.access, everything, actor=actor)
            assert {outcome.upload.bytes for outcome in outcomes if outcome.upload} == by_size.keys() - {1000}
            assert [path.name for path in directory.iterdir()] == [by_size[1000].id]
            assert [path.name for path in directory.parent.iterdir() if path.name.startswith("_removed")] == []

            desk.session.cancel_upload(going)  # the registry still knows it: the one that runs was not touched
            with pytest.raises(NotFound):
                desk.session.cancel_upload(broken)
            assert desk.points_at(APP, "1.0") == image.digest
            assert push_image(desk.session, APP, "2.0", layers=(b"b" * 2000,)).digest
    finally:
        client.close()
        running.stop()
