"""No secret comes out anywhere: known ones are put in at every door, and looked for in all that is said and kept.

Looked through are answers with their headers, what is logged, every row of the database (with the sessions decoded),
the metrics, and the page and log of a fault.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.test import Client, override_settings
from django.utils import timezone

from dashboard.models import Registry, User
from dashboard.services import access, connections, credentials
from dashboard.services.audit import Actor
from dashboard.services.index import refresh
from tests.fake_registry import FakeRegistry
from tests.support.images import Pushed

from .test_access_matrix import address_of, names

SECRETS = {
    "default": "canary-of-the-default-credential-01",
    "own": "canary-of-ones-own-credential-02",
    "group": "canary-of-a-groups-credential-03",
    "password": "canary-of-the-sign-in-password-04",
    "typed": "canary-that-is-typed-in-forms-05",
    "events": "canary-of-the-events-token-06",
    "metrics": "canary-of-the-metrics-token-07",
}
AUTH = base64.b64encode(f"ada:{SECRETS['typed']}".encode()).decode()
TYPED = {
    **dict.fromkeys(
        ("password", "again", "password1", "password2", "old_password", "new_password1", "new_password2"),
        SECRETS["typed"],
    ),
    "username": "somebody",
    "code": SECRETS["typed"],
    "text": json.dumps({"auths": {"registry.test:5000": {"auth": AUTH}}}),
}
Say = Callable[[object], None]


@pytest.fixture
def version() -> str:
    """Secrets are kept the same way for each."""
    return "3.1"


@pytest.fixture
def known() -> dict[str, str]:
    """The registry's passwords by name."""
    return {"robot": SECRETS["default"], "ada": SECRETS["own"], "team": SECRETS["group"]}


@pytest.fixture
def fake(version: str, known: dict[str, str]) -> Iterator[FakeRegistry]:
    """A registry that knows whom the secrets belong to."""
    with (
        FakeRegistry(version, basic=known) as registry,
        connections.clients_made_by(lambda row: registry.client(name=row.public_host)),
        override_settings(
            REGISTRY_USERNAME="robot",
            REGISTRY_PASSWORD=SECRETS["default"],
            EVENTS_TOKEN=SECRETS["events"],
            METRICS_TOKEN=SECRETS["metrics"],
        ),
    ):
        yield registry


@pytest.fixture
def image(db: None, fake: FakeRegistry) -> Pushed:
    """What is looked at."""
    User.objects.create_user("carol")  # whom the addresses of people name
    return fake.push_image("team-a/app", "1.0")


@pytest.fixture
def client_of_ada(registry: Registry, image: Pushed) -> Client:
    """An administrator with a password, an own credential and one of a group; everything is indexed."""
    refresh.refresh(registry, since=timezone.now(), beat=lambda _done, _all: None)
    registry.act_with = Registry.ActWith.OWN
    registry.save()
    ada = User.objects.create_superuser("ada", password=SECRETS["password"])
    assert credentials.keep(user=ada, registry=registry, username="ada", password=SECRETS["own"]).accepted
    team = Group.objects.create(name="Team")
    kept = credentials.keep_for_group(
        group=team, registry=registry, username="team", password=SECRETS["group"], actor=Actor("ada")
    )
    assert kept.accepted
    client = Client()
    client.post("/accounts/login/", {"username": "ada", "password": SECRETS["password"]})
    assert client.get("/account/").status_code == 200
    return client


def everything_kept() -> str:
    """Every row of every table as text, and what sessions hold."""
    rows = [str(row) for model in apps.get_models() for row in model._default_manager.values()]
    return "\n".join([*rows, *(str(session.get_decoded()) for session in Session.objects.all())])


def assert_clean(text: str, where: str) -> None:
    """None of the secrets, nor what is sent of them."""
    pairs = {"robot": "default", "ada": "own", "team": "group"}
    sent = {name: base64.b64encode(f"{name}:{SECRETS[key]}".encode()).decode() for name, key in pairs.items()}
    for name, secret in [*SECRETS.items(), *sent.items(), ("typed, encoded", AUTH)]:
        at = text.find(secret)
        assert at < 0, f"{name} in {where}: …{text[max(0, at - 200) : at]}<here>"


def walk(client: Client, image: Pushed, seen: set[int]) -> None:
    """Every address, looked at and posted to with secrets in all fields."""
    for name in [each for each in names() if each not in ("logout", "delete-person", "remove-registry")]:
        address = address_of(name, image)
        for response in (client.get(address), client.post(address, TYPED)):
            seen.add(response.status_code)
            assert_clean(response.getvalue().decode(errors="replace") + str(response.headers), f"{name}: {address}")


def test_no_secret_comes_out(
    client_of_ada: Client, image: Pushed, known: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: set[int] = set()
    walk(client_of_ada, image, seen)
    Client().post("/accounts/login/", {"username": "ada", "password": SECRETS["typed"]})
    known.update(dict.fromkeys(known, "changed"))  # every credential is refused from now on
    access.forget()
    walk(client_of_ada, image, seen)
    Registry.objects.update(url="http://127.0.0.1:1")
    with connections.clients_made_by(connections._make_client):
        access.forget()
        walk(client_of_ada, image, seen)
    metrics = Client().get("/metrics", headers={"Authorization": f"Bearer {SECRETS['metrics']}"})
    assert metrics.status_code == 200
    assert_clean(metrics.getvalue().decode(), "the metrics")
    assert_clean(caplog.text, "the log")
    assert_clean(everything_kept(), "the database")
    assert {200, 302, 403, 404, 422} <= seen, "pages, forms and failures were among them"


def test_no_secret_is_in_what_a_fault_leaves(
    client_of_ada: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*, username: str, password: str, **_others: object) -> None:
        kept = password
        raise RuntimeError(f"nothing of {username} can be kept, {len(kept)} letters")

    monkeypatch.setattr(credentials, "keep", broken)
    client_of_ada.raise_request_exception = False
    address = "/account/credentials/default/"
    page = client_of_ada.post(address, {"username": "ada", "password": SECRETS["typed"]})
    assert page.status_code == 500
    assert_clean(page.getvalue().decode(), "the page of a fault")
    assert "nothing of ada can be kept" in caplog.text
    assert_clean(caplog.text, "the log of a fault")
    for value in vars(connections).values():
        assert_clean(repr(value), "a repr")
    assert_clean(repr(list(connections._clients.values())), "the repr of clients")
