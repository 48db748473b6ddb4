"""Real registries notify a running dashboard: what their envelopes and their ways of asking again come to here."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.signals import request_finished, request_started
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from dashboard import tasks
from dashboard.models import Job, Notification, NotificationState, PullDay, Registry
from dashboard.registry import media_types
from dashboard.registry.client import RegistryClient, RegistrySession
from dashboard.registry.references import parse_repository
from dashboard.services.notifications import process, receive, tokens
from tests.support.images import push_image, push_index
from tests.support.registries import Kind, RunningRegistry, binary, missing, start_registry
from tools import demo_registry

TOKEN = "a token, 'quoted': and more"
APP = parse_repository("team/app")

pytestmark = [pytest.mark.contract, pytest.mark.django_db(transaction=True)]
skopeo_is_here = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")


@pytest.fixture(params=["2.8", "3.1"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Which of the real registries."""
    real: Kind = request.param
    if binary(real) is None:
        pytest.skip(missing(real))
    return real


class OneAtATime:
    """Tests share one connection to an SQLite in memory with the server's threads: whoever uses it holds this."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, by one thread at a time."""

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                return function(*args, **kwargs)

        return call


turns = OneAtATime()


@pytest.fixture(autouse=True)
def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the receiving view asks of the database."""
    monkeypatch.setattr(tokens, "sender", turns.around(tokens.sender))
    monkeypatch.setattr(receive, "store", turns.around(receive.store))


@pytest.fixture
def quiet_afterwards(live_server: LiveServer) -> Iterator[None]:
    """No request outlives its test: it would meet a database that is gone."""
    under_way: list[int] = []

    def started(**_: object) -> None:
        under_way.append(1)

    def finished(**_: object) -> None:
        under_way.append(-1)

    request_started.connect(started)
    request_finished.connect(finished)
    yield
    calm_since = time.monotonic()
    while time.monotonic() - calm_since < 0.1:
        time.sleep(0.01)
        if sum(under_way):
            calm_since = time.monotonic()
    request_started.disconnect(started)
    request_finished.disconnect(finished)


@pytest.fixture
def running(
    kind: Kind, live_server: LiveServer, quiet_afterwards: None, settings: Settings, tmp_path: Path
) -> Iterator[RunningRegistry]:
    """A registry that notifies the dashboard as the demo registry does."""
    settings.EVENTS_TOKEN = TOKEN
    receiver = demo_registry.Receiver(f"{live_server.url}/events/default/", TOKEN)
    written = demo_registry.prepare(tmp_path / "demo", receiver).configuration
    registry = start_registry(
        kind, tmp_path / "registry", notifications=yaml.safe_load(written.read_text())["notifications"]
    )
    yield registry
    registry.stop()


@pytest.fixture
def row(running: RunningRegistry) -> Registry:
    """Its row."""
    return Registry.objects.create(slug="default", url=running.url, public_host=running.host, from_environment=True)


@pytest.fixture
def session(running: RunningRegistry, row: Registry) -> Iterator[RegistrySession]:
    """Our own client."""
    client = RegistryClient(running.url)
    yield client.session()
    client.close()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names that were read again."""
    names: set[str] = set()

    def read_again(*, registry: Registry, names: Any) -> dict[str, None]:
        seen.update(names)
        return dict.fromkeys(names)

    seen = names
    monkeypatch.setattr(process, "read_again", read_again)
    return names


@turns.around
def payloads(action: str) -> list[dict[str, Any]]:
    return [row.payload for row in Notification.objects.order_by("pk") if row.payload["action"] == action]


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end, [payloads(action) for action in ("push", "pull", "delete")]
        time.sleep(0.05)


@turns.around
def work(row: Registry) -> None:
    """What the worker does."""
    job = receive.ask_for_use(registry=row)
    tasks.run_job(str(job.pk))
    job.refresh_from_db()
    assert job.state == Job.State.DONE


