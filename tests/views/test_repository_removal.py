"""The page of an emptied repository: what remains, the command, and the button where an administrator allows it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from dashboard.models import AuditEntry, Deletion, IndexedRepository, IndexState, Registry, User
from dashboard.services.index import mount
from dashboard.storage import removal
from tests.fake_registry import FakeRegistry
from tests.support.mirror import Mirror

from .page import look, page_of

pytestmark = pytest.mark.django_db

APP = "/registries/default/team/app/"
REMOVE = f"{APP}-/remove-directory/"


@pytest.fixture
def version() -> str:
    """One version: the storage is what matters."""
    return "3.1"


@pytest.fixture
def mirror(registry: Registry, fake: FakeRegistry, tmp_path: Path, index: Callable[[], None]) -> Mirror:
    """An emptied repository on a mount that belongs."""
    mirror = Mirror(fake, tmp_path / "storage")
    registry.storage_root = str(mirror.root)
    registry.save()
    mount.note(registry, mount.Verdict(IndexState.Mount.BELONGS))
    fake.push_image("team/web", "1.0")
    image = fake.push_image("team/app", "1.0")
    index()
    fake.remove_manifest("team/app", image.digest)
    mirror.follow()
    index()
    return mirror


def test_the_command_is_shown_to_who_may_delete_and_no_button(
    as_maria: Client, as_jonas: Client, mirror: Mirror
) -> None:
    page = look(as_maria, APP)
    command = page.text("section[aria-labelledby=rest-h] code")
    assert command.startswith(
        f"cd {mirror.root}/docker/registry/v2/repositories/team/app && rm -rf _manifests _layers "
    )
    assert f"{mirror.root}/docker/registry/v2/repositories/team/app/_layers" in page.text("main")
    assert not page.has("form[action$='remove-directory/']")
    assert "rm -rf" not in look(as_jonas, APP).text("main")
    assert as_maria.post(REMOVE, {"typed": "team/app"}).status_code == 403, "only administrators may"


def test_an_administrator_removes_it_where_it_is_allowed(
    admin: User, registry: Registry, mirror: Mirror, fake: FakeRegistry
) -> None:
    browser = Client()
    browser.force_login(admin)
    assert not look(browser, APP).has("form[action$='remove-directory/']"), "nobody has allowed it"
    refused = page_of(browser.post(REMOVE, {"typed": "team/app"}, follow=True), 200)
    assert "Nothing was removed. No administrator has allowed it" in refused.text("main")
    Registry.objects.update(allow_removal=True)
    assert look(browser, APP).has("form[action$='remove-directory/']")
    refused = page_of(browser.post(REMOVE, {"typed": "team"}, follow=True), 200)
    assert "was not typed as it is" in refused.text("main")
    directory = mirror.root / "docker/registry/v2/repositories/team/app"
    assert directory.is_dir()
    page = page_of(browser.post(REMOVE, {"typed": "team/app"}, follow=True), 200)
    assert "The directory of team/app is gone" in page.text("main")
    assert not directory.exists()
    assert (mirror.root / "docker/registry/v2/repositories/team/web").is_dir()


def test_the_name_leaves_the_lists_at_once(admin: User, registry: Registry, mirror: Mirror) -> None:
    Registry.objects.update(allow_removal=True)
    browser = Client()
    browser.force_login(admin)
    assert "team/app" in look(browser, "/registries/default/").text("main")
    page = page_of(browser.post(REMOVE, {"typed": "team/app"}, follow=True), 200)
    assert not IndexedRepository.objects.filter(name="team/app").exists()
    assert "1 empty" not in page.text("main")


def test_untagged_images_go_first(
    as_maria: Client, fake: FakeRegistry, mirror: Mirror, index: Callable[[], None]
) -> None:
    fake.push_image("team/app", layers=[b"pushed by its digest"])
    mirror.follow()
    index()
    page = look(as_maria, APP)
    assert "rm -rf" not in page.text("main")
    assert page.links("main a")["1 untagged image is still in it."] == f"{APP}-/untagged/"


def test_without_the_storage_nobody_knows_of_untagged_images(
    as_maria: Client, fake: FakeRegistry, registry: Registry, index: Callable[[], None]
) -> None:
    image = fake.push_image("team/app", "1.0")
    index()
    fake.remove_manifest("team/app", image.digest)
    index()
    text = look(as_maria, APP).text("main")
    assert "cd /var/lib/registry/docker/registry/v2/repositories/team/app && rm -rf _manifests" in text
    assert "What was pushed there by its digest alone goes along" in text


def test_what_would_be_lost_from_the_trash_is_said(
    as_maria: Client, fake: FakeRegistry, registry: Registry, mirror: Mirror, index: Callable[[], None]
) -> None:
    fake.push_image("team/app", "2.0", layers=[b"two"])
    index()
    page = look(as_maria, f"{APP}-/delete/?whole=1")
    fields = {
        str(f.attributes["name"]): str(f.attributes["value"]) for f in page.tree.css("form.confirm input[type=hidden]")
    }
    done = page_of(
        as_maria.post(f"{APP}-/delete/", {**fields, "method": "remove", "typed": "team/app"}, follow=True), 200
    )
    box = done.text("section[aria-labelledby=rest-h]")
    assert "rm -rf" in box, "on the page of the deletion that emptied it"
    assert "1 thing of it is in the trash and cannot be brought back afterwards" in box
    index()
    assert "cannot be brought back afterwards" in look(as_maria, APP).text("section[aria-labelledby=rest-h]")
    fake.push_image("team/app", "3.0", layers=[b"three"])
    index()
    assert not look(as_maria, f"{APP}-/deletions/{Deletion.objects.get().pk}/").has("#rest-h")


def test_why_the_button_cannot_be_used_is_said_before_the_click(
    admin: User, registry: Registry, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Client()
    browser.force_login(admin)
    links = look(browser, APP).links("main a")
    assert links["Allow it in the registry's settings"] == "/settings/registries/default/"
    Registry.objects.update(allow_removal=True)
    monkeypatch.setattr(removal, "is_writable", lambda *_: False)
    page = look(browser, APP)
    assert page.has(".state button[disabled]")
    assert "mounted read-only here" in page.text("section[aria-labelledby=rest-h]")
    assert not page.has("form[action$='remove-directory/']")


def test_the_mount_is_judged_anew_and_a_storage_of_another_registry_is_left_alone(
    admin: User, registry: Registry, mirror: Mirror, fake: FakeRegistry
) -> None:
    Registry.objects.update(allow_removal=True)
    browser = Client()
    browser.force_login(admin)
    mirror.detach()
    fake.push_image("team/web", "1.0", layers=[b"pushed, and not on this disk"])
    refused = page_of(browser.post(REMOVE, {"typed": "team/app"}, follow=True), 200)
    assert "is of another registry" in refused.text("main")
    assert (mirror.root / "docker/registry/v2/repositories/team/app").is_dir()
    assert list(AuditEntry.objects.filter(action="remove-directory").values_list("outcome", "code")) == [
        ("refused", "not-mounted")
    ]


def test_the_command_does_what_the_page_says(as_maria: Client, mirror: Mirror) -> None:
    command = look(as_maria, APP).text("section[aria-labelledby=rest-h] code")
    base = mirror.root / "docker/registry/v2/repositories/team/app"
    (base / "worker/_layers").mkdir(parents=True)
    subprocess.run(command, shell=True, check=True)
    assert [str(path.relative_to(base)) for path in base.rglob("*")] == ["worker", "worker/_layers"]
    (base / "worker/_layers").rmdir()
    (base / "worker").rmdir()
    subprocess.run(command, shell=True, check=True)
    assert not base.exists()
    assert (base.parent / "web/_layers").is_dir()
    assert subprocess.run(command, shell=True, check=False, stderr=subprocess.DEVNULL).returncode, "nothing is there"
