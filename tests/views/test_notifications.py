"""Where registries send notifications: only with that registry's token, bounded, all or nothing, never lost."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client, override_settings

from dashboard.models import Job, Notification, NotificationState, Registry, encryption
from dashboard.services import jobs
from dashboard.views import events as view
from tests.support.events import V1, V2, envelope, event

URL = "/events/default/"
TOKEN = "the token of this registry"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def row() -> Iterator[Registry]:
    """The registry of the environment, with a token."""
    with override_settings(EVENTS_TOKEN=TOKEN):
        yield Registry.objects.create(slug="default", url="http://r", public_host="r", from_environment=True)


def send(
    body: bytes | list[dict[str, Any]],
    *,
    token: str = TOKEN,
    url: str = URL,
    media_type: str = V1,
    scheme: str = "Bearer",
) -> HttpResponse:
    content = body if isinstance(body, bytes) else envelope(*body)
    # As a program: a check for forgery would refuse it.
    client = Client(enforce_csrf_checks=True)
    response: HttpResponse = client.post(
        url, content, content_type=media_type, headers={"Authorization": f"{scheme} {token}"}
    )  # type: ignore[assignment]
    return response


def stored() -> list[str]:
    return list(Notification.objects.order_by("pk").values_list("event_id", flat=True))


@pytest.mark.parametrize("media_type", [V1, V2, f"{V2}; charset=utf-8"])
def test_both_versions_of_the_envelope_are_stored_and_the_worker_told(media_type: str) -> None:
    sent = event("push", "team/app", tag="1.0", actor="alice", address="10.0.0.7:55874")
    assert send([sent], media_type=media_type).status_code == 202
    row = Notification.objects.get()
    assert row.event_id == sent["id"]
    assert row.processed_at is None
    assert row.payload["repository"] == "team/app"
    assert (row.payload["actor"], row.payload["address"]) == ("alice", "10.0.0.7:55874")
    job = Job.objects.get()
    assert (job.kind, job.registry, job.state) == ("notifications", row.registry, "waiting")


def test_without_the_token_the_answer_tells_nothing() -> None:
    Registry.objects.create(slug="mute", url="http://m", public_host="m")
    lost = encryption.encrypt("of a lost key")[:-8] + "AAAAAAA="
    Registry.objects.create(slug="lost", url="http://l", public_host="l", encrypted_events_token=lost)
    sent = [event("push", "app")]
    refused = [
        send(sent, token="another"), send(sent, token=""), send(sent, scheme="Basic"), send(sent, token=f"x{TOKEN}"),
        send(sent, url="/events/nobody/"), send(sent, url="/events/mute/"), send(sent, url="/events/mute/", token=""),
        send(sent, url="/events/lost/", token=""), send(sent, token="t\u00f6ken"),
        send(sent, scheme="", token=""),
    ]  # fmt: skip
    assert {(r.status_code, r.content, r.headers["WWW-Authenticate"]) for r in refused} == {
        (401, b"The token is not that of this registry.\n", "Bearer")
    }
    assert stored() == []
    with override_settings(EVENTS_TOKEN=""):
        assert send(sent, token="").status_code == 401
    assert not NotificationState.objects.exists()


def test_each_registry_has_its_own_token() -> None:
    Registry.objects.create(
        slug="second", url="http://s", public_host="s", encrypted_events_token=encryption.encrypt("second's")
    )
    assert send([event("push", "app")], url="/events/second/", token="second's").status_code == 202
    assert send([event("push", "app")], url="/events/second/", token=TOKEN).status_code == 401
    assert send([event("push", "app")], token="second's").status_code == 401
    assert [row.registry.slug for row in Notification.objects.all()] == ["second"]


def test_the_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((len(a), len(b)))
        return a == b

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert send([event("push", "app")]).status_code == 202
    assert send([event("push", "app")], token="short").status_code == 401
    assert send([event("push", "app")], url="/events/nobody/").status_code == 401
    assert compared == [(32, 32)] * 3, "and never by its length"


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_only_posts_are_taken(method: str) -> None:
    assert getattr(Client(), method)(URL).status_code == 405


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
def test_other_media_types_are_refused(media_type: str) -> None:
    assert send([event("push", "app")], media_type=media_type).status_code == 415
    assert stored() == []


MALFORMED = [
    b" ", b"{", b"null", b"[]", b'"events"', b"{}", b'{"events": {}}', b'{"events": null}', b'{"events": [1]}',
    b'{"events": [{"action": "push"}]}', b'{"events": [{"id": ""}]}', b'{"events": [{"id": 7}]}',
    b'{"events": [{"id": "' + b"x" * 101 + b'"}]}', b'{"events": [{"id": "\\u0000"}]}',
    b'{"events": [{"id": "\\ud800"}]}',
    b"[" * 200_000, b'{"events":' * 50_000, b"\xff\xfe\x00", b'{"events": [' + b"9" * 5000 + b"]}",
]  # fmt: skip


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_nothing_of_a_malformed_body_is_stored(body: bytes) -> None:
    assert send(body).status_code == 400
    assert stored() == []
    assert not Job.objects.exists()


def test_one_event_that_is_none_spoils_the_body() -> None:
    assert send([event("push", "app"), {"id": ["?"]}]).status_code == 400
    assert stored() == []


def test_strange_fields_and_actions_are_taken_calmly_and_what_is_stored_is_bounded() -> None:
    long = "x" * 100_000
    strange: list[dict[str, Any]] = [
        {**event("push", "app"), "target": None},
        {**event("push", "app"), "request": 7, "actor": [], "new": {"a": [1]}},
        {**event("push", "app"), "action": "polish"}, {**event("push", "app"), "action": None},
        {**event("delete", "app"), "actor": {"name": "\u0000\ud800nobody"}},
        {**event("pull", long, tag=long, digest=long, actor=long, address=long, agent=long), "timestamp": long},
    ]  # fmt: skip
    assert send(strange).status_code == 202
    rows = Notification.objects.order_by("pk")
    assert [row.payload["action"] for row in rows] == ["push", "delete", "pull"]
    assert rows[1].payload["actor"] == "\N{REPLACEMENT CHARACTER}" * 2 + "nobody"
    assert len(json.dumps(rows[2].payload)) < 2000


def test_layers_are_left_out_and_still_show_that_notifications_arrive() -> None:
    layer = event("pull", "app", media_type="application/octet-stream", where="blobs")
    assert send([layer, event("mount", "app")]).status_code == 202
    assert stored() == []
    assert not Job.objects.exists(), "there is nothing to do"
    assert NotificationState.objects.get().began_at
    artifact = event("pull", "app", media_type="application/vnd.example+json")
    assert send([artifact]).status_code == 202
    assert stored() == [artifact["id"]], "a manifest of an unknown type"


def test_a_body_has_its_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    form_limit = 2_621_440
    padded = {**event("push", "app"), "padding": "x" * (form_limit + 1)}
    assert send([padded]).status_code == 202
    monkeypatch.setattr(view, "MAX_BODY_BYTES", len(envelope(padded)))
    assert send([padded]).status_code == 202
    assert send([padded, event("push", "app")]).status_code == 413
    assert stored() == [padded["id"]]


def test_the_limit_is_32_mib() -> None:
    assert send(b" " * (32 * 1024 * 1024)).status_code == 400
    assert send(b" " * (32 * 1024 * 1024 + 1)).status_code == 413


def test_ten_thousand_events_in_one_body_and_all_again() -> None:
    many = [event("push", f"team/app{n % 7}") for n in range(10_000)]
    assert send(many).status_code == 202
    assert send(many).status_code == 202
    assert Notification.objects.count() == 10_000
    assert Job.objects.count() == 1


def test_doubles_are_harmless_within_a_body_and_between_registries() -> None:
    Registry.objects.create(
        slug="second", url="http://s", public_host="s", encrypted_events_token=encryption.encrypt(TOKEN)
    )
    one, two = event("push", "app"), event("push", "app")
    for body in ([one, one, two], [two, one]):
        assert send(body).status_code == 202
    assert stored() == [one["id"], two["id"]]
    assert send([one], url="/events/second/").status_code == 202
    assert stored() == [one["id"], two["id"], one["id"]], "another registry's id is another event"


def test_a_busy_database_makes_the_registry_send_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object, **__: object) -> None:
        raise OperationalError("database is locked")

    sent = event("push", "app")
    with monkeypatch.context() as within:
        within.setattr(type(Notification.objects.all()), "bulk_create", busy)
        answer = send([sent])
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    with monkeypatch.context() as within:
        within.setattr(jobs, "async_task", busy)
        assert send([sent]).status_code == 202, "stored; whoever looks after asks for the job"
    assert stored() == [sent["id"]]
    assert not Job.objects.exists()


def test_it_waits_only_a_moment_for_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[Any] = []
    real = type(Notification.objects.all()).bulk_create

    def look(*args: Any, **kwargs: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout" if connection.vendor == "sqlite" else "SHOW lock_timeout")
            waits.append(cursor.fetchone()[0])
        return real(*args, **kwargs)

    monkeypatch.setattr(type(Notification.objects.all()), "bulk_create", look)
    send([event("push", "app")])
    assert waits
    assert set(waits) <= {2000, "2s"}
