"""The default credential of a registry that the interface keeps: used, or refused with its reason, never left out."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.test import override_settings

from dashboard.models import Registry
from dashboard.registry.errors import Unauthorized
from dashboard.registry.references import RepositoryName
from dashboard.services import connections, registries
from dashboard.services.connections import CREDENTIAL_MISSING, CREDENTIAL_UNREADABLE
from tests.fake_registry import FakeRegistry

SECRET = "robots-own-secret-4711"


@pytest.fixture
def version() -> str:
    """Authentication stands before everything that differs."""
    return "2.8"


@pytest.fixture
def kept(db: None, fake: FakeRegistry) -> Registry:
    """A registry of the interface that lets everybody in, with a default credential."""
    row = Registry(slug="kept", url=fake.url, public_host="registry.test:5000", default_username="robot")
    row.set_default_password(SECRET)
    row.save()
    fake.push_image("team/app", "1.0")
    return row


def test_none_where_none_was_given(kept: Registry) -> None:
    kept.default_username = ""
    assert connections.default_credential(kept) is None
    assert connections.background(registry=kept).name == ""


def test_the_rows_own_and_never_the_environments(kept: Registry) -> None:
    with override_settings(REGISTRY_USERNAME="of-env", REGISTRY_PASSWORD="secret-of-env"):
        found = connections.default_credential(kept)
        assert found is not None
        assert (found.username, found.password, found.unusable) == ("robot", SECRET, "")
        kept.from_environment = True
        environments = connections.default_credential(kept)
        assert environments is not None
        assert environments.username == "of-env"


def asks_nothing(row: Registry, fake: FakeRegistry, reason: str) -> None:
    """Whatever is asked is refused here, even by a registry that would answer anybody."""
    session = connections.background(registry=row).session
    name = RepositoryName("team/app")
    for ask in (session.ping, session.probe, session.repositories, lambda: session.tags(name),
                lambda: session.within(1.0).tags(name), lambda: session.delete_tag(name, "1.0")):  # fmt: skip
        with pytest.raises(Unauthorized) as refused:
            ask()
        assert (refused.value.reason, refused.value.user) == (reason, "robot")
    assert not fake.requests


def test_a_lost_key_asks_nothing(kept: Registry, fake: FakeRegistry) -> None:
    with override_settings(CREDENTIAL_KEYS=[Fernet.generate_key().decode()]):
        asks_nothing(kept, fake, CREDENTIAL_UNREADABLE)


def test_another_origin_asks_nothing(kept: Registry, fake: FakeRegistry) -> None:
    kept.url = "https://registry.test:5000"
    asks_nothing(kept, fake, CREDENTIAL_MISSING)


def test_environment_that_came_and_went_leaves_no_password_for_its_address(kept: Registry, fake: FakeRegistry) -> None:
    with override_settings(REGISTRY_URL="http://registry.test:6000", REGISTRY_SLUG="kept"):
        registries.follow_environment()
    with override_settings(REGISTRY_URL=""):
        registries.follow_environment()
    row = Registry.objects.get()
    assert (row.url, row.from_environment) == ("http://registry.test:6000", False)
    asks_nothing(row, fake, CREDENTIAL_MISSING)


def test_a_new_host_is_a_new_client_with_that_name(kept: Registry) -> None:
    before = connections.client_for(kept)
    assert connections.client_for(kept) is before
    kept.public_host = "pull.test"
    assert connections.client_for(kept).name == "pull.test"
