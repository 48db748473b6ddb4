"""The page of garbage collections: its figures, its warnings, who may see and press what."""

from __future__ import annotations

import fcntl
import os
import re
import time
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from dashboard import tasks
from dashboard.contexts.collection_words import STEPS, STOPS, hurt_sentence
from dashboard.models import AuditEntry, Collection, Job, Registry, User
from dashboard.services import jobs
from dashboard.services.collection import ask, command, run
from dashboard.services.usage import scans
from dashboard.storage.collection import HURTS
from tests.unit.storage.trees import Tree

pytestmark = pytest.mark.django_db

URL = "/registries/default/-/collection/"
RUN = f"{URL}run/"


@pytest.fixture
def version() -> str:
    """2.8: its collector breaks more."""
    return "2.8"


@pytest.fixture
def tree(tmp_path: Path, registry: Registry) -> Tree:
    """An orphan that a repository had, one that nobody knows, a tagged index whose children are untagged."""
    tree = Tree(tmp_path / "storage")
    tree.delete("team/app", tree.image("team/app", [tree.blob("gone", 5000)], note="gone"))
    tree.blob("nobody's", 77)
    children = [tree.image("multi", [tree.blob(name, 3000)], note=name) for name in ("amd64", "arm64")]
    tree.tag("multi", "1.0", tree.index("multi", children))
    (tree.repository("multi") / "_manifests" / "tags").mkdir(exist_ok=True)
    registry.storage_root = str(tree.root)
    registry.save()
    return tree


