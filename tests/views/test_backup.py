"""A backup holds what is ours and nothing else, and comes back into an empty database as it was."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import stat
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.utils import timezone

from dashboard.models import (
    AccessRule,
    Credential,
    Deletion,
    DeletionItem,
    DeletionPlan,
    IndexedRepository,
    PullDay,
    Registry,
    Role,
    TagPeriod,
    TrashedManifest,
    User,
)
from dashboard.services import backup, roles
from dashboard.services.index.update import read_again
from tests.fake_registry import FakeRegistry


@pytest.fixture
def version() -> str:
    """What is kept does not depend on the registry."""
    return "3.1"


@pytest.fixture
def ours(maria: User, registry: Registry, fake: FakeRegistry) -> None:
    """One of everything that is ours, and an index."""
    fake.push_image("team/app", "1.0")
    read_again(registry=registry, names=["team/app"])
    group = Group.objects.create(name="deleters")
    maria.groups.add(group)
    AccessRule.objects.create(who="group", group=group, role=Role.MAINTAINER, pattern="**", created_at=timezone.now())
    credential = Credential(user=maria, registry=registry, username="m", origin=registry.origin, state="accepted")
    credential.checked_at = timezone.now()
    credential.set_secret("a registry's password")
    credential.save()
    now = timezone.now()
    plan = DeletionPlan.objects.create(
        registry=registry, repository="team/app", user=maria,
        created_at=now, expires_at=now, effect={"goes": ["0.9"]}, fingerprint="f" * 64,
    )  # fmt: skip
    deletion = Deletion.objects.create(
        plan=plan, registry=registry, repository="team/app",
        user=maria, user_name="maria", acted_with="default", created_at=now, kept_until=now, state="done",
    )  # fmt: skip
    digest = "sha256:" + "1" * 64
    DeletionItem.objects.create(deletion=deletion, position=0, digest=digest, tags=["0.9"], method="remove")
    TrashedManifest.objects.create(deletion=deletion, digest=digest, media_type="x/y", raw=b"\x00\xff{}")
    PullDay.objects.create(registry=registry, repository="team/app", digest=digest, day=now.date(), gets=3, last_at=now)


def emptied() -> None:
    """As bootstrap leaves a new database: a registry of the environment and an administrator."""
    for model in reversed(backup.KEPT):
        model._default_manager.all().delete()
    Registry.objects.create(slug="new", url="http://elsewhere.test", public_host="elsewhere.test")
    User.objects.create_superuser("fresh", password="of bootstrap")


@pytest.mark.usefixtures("ours")
def test_everything_of_ours_comes_back(tmp_path: Path, maria: User) -> None:
    before = {model: list(model._default_manager.order_by("pk").values()) for model in backup.KEPT}
    assert all(before[model] for model in (TagPeriod, Deletion, TrashedManifest, Credential, Group))
    file = tmp_path / "backup.gz"
    call_command("backup", file, stdout=io.StringIO())
    emptied()
    out = io.StringIO()
    call_command("restore", file, stdout=out)
    assert out.getvalue().strip() == f"{sum(map(len, before.values()))} rows restored"
    assert {model: list(model._default_manager.order_by("pk").values()) for model in backup.KEPT} == before
    assert roles.grants_of(user=User.objects.get(), registry=Registry.objects.get()).everywhere == Role.MAINTAINER
    assert Credential.objects.get().secret() == "a registry's password"
    assert not IndexedRepository.objects.exists(), "the index is read again"
    User.objects.create_user("next"), "numbers go on from the highest"


@pytest.mark.usefixtures("ours")
def test_a_backup_holds_no_secret_in_plain_text_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "backup.gz"
    backup.backup(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "a registry's password" not in gzip.decompress(file.read_bytes()).decode()


@pytest.mark.usefixtures("ours")
def test_a_database_in_use_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "backup.gz"
    backup.backup(file)
    with pytest.raises(CommandError, match="in use already"):
        call_command("restore", file)
    assert Deletion.objects.count() == 1


HEAD = b'{"format": "strata-backup-1"}\n'
NO_BACKUPS = {
    "not compressed": b"not gzip",
    "empty": gzip.compress(b""),
    "of another kind": gzip.compress(b'{"format": "another"}\n'),
    "cut in a row": gzip.compress(HEAD + b'{"model": "dashboard.user", "pk": 1, "fie'),
    "rows that do not belong": gzip.compress(HEAD + b'{"model": "sessions.session", "pk": "x", "fields": {}}\n'),
    "cut in the compression": gzip.compress(HEAD * 2)[:-12],
}


@pytest.mark.parametrize("content", NO_BACKUPS.values(), ids=NO_BACKUPS)
def test_what_is_no_backup_changes_nothing(db: None, tmp_path: Path, content: bytes) -> None:
    emptied()
    file = tmp_path / "backup.gz"
    file.write_bytes(content)
    with pytest.raises(CommandError, match="is not a backup"):
        call_command("restore", file)
    assert [user.username for user in User.objects.all()] == ["fresh"]


def test_a_file_that_cannot_be_used_is_named(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("restore", tmp_path / "none")
    with pytest.raises(CommandError, match="cannot be written: No such file"):
        call_command("backup", tmp_path / "none" / "backup")


def test_times_keep_their_microseconds(db: None, tmp_path: Path) -> None:
    """A page compares them with the storage's files."""
    registry = Registry.objects.create(slug="default", url="http://r.test", public_host="r.test")
    when = dt.datetime(2026, 5, 3, 12, 0, 0, 123456, tzinfo=dt.UTC)
    TagPeriod.objects.create(
        registry=registry, repository="a", tag="b", digest="sha256:" + "2" * 64, began_at=when, learnt="storage"
    )
    backup.backup(tmp_path / "b")
    emptied()
    backup.restore(tmp_path / "b")
    assert TagPeriod.objects.get().began_at == when
