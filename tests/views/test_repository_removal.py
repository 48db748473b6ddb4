"""The page of an emptied repository: what remains, the command, and the button where an administrator allows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from dashboard.models import IndexState, Registry, User
from dashboard.services.index import mount
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
    assert f"rm -rf {mirror.root}/docker/registry/v2/repositories/team/app/_manifests" in page.text("main")
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