@pytest.fixture
def as_admin(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
def with_command(tmp_path: Path, settings: Settings) -> Path:
    """A command that is never called here."""
    program = tmp_path / "gc"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    settings.GC_COMMAND = str(program)
    return program


def scan(registry: Registry) -> None:
    tasks.run_job(str(scans.ask_for_scan(registry=registry, user=None).pk))


def shown(client: Client) -> HTMLParser:
    response = client.get(URL)
    assert response.status_code == 200
    return HTMLParser(response.content.decode())


def text(client: Client) -> str:
    return " ".join(shown(client).text().split())


def test_before_a_scan_it_says_what_to_do(as_jonas: Client, registry: Registry, tree: Tree) -> None:
    assert "has not been scanned yet" in text(as_jonas)


def test_without_a_mount_it_says_how_to_get_one(as_jonas: Client, registry: Registry) -> None:
    assert "DASHBOARD_STORAGE_ROOT" in text(as_jonas)


def test_what_it_frees_sums_by_repository(as_jonas: Client, registry: Registry, tree: Tree) -> None:
    orphans = sum(
        tree.data_path(digest).stat().st_size
        for digest in (tree.blob("gone", 5000), tree.blob("nobody's", 77), tree.blob("config of gone", 2))
    )
    scan(registry)
    page = shown(as_jonas)
    rows = {}
    for row in page.css("table.freed tbody tr, table.freed tfoot tr"):
        head, amount = row.css_first("th"), row.css_first(".f-size data")
        assert head is not None
        assert amount is not None
        rows[head.text().removesuffix("no repository remembers them").strip()] = int(amount.attributes["value"] or 0)
    assert rows["unknown"] == 77 + 2, "and a configuration, which this tree does not link"
    assert rows["Together"] == rows["team/app"] + rows["unknown"]
    assert rows["Together"] > orphans, "the manifest goes too"


def test_what_minus_m_would_break_is_named(as_jonas: Client, registry: Registry, tree: Tree) -> None:
    scan(registry)
    page = text(as_jonas)
    assert "2 platforms of tagged multi-platform images" in page
    assert "needed by 1.0" in page


def test_what_it_stops_at_is_named_with_its_cure(as_jonas: Client, registry: Registry, tree: Tree) -> None:
    tree.revision_path("multi", tree.image("multi", [], note="emptied")).write_bytes(b"")
    scan(registry)
    page = text(as_jonas)
    assert "A collection would stop with an error" in page
    assert "A revision's link holds no digest" in page
    assert "repositories/multi/_manifests/revisions/sha256/" in page


def test_hostile_names_are_escaped(as_jonas: Client, registry: Registry, tree: Tree) -> None:
    (tree.repository("<script>alert(1)<") / "_layers").mkdir(parents=True)
    scan(registry)
    response = as_jonas.get(URL).content.decode()
    assert "&lt;script&gt;alert" in response
    assert "<script>alert" not in response


def test_without_a_command_there_is_no_button(as_admin: Client, registry: Registry, tree: Tree) -> None:
    scan(registry)
    assert shown(as_admin).css_first("#collect-button") is None
    assert "DASHBOARD_GC_COMMAND" in text(as_admin)


@pytest.mark.parametrize("who", ["as_jonas", "as_maria"])
def test_only_administrators_may(
    who: str, request: pytest.FixtureRequest, registry: Registry, tree: Tree, with_command: Path
) -> None:
    client: Client = request.getfixturevalue(who)
    assert shown(client).css_first("#collect-button") is None
    assert client.post(RUN, {"typed": "default"}).status_code == 403
    assert not Collection.objects.exists()


def test_the_name_has_to_be_typed(as_admin: Client, registry: Registry, tree: Tree, with_command: Path) -> None:
    page = as_admin.post(RUN, {"typed": "another"}, follow=True).content.decode()
    assert "not typed as it is" in page
    assert not Collection.objects.exists()
    assert AuditEntry.objects.get(action="collect").code == "type-the-name"


def test_pressed_it_is_a_job_once(as_admin: Client, registry: Registry, tree: Tree, with_command: Path) -> None:
    assert as_admin.post(RUN, {"typed": "default"}).status_code == 302
    assert "waits for the worker" in text(as_admin)
    assert shown(as_admin).css_first("#collect-button") is None
    as_admin.post(RUN, {"typed": "default"})
    assert Collection.objects.count() == Job.objects.filter(kind="collection").count() == 1


def test_another_registry_is_not_collected_by_that_command(
    as_admin: Client, registry: Registry, tree: Tree, with_command: Path
) -> None:
    Registry.objects.update(from_environment=False)
    assert shown(as_admin).css_first("#collect-button") is None
    as_admin.post(RUN, {"typed": "default"})
    assert not Collection.objects.exists()


def test_the_log_is_for_administrators(as_admin: Client, as_jonas: Client, registry: Registry, tree: Tree) -> None:
    Collection.objects.create(
        registry=registry, state="done", asked_at=timezone.now(), ended_at=timezone.now(), log="from the command"
    )
    assert "from the command" in text(as_admin)
    assert "from the command" not in text(as_jonas)


def test_its_cost_does_not_grow_with_history(as_jonas: Client, registry: Registry, tree: Tree) -> None:
    scan(registry)
    shown(as_jonas)
    with CaptureQueriesContext(connection) as few:
        shown(as_jonas)
    for _ in range(15):
        Collection.objects.create(registry=registry, state="done", asked_at=timezone.now(), ended_at=timezone.now())
    with CaptureQueriesContext(connection) as many:
        shown(as_jonas)
    assert len(many) == len(few)


def test_one_cancelled_before_it_began_is_ended(registry: Registry, admin: User, tree: Tree) -> None:
    job = jobs.ask_for(kind=Job.Kind.COLLECTION, registry=registry, user=admin)
    row = Collection.objects.create(registry=registry, job_id=job.pk, asked_at=timezone.now())
    assert ask.settle() == 0
    jobs.cancel(registry=registry, job_id=job.pk)
    assert ask.settle() == 1
    row.refresh_from_db()
    assert (row.state, row.outcome_code) == ("stopped", "cancelled")


def test_every_code_has_its_words() -> None:
    source = (
        Path("dashboard/storage/collection_ground.py").read_text() + Path("dashboard/storage/collection.py").read_text()
    )
    assert set(re.findall(r'Stop\("([a-z0-9-]+)"', source)) | {"manifest-legacy", "manifest-unread"} == STOPS.keys()
    assert set(run.STEPS) == STEPS.keys()
    assert all("%" not in hurt_sentence(kind, 2) and hurt_sentence(kind, 2) != "2" for kind in HURTS)


# The command


def call(program: Path, tmp_path: Path, **more: object) -> tuple[int, str]:
    log = command.Log()
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    options: dict[str, object] = {"seconds": 10.0, "beat": lambda: None} | more
    try:
        code = command.call(str(program), command.Word.DRY_RUN, log=log, lock=lock, **options)  # type: ignore[arg-type]
    finally:
        os.close(lock)
    return code, log.text()


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_it_gets_one_word_and_none_of_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "a secret key")
    monkeypatch.setenv("DATABASE_URL", "postgres://u:p@h/d")
    monkeypatch.setenv("STRATA_GC_UNIT", "mine")
    code, log = call(script(tmp_path / "gc", 'echo "$# $1"; env; exit 3'), tmp_path)
    assert code == 3
    assert "1 dry-run" in log
    assert "STRATA_GC_UNIT=mine" in log
    assert "secret" not in log
    assert "postgres" not in log


def test_its_output_is_bounded(tmp_path: Path) -> None:
    code, log = call(script(tmp_path / "gc", "yes 0123456789 | head -c 3000000; echo the end"), tmp_path)
    assert code == 0
    assert len(log) < 70_000
    assert "bytes left out" in log
    assert "the end" in log


def test_it_is_ended_with_all_its_children_when_its_time_is_over(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    began = time.monotonic()
    with pytest.raises(command.CommandFailed, match="out-of-time"):
        call(script(tmp_path / "gc", f"(sleep 4; touch {mark}) & sleep 60"), tmp_path, seconds=1.0)
    assert time.monotonic() - began < 15
    time.sleep(4)
    assert not mark.exists()


def test_the_lock_is_held_as_long_as_anything_of_it_runs(tmp_path: Path) -> None:
    program = script(tmp_path / "gc", "sleep 3 >/dev/null 2>&1 &")
    with command.alone(tmp_path / "lock", wait_seconds=0, waiting=lambda: None) as held:
        command.call(str(program), command.Word.COLLECT, seconds=10, log=command.Log(), lock=held, beat=lambda: None)
    with (tmp_path / "lock").open("r+") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    waited: list[float] = []
    with command.alone(tmp_path / "lock", wait_seconds=20, waiting=lambda: waited.append(time.monotonic())):
        assert waited
