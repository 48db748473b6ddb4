"""Health: liveness touches nothing; readiness is our own database and its migrations, never the registry."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client, override_settings

from dashboard.models import Registry
from dashboard.services import connections
from dashboard.views import health
from tests.fake_registry import FakeRegistry


@pytest.fixture
def version() -> str:
    """One version: health asks for no more than a greeting."""
    return "2.8"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test looks at the migrations itself."""
    monkeypatch.setattr(health, "_applied", set())


def test_alive_without_database_and_registry(client: Client) -> None:
    """No test database is at hand here: a query would fail the test."""
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")
    assert response.headers["Content-Type"] == "text/plain"


def test_ready_tells_the_registries(client: Client, registry: Registry, fake: FakeRegistry) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"database": "ok", "registries": {"default": "ok"}}


@pytest.mark.parametrize(
    ("exception", "state"), [("refused", "connection-failed"), ("certificate", "tls-failed"), ("timeout", "timed-out")]
)
def test_ready_although_a_registry_is_down(
    client: Client, registry: Registry, fake: FakeRegistry, exception: str, state: str
) -> None:
    fake.fail_next("", exception=exception, times=None)  # type: ignore[arg-type]
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"database": "ok", "registries": {"default": state}}


def test_registry_is_not_asked_at_every_look(client: Client, registry: Registry, fake: FakeRegistry) -> None:
    for _ in range(5):
        client.get("/readyz")
    assert len(fake.requests) == 1


def test_credential_refused_by_the_registry_is_told(client: Client, registry: Registry) -> None:
    """A registry that answers is up; that our name does not open it is said."""
    with override_settings(REGISTRY_USERNAME="robot", REGISTRY_PASSWORD="wrong"):
        guarded = FakeRegistry("2.8", basic={"robot": "right"})
        with connections.clients_made_by(lambda row: guarded.client(name=row.public_host)):
            response = client.get("/readyz")
    assert response.json() == {"database": "ok", "registries": {"default": "unauthorized"}}


@pytest.mark.django_db
def test_not_ready_before_the_migrations(client: Client) -> None:
    recorder = MigrationRecorder(connection)
    for app, name in recorder.applied_migrations():
        if app == "dashboard":
            recorder.record_unapplied(app, name)
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (503, {"database": "not migrated", "registries": {}})


@pytest.mark.django_db
def test_not_ready_without_the_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object, **__: object) -> None:
        raise OperationalError("could not connect to server at db.internal as strata")

    monkeypatch.setattr(connection, "cursor", down)
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (503, {"database": "unavailable"})
    assert b"db.internal" not in response.content


def test_health_takes_no_post(client: Client) -> None:
    assert client.post("/healthz").status_code == 405