def skopeo(*arguments: str | Path) -> None:
    done = subprocess.run(
        ["skopeo", "--insecure-policy", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_push_is_notified_once_without_its_layers(session: RegistrySession, row: Registry, read: set[str]) -> None:
    pushed = push_image(session, APP, "1.0", layers=(b"base", b"app"))
    wait_for(lambda: payloads("push"))
    [push] = payloads("push")
    assert (push["repository"], push["tag"], push["digest"]) == (APP, "1.0", pushed.digest)
    assert push["media_type"] == media_types.OCI_MANIFEST
    assert push["method"] == "PUT"
    assert push["address"].startswith("127.0.0.1")
    assert NotificationState.objects.get().registry == row
    work(row)
    assert read == {APP}


def test_deletions_are_notified(session: RegistrySession, row: Registry, read: set[str]) -> None:
    pushed = push_image(session, APP, "1.0")
    session.delete_manifest(APP, pushed.digest)
    wait_for(lambda: any(deleted.get("digest") == pushed.digest for deleted in payloads("delete")))
    assert {deleted["repository"] for deleted in payloads("delete")} == {APP}
    Notification.objects.exclude(payload__action="delete").delete()
    work(row)
    assert read == {APP}


def test_our_own_requests_are_notified_and_not_counted(session: RegistrySession, row: Registry, read: set[str]) -> None:
    push_image(session, APP, "1.0")
    session.get_manifest(APP, "1.0")
    session.head_manifest(APP, "1.0")
    push_image(session, APP, "afterwards")
    wait_for(lambda: [push for push in payloads("push") if push["tag"] == "afterwards"])
    assert not payloads("pull")
    work(row)
    assert not PullDay.objects.exists()
    assert receive.pulled_since(row) is not None


@skopeo_is_here
def test_another_client_is_counted_and_an_index_with_its_child_once(
    session: RegistrySession, running: RunningRegistry, row: Registry, tmp_path: Path
) -> None:
    children = [push_image(session, APP, platform=platform) for platform in ("linux/amd64", "linux/arm64")]
    index = push_index(session, APP, "multi", children=children)
    wait_for(lambda: [push for push in payloads("push") if push.get("tag") == "multi"])
    work(row)
    where = f"docker://{running.host}/{APP}:multi"
    skopeo(
        "--override-arch",
        "arm64",
        "--override-os",
        "linux",
        "copy",
        "--src-tls-verify=false",
        where,
        f"dir:{tmp_path / 'one'}",
    )
    ours = {child.digest for child in children} | {index.digest}

    def theirs() -> list[dict[str, Any]]:
        return [pull for pull in payloads("pull") if pull["user_agent"].startswith("skopeo")]

    wait_for(lambda: children[1].digest in {pull["digest"] for pull in theirs()})
    assert {pull["digest"] for pull in theirs()} <= ours, "layers are left out"
    work(row)
    assert sum(day.gets for day in PullDay.objects.all()) == 1
    assert {day.digest for day in PullDay.objects.all()} == {index.digest}


@skopeo_is_here
def test_a_push_by_skopeo_is_in_the_index_when_the_worker_has_seen_it(
    session: RegistrySession, running: RunningRegistry, row: Registry, tmp_path: Path
) -> None:
    push_image(session, APP, "1.0", layers=(b"base",))
    there = f"docker://{running.host}"
    skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", f"{there}/{APP}:1.0", f"{there}/team/copy:new")
    wait_for(lambda: [push for push in payloads("push") if push["repository"] == "team/copy"])
    work(row)
    [copy] = row.repositories.filter(name="team/copy")
    assert [tag.name for tag in copy.tag_rows.all()] == ["new"]


def test_what_was_not_taken_is_sent_again(
    session: RegistrySession, row: Registry, read: set[str], settings: Settings
) -> None:
    settings.EVENTS_TOKEN = "meanwhile another"
    push_image(session, APP, "1.0")
    push_image(session, APP, "2.0")
    time.sleep(0.3)
    assert not payloads("push")
    settings.EVENTS_TOKEN = TOKEN
    wait_for(lambda: len(payloads("push")) == 2)
    assert [push["tag"] for push in payloads("push")] == ["1.0", "2.0"]
