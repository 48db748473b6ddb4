"""Credentials taken over from Docker's config.json: verified, kept, explained, never shown."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator

import pytest
from django.test import Client

from dashboard.models import AccessRule, AuditEntry, Credential, Registry, User
from dashboard.services import connections
from tests.fake_registry import FakeRegistry

from .page import look, page_of, send, words

PAGE = "/account/docker-config/"
SECRET = "open-sesame-4711"


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    """A registry that knows ada."""
    with (
        FakeRegistry("3.1", basic={"ada": SECRET}) as registry,
        connections.clients_made_by(lambda row: registry.client(name=row.public_host)),
    ):
        yield registry


@pytest.fixture
def own(registry: Registry) -> Registry:
    """People act with their own credentials."""
    registry.act_with = Registry.ActWith.OWN
    registry.save()
    return registry


def config(*, password: str = SECRET, host: str = "registry.test:5000") -> str:
    auth = base64.b64encode(f"ada:{password}".encode()).decode()
    others = {"elsewhere.test": {"auth": auth}, "https://index.docker.io/v1/": {}}
    return json.dumps({"auths": {host: {"auth": auth}, **others}})


def test_what_the_registry_accepts_is_kept_and_the_rest_is_explained(
    as_jonas: Client, own: Registry, jonas: User
) -> None:
    page = send(as_jonas, PAGE, 200, text=config())
    assert "kept Accepted by the registry, and kept encrypted." in words(page.row("registry.test:5000"))
    assert "There is no such registry here." in words(page.row("elsewhere.test"))
    kept = Credential.objects.get(user=jonas)
    assert (kept.username, kept.secret()) == ("ada", SECRET)
    assert SECRET not in page.html
    entry = AuditEntry.objects.get(action="credential")
    assert (entry.user, entry.code, entry.reason) == ("jonas", "credential-imported", "ada")
    account = look(as_jonas, "/account/")
    assert "docker login -u ada registry.test:5000" in account.text("main")
    assert SECRET not in account.html


def test_a_file_does_as_well(as_jonas: Client, own: Registry) -> None:
    page = page_of(as_jonas.post(PAGE, {"file": io.BytesIO(config().encode())}), 200)
    assert page.has(".badge.success")
    assert Credential.objects.count() == 1


def test_a_refused_password_is_not_kept(as_jonas: Client, own: Registry) -> None:
    page = send(as_jonas, PAGE, 200, text=config(password="wrong-0815"))
    assert "The registry refuses that name and password." in words(page.row("registry.test:5000"))
    assert not Credential.objects.exists()
    assert "wrong-0815" not in page.html


def test_where_people_act_with_the_default_credential_nothing_is_asked(
    as_jonas: Client, registry: Registry, fake: FakeRegistry
) -> None:
    page = send(as_jonas, PAGE, 200, text=config())
    assert "act with its default credential" in words(page.row("registry.test:5000"))
    assert not fake.requests
    assert "/account/docker-config/" not in look(as_jonas, "/account/").links("main a").values()


@pytest.mark.parametrize("text", ["", "no json", "[]", "{" * 1000])
def test_what_is_no_such_file_is_refused_and_does_not_come_back(as_jonas: Client, own: Registry, text: str) -> None:
    page = send(as_jonas, PAGE, 422, text=text)
    assert page.has("form.settings-form .error") or "config.json" in page.text("form.settings-form")
    assert not Credential.objects.exists()


def test_a_registry_that_somebody_may_not_see_is_not_told_apart_from_none(
    as_jonas: Client, own: Registry, fake: FakeRegistry, everybody_reads: AccessRule
) -> None:
    everybody_reads.delete()
    page = send(as_jonas, PAGE, 200, text=config())
    assert "There is no such registry here." in words(page.row("registry.test:5000"))
    assert not fake.requests
