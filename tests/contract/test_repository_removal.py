"""An emptied repository whose directory goes: the real registries list it no more, and take pushes to it again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dashboard.models import AuditEntry, IndexState, Registry, User
from dashboard.registry.client import RegistryClient
from dashboard.registry.references import parse_repository
from dashboard.services import repository_removal
from dashboard.services.audit import Actor
from dashboard.services.deletion import recover
from dashboard.services.index import mount
from dashboard.services.trash import restore
from dashboard.storage.removal import RemovalRefused
from tests.support.deleting import desk_at
from tests.support.images import push_image
from tests.support.registries import Kind, binary, missing, start_registry

pytestmark = pytest.mark.django_db

APP, WORKER = parse_repository("team/app"), parse_repository("team/app/worker")


@pytest.mark.parametrize("kind", ["2.8", "3.1"])
def test_the_name_is_forgotten_and_can_be_pushed_to_again(kind: Kind, tmp_path: Path) -> None:
    if binary(kind) is None:
        pytest.skip(missing(kind))
    running = start_registry(kind, tmp_path)
    client = RegistryClient(running.url)
    try:
        with desk_at(client, running.url, client.session()) as desk:
            Registry.objects.filter(pk=desk.registry.pk).update(storage_root=str(running.root), allow_removal=True)
            User.objects.filter(pk=desk.user.pk).update(is_superuser=True)
            desk.registry.refresh_from_db()
            desk.user.refresh_from_db()
            mount.note(desk.registry, mount.Verdict(IndexState.Mount.BELONGS))
            push_image(desk.session, APP, "1.0", "latest", layers=(b"app",))
            worker = push_image(desk.session, WORKER, "1.0", layers=(b"worker",))
            actor = Actor("deleter")
            with pytest.raises(RemovalRefused, match="has-tags"):
                repository_removal.remove(desk.access, APP, typed=APP, actor=actor)
            row = desk.begin(desk.plan(APP, whole=True))
            recover.go_on(row)
            assert APP in desk.session.repositories().names, "the registry goes on listing it"
            with pytest.raises(RemovalRefused, match="type-the-name"):
                repository_removal.remove(desk.access, APP, typed="team", actor=actor)
            desk.session.begin_upload(APP, b"somebody's")
            with pytest.raises(RemovalRefused, match="upload"):
                repository_removal.remove(desk.access, APP, typed=APP, actor=actor)
            uploads = running.root / "docker" / "registry" / "v2" / "repositories" / APP / "_uploads"
            for path in [*uploads.rglob("*"), uploads]:
                os.utime(path, (1, 1))
            assert repository_removal.remove(desk.access, APP, typed=APP, actor=actor).whole is False
            assert desk.session.repositories().names == (WORKER,)
            assert desk.points_at(WORKER, "1.0") == worker.digest
            outcomes = restore.restore(desk.access, restore.of_deletion(row), actor=actor)
            assert not any(outcome.is_back for outcome in outcomes), "as the page says: its layers are forgotten"
            assert APP not in desk.session.repositories().names
            again = push_image(desk.session, APP, "2.0", layers=(b"app",))
            assert desk.points_at(APP, "2.0") == again.digest
            noted = list(AuditEntry.objects.filter(action="remove-directory").values_list("outcome", "code"))
            assert noted == [
                ("refused", "has-tags"), ("refused", "type-the-name"), ("refused", "upload"), ("done", ""),
            ]  # fmt: skip
    finally:
        client.close()
        running.stop()
