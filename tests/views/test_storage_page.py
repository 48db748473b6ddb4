"""The storage page: the scan as a job, the figures that sum, and what a person may see of it."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ
from selectolax.lexbor import LexborHTMLParser as HTMLParser
from selectolax.lexbor import LexborNode

from dashboard import tasks
from dashboard.contexts import formats
from dashboard.contexts.storage_problems import NATURES
from dashboard.models import Collection, Job, MeasuredRepository, Registry, UsageSnapshot, User
from dashboard.services import connections, credentials, jobs, storage_source
from dashboard.services.index.sort_keys import name_key
from dashboard.services.usage import scans
from dashboard.storage.facts import PROBLEM_CODES
from tests.fake_registry import FakeRegistry
from tests.support.token_server import TokenUser
from tests.unit.storage.trees import Tree

pytestmark = pytest.mark.django_db

URL = "/registries/default/-/storage/"


@pytest.fixture
def version() -> str:
    """The disk looks alike."""
    return "2.8"


@pytest.fixture
def tree(tmp_path: Path, registry: Registry) -> Tree:
    """A mounted storage: a shared layer, an untagged revision, an orphan and an upload."""
    tree = Tree(tmp_path / "storage")
    shared = tree.blob("shared layer", 4096)
    for name, size in (("team/app", 3000), ("team/web", 500)):
        tree.tag(name, "1.0", tree.image(name, [shared, tree.blob(f"{name} layer", size)]))
    tree.image("team/app", [tree.blob("untagged layer", 700)])
    tree.blob("orphan", 90)
    tree.upload("team/app", "11111111-1111-4111-8111-111111111111", 33)
    registry.storage_root = str(tree.root)
    registry.save()
    return tree


def _scan(registry: Registry) -> Job:
    job = scans.ask_for_scan(registry=registry, user=None)
    tasks.run_job(str(job.pk))
    job.refresh_from_db()
    return job


def _one(page: HTMLParser | LexborNode, selector: str) -> LexborNode:
    node = page.css_first(selector)
    assert node is not None, f"no {selector}"
    return node


def _page(client: Client) -> HTMLParser:
    response = client.get(URL)
    assert response.status_code == 200
    return HTMLParser(response.content.decode())


def _bytes(page: HTMLParser, selector: str) -> list[int]:
    return [int(node.attributes["value"] or 0) for node in page.css(f"{selector} data")]


def test_without_a_mount_the_page_says_how_to_get_one(as_jonas: Client, registry: Registry) -> None:
    text = _page(as_jonas).text()
    assert "DASHBOARD_STORAGE_ROOT" in text
    assert "Scan now" not in text


def test_scan_now_is_a_job_and_its_parts_sum_to_the_disk(as_jonas: Client, registry: Registry, tree: Tree) -> None:
    assert "has not been scanned yet" in _page(as_jonas).text()
    assert as_jonas.post("/registries/default/-/storage/scan/").status_code == 302
    job = Job.objects.get()
    assert job.state == Job.State.WAITING
    assert OrmQ.objects.count() == 1, "the message commits with the row"
    assert "The scan waits for the worker" in _page(as_jonas).text()
    tasks.run_job(str(job.pk))
    snapshot = UsageSnapshot.objects.get()
    page = _page(as_jonas)
    parts = _bytes(page, "table.balance tbody .f-size")
    assert sum(parts) == snapshot.disk_bytes == _bytes(page, "table.balance tfoot .f-size")[0]
    assert sum(parts[:5]) == tree.data_bytes()
    report = snapshot.report
    assert parts[2:5] == [report["untagged"]["bytes"], report["orphans"]["bytes"], report["uploads"]["bytes"]]
    assert report["orphans"]["bytes"] == 90
    assert report["uploads"]["bytes"] == 33


def test_by_repository_shows_exclusive_shared_and_untagged(as_jonas: Client, registry: Registry, tree: Tree) -> None:
    _scan(registry)
    page = _page(as_jonas)
    rows = {
        row.css(".name")[0].text(): [int(d.attributes["value"] or 0) for d in row.css("td data")]
        for row in page.css("table.by-repository tbody tr")
    }
    rows_of = MeasuredRepository.objects.values("name", "bytes", "exclusive_bytes", "untagged_bytes")
    report = {row["name"]: row for row in rows_of}
    assert list(rows) == ["team/app", "team/web"], "the largest first"
    app = report["team/app"]
    assert rows["team/app"] == [
        app["bytes"],
        app["exclusive_bytes"],
        app["bytes"] - app["exclusive_bytes"],
        app["untagged_bytes"],
    ]
    assert rows["team/app"][2] == 4096 + 2, "the layer and the configuration that it shares with team/web"


def test_the_registry_bar_has_a_piece_for_each_part(as_jonas: Client, registry: Registry, tree: Tree) -> None:
    _scan(registry)
    page = _page(as_jonas)
    widths = [float((rect.attributes["width"] or "").rstrip("%")) for rect in page.css(".disk-wide rect")]
    assert sum(widths) == pytest.approx(100, abs=0.001)
    classes = [rect.attributes["class"] for rect in page.css(".disk-wide rect")]
    assert classes == ["seg own", "seg own", "seg shared", "seg untagged", "seg orphan", "seg upload"]
    assert page.css(".disk-wide a")[0].attributes["href"] == "/registries/default/team/app/-/storage/"


def test_problems_are_listed_with_their_cure(as_jonas: Client, registry: Registry, tree: Tree) -> None:
    tree.tag("team/web", "broken", "sha256:" + "0" * 64)
    _scan(registry)
    text = _one(_page(as_jonas), ".problem-list").text()
    assert "A tag points nowhere" in text
    assert "repositories/team/web/_manifests/tags/broken" in text
    assert "Push it again, or delete the tag." in text


def test_orphans_are_doubted_where_something_could_not_be_read(
    as_jonas: Client, registry: Registry, tree: Tree
) -> None:
    """The superuser, whom tests may run as, reads everything: the problem is put among the scan's."""
    _scan(registry)
    assert _page(as_jonas).css_first(".doubt") is None
    snapshot = UsageSnapshot.objects.get()
    snapshot.report["problems"].append({"code": "unreadable", "path": "repositories/team/web/_manifests", "bytes": 0})
    snapshot.save()
    doubted = [row for row in _page(as_jonas).css("table.balance tbody tr") if row.css_first(".doubt")]
    assert len(doubted) == 1
    assert _one(doubted[0], ".what > span").text() == "Orphan"
    assert "counted too high: something could not be read" in doubted[0].text()


def test_a_mount_that_vanished_fails_in_words_and_the_old_figures_stay(
    as_jonas: Client, registry: Registry, tree: Tree
) -> None:
    _scan(registry)
    tree.root.rename(tree.root.with_name("elsewhere"))
    job = _scan(registry)
    assert (job.state, job.outcome_code) == (Job.State.FAILED, "storage-root-missing")
    page = _page(as_jonas)
    assert "The storage directory is not there" in page.text()
    assert page.css_first("table.balance") is not None


def test_progress_is_a_fragment_that_asks_again_and_tells_the_end(
    as_jonas: Client, registry: Registry, tree: Tree
) -> None:
    job = scans.ask_for_scan(registry=registry, user=None)
    assert jobs.claim(job.pk) is not None
    Job.objects.update(progress=12, total=40)
    response = as_jonas.get(URL, headers={"HX-Request": "true"})
    assert response.headers["Vary"].count("HX-Request") == 1
    fragment = HTMLParser(response.content.decode())
    assert fragment.css_first("header.masthead") is None
    assert fragment.css_first("title") is not None
    assert _one(fragment, "#scan").attributes["hx-get"] == URL
    bar = _one(fragment, "progress")
    assert (bar.attributes["value"], bar.attributes["max"]) == ("12", "40")
    Job.objects.update(state=Job.State.DONE)
    ended = HTMLParser(as_jonas.get(URL, headers={"HX-Request": "true"}).content.decode())
    assert "hx-get" not in _one(ended, "#scan").attributes
    assert "The scan has ended." in ended.text()


def test_names_are_shown_only_to_who_may_read_them_and_sums_stay_true(
    as_jonas: Client, jonas: User, tmp_path: Path
) -> None:
    rights = {"jonas": TokenUser("his own password", {"repository:team/app": frozenset({"pull"})})}
    tree = Tree(tmp_path / "storage")
    for name in ("team/app", "secret/thing"):
        tree.tag(name, "1.0", tree.image(name, [tree.blob(name, 1000)]))
    tree.tag("secret/thing", "broken", "sha256:" + "0" * 64)
    with FakeRegistry("3.1", token_users=rights) as fake:
        row = Registry.objects.create(
            slug="default", url=fake.url, public_host="r", act_with="own", storage_root=str(tree.root)
        )
        with connections.clients_made_by(lambda _row: fake.client()):
            fake.push_image("team/app", "1.0")
            fake.push_image("secret/thing", "1.0")
            credentials.store(user=jonas, registry=row, username="jonas", password="his own password")
            for name in ("team/app", "secret/thing"):
                key = name_key(name)
                row.repositories.create(name=name, sort_key=key, tree_key=key, read_at=timezone.now())
            _scan(row)
            page = _page(as_jonas)
            others = [as_jonas.get(f"{URL}{each}/").content.decode() for each in ("repositories", "layers", "problems")]
            others.append(as_jonas.get(f"{URL}repositories/?format=csv").getvalue().decode())
            others.append(as_jonas.get("/registries/default/team/app/-/storage/").content.decode())
            hidden = as_jonas.get("/registries/default/secret/thing/-/storage/")
            gone_in = as_jonas.get(f"{URL}?in=secret")
    for html in (page.html or "", *others):
        assert "secret" not in html
        assert "team/app" in html or "Problems of the storage" in html
    assert "And 1 other that you cannot see." in page.text()
    assert "others: " in _one(page, ".treemap").text(), "the map sums to all that is tagged"
    assert hidden.status_code in (403, 404)
    assert (gone_in.status_code, gone_in["Location"]) == (302, URL)
    assert sum(_bytes(page, "table.balance tbody .f-size")[:5]) == tree.data_bytes()


def test_without_an_accepted_credential_nothing_of_the_storage_is_shown(as_jonas: Client, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "storage")
    tree.tag("secret/thing", "1.0", tree.image("secret/thing", [tree.blob("x", 1000)]))
    with FakeRegistry("2.8", basic={"somebody": "else's"}) as fake:
        row = Registry.objects.create(
            slug="default", url=fake.url, public_host="r.test", act_with="own", storage_root=str(tree.root)
        )
        with connections.clients_made_by(lambda _row: fake.client()):
            _scan(row)
            response = as_jonas.get(URL)
            assert as_jonas.post(f"{URL}scan/").status_code == 403
    assert response.status_code == 403
    assert "What is your name and password on r.test?" in response.content.decode()
    assert "secret" not in response.content.decode()


def test_the_map_is_gone_into_and_its_tiles_are_each_byte_once(
    as_jonas: Client, registry: Registry, tree: Tree
) -> None:
    tree.tag("solo", "1.0", tree.image("solo", [tree.blob("shared layer", 4096), tree.blob("solo layer", 60)]))
    _scan(registry)
    snapshot = UsageSnapshot.objects.get()

    page = _page(as_jonas)
    titles = [node.text() for node in page.css(".treemap title")]
    assert f"shared by several: {_size(4096 + 2)}" in titles
    assert titles[0] == "team: 4.6\xa0KiB, go in", "the largest first"
    assert {title.partition(":")[0] for title in titles} == {
        "team",
        "team/app",
        "team/web",
        "solo",
        "shared by several",
    }
    (link,) = [a for a in page.css(".treemap a") if "go in" in (a.attributes["aria-label"] or "")]
    assert link.attributes["href"] == f"{URL}?in=team#map"

    fragment = as_jonas.get(f"{URL}?in=team", headers={"HX-Request": "true", "HX-Target": "map"}).content.decode()
    inside = HTMLParser(fragment)
    assert [node.text() for node in inside.css(".treemap text")] == ["app", "3.5\xa0KiB", "web", "1.1\xa0KiB"]
    assert "tagged in team alone" in inside.text()
    assert [a.attributes["href"] for a in inside.css(".map-way a")] == [URL]
    assert inside.css_first("table") is None, "only the map is sent"
    own = MeasuredRepository.objects.values_list("tagged_exclusive_bytes", flat=True)
    assert sum(own) + snapshot.report["shared_across_bytes"] == snapshot.tagged_bytes


def _size(count: int) -> str:
    return str(formats.size(count))


def test_reasons_come_from_the_figures_the_largest_first(as_jonas: Client, registry: Registry, tree: Tree) -> None:
    os.utime(tree.repository("team/app") / "_uploads/11111111-1111-4111-8111-111111111111/startedat", (0, 0))
    _scan(registry)
    reasons = [" ".join(item.text().split()) for item in _page(as_jonas).css(".reasons > li")]
    assert [text.partition(" KiB")[0].partition(" B")[0] for text in reasons] == ["3.5", "1.1"]
    assert reasons[0].startswith("3.5 KiB are team/app alone")
    assert "held by 1 tag." in reasons[0]
    assert "1 image that its tag left for a newer push" in reasons[1]
    assert "Most of it is in team/app: 1.1 KiB." in reasons[1]
    text = _page(as_jonas).text()
    assert "can go without touching a tag, " in text
    assert "Unfinished; 1 older than a week" in text


def test_the_pace_tells_when_the_disk_is_full(as_jonas: Client, registry: Registry, tree: Tree) -> None:
    _scan(registry)
    last = UsageSnapshot.objects.get()
    gibibyte = 2**30
    for days in range(1, 11):
        UsageSnapshot.objects.create(
            registry=registry, began_at=last.began_at - dt.timedelta(days=days), seconds=1, root="x",
            disk_bytes=100 * gibibyte, free_bytes=50 * gibibyte, tagged_bytes=(20 - days) * gibibyte, report={},
        )  # fmt: skip
    UsageSnapshot.objects.filter(pk=last.pk).update(
        tagged_bytes=20 * gibibyte, untagged_bytes=0, orphan_bytes=0, upload_bytes=0,
        disk_bytes=100 * gibibyte, free_bytes=40 * gibibyte,
    )  # fmt: skip
    page = _page(as_jonas)
    text = " ".join(page.text().split())
    assert "At 1.0 GiB a day, the average of the last 10 days, the last 40.0 GiB are gone in about 39 days" in text
    assert "free, about 40 days" in text
    assert len(page.css(".chart path.a-tagged")) == 1
    assert "full about" in _one(page, ".chart").text()


def test_the_number_of_queries_does_not_depend_on_what_is_stored(
    as_jonas: Client, registry: Registry, tree: Tree
) -> None:
    _scan(registry)
    with CaptureQueriesContext(connection) as few:
        _page(as_jonas)
    for number in range(30):
        name = f"more-{number % 7}/thing-{number}"
        tree.tag(name, "1.0", tree.image(name, [tree.blob(f"{name} layer", 1000 + number)], note=name))
    _scan(registry)
    with CaptureQueriesContext(connection) as many:
        page = _page(as_jonas)
    assert len(many) <= len(few)
    assert len(page.css(".treemap .tile")) > 20


def test_all_repositories_are_sorted_filtered_and_kept_as_a_file(
    as_jonas: Client, registry: Registry, tree: Tree
) -> None:
    for number in range(60):
        name = f"many/r{number}"
        tree.tag(name, "v", tree.image(name, [tree.blob(name, 10 * number)], config=tree.blob("c", 1), note=name))
    _scan(registry)

    def names(query: str) -> list[str]:
        page = HTMLParser(as_jonas.get(f"{URL}repositories/{query}").content.decode())
        return [node.text() for node in page.css(".by-repository .name")]

    assert names("")[:3] == ["team/app", "team/web", "many/r59"]
    assert len(names("")) == 50
    page = HTMLParser(as_jonas.get(f"{URL}?sort=name&in=many").content.decode())
    assert [node.text() for node in page.css(".by-repository .name")][:2] == ["many/r0", "many/r1"]
    head = _one(page, "#by-untagged").attributes
    assert head["href"] == head["hx-get"] == f"{URL}?in=many&sort=untagged"
    asked = {"HX-Request": "true", "HX-Target": "by"}
    part = HTMLParser(as_jonas.get(f"{URL}?in=many&sort=untagged", headers=asked).content.decode())
    assert part.css(".by-repository .name")[0].text() == "team/app"
    assert part.css_first(".treemap") is None
    assert names("?page=2")[-1] == "many/r0"
    assert names("?sort=name")[:3] == ["many/r0", "many/r1", "many/r2"]
    assert names("?sort=untagged")[0] == "team/app"
    assert names("?name=r5")[:2] == ["many/r59", "many/r58"]
    assert names("?namespace=team") == ["team/app", "team/web"]
    rows = json.loads(as_jonas.get(f"{URL}repositories/?format=json").getvalue())
    assert len(rows) == 62
    assert rows[0]["repository"] == "team/app"
    assert rows[0]["bytes"] == MeasuredRepository.objects.get(name="team/app").bytes


def test_a_repository_shows_what_it_has_alone_with_whom_it_shares_and_each_tag(
    as_jonas: Client, registry: Registry, tree: Tree
) -> None:
    _scan(registry)
    second = tree.image("team/app", [tree.blob("second", 9000)], note="second")
    tree.tag("team/app", "2.0", second)
    _scan(registry)
    page = HTMLParser(as_jonas.get("/registries/default/team/app/-/storage/").content.decode())
    row = MeasuredRepository.objects.get(name="team/app")
    facts = " ".join(_one(page, ".facts").text().split())
    assert _size(row.exclusive_bytes).replace("\xa0", "") in facts
    assert "1 untagged image" in facts
    assert f"team/web {_size(4098)}".replace("\xa0", " ") in facts
    tags = {
        tr.css("th")[0].text(): [int(d.attributes["value"] or 0) for d in tr.css("data")]
        for tr in page.css("table.ledger tbody tr")
    }
    assert list(tags) == ["2.0", "1.0"], "what frees most first"
    assert tags["2.0"][1] == 9000 + 2 + tree.size_of(second)
    assert "2.0: " in _one(page, ".treemap").text()
    assert page.css_first(".chart") is not None, "it grew"


class TestJobs:
    """The row is the truth and the lock."""

    def test_one_live_scan_per_registry(self, registry: Registry, tree: Tree) -> None:
        first = scans.ask_for_scan(registry=registry, user=None)
        assert scans.ask_for_scan(registry=registry, user=None).pk == first.pk
        assert OrmQ.objects.count() == 1

    def test_a_doubled_message_does_nothing(self, registry: Registry, tree: Tree) -> None:
        job = _scan(registry)
        tasks.run_job(str(job.pk))
        assert UsageSnapshot.objects.count() == 1

    def test_a_lost_message_is_sent_again(self, registry: Registry, tree: Tree) -> None:
        job = scans.ask_for_scan(registry=registry, user=None)
        OrmQ.objects.all().delete()
        assert jobs.look_after() == 0, "not at once"
        Job.objects.update(requested_at=timezone.now() - dt.timedelta(minutes=1))
        assert jobs.look_after() == 1
        assert OrmQ.objects.count() == 1
        assert job.state == Job.State.WAITING

    def test_a_killed_workers_job_is_taken_up_by_another(self, registry: Registry, tree: Tree) -> None:
        job = scans.ask_for_scan(registry=registry, user=None)
        dead = jobs.claim(job.pk)
        assert dead is not None
        assert jobs.claim(job.pk) is None, "its lease still runs"
        Job.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
        tasks.run_job(str(job.pk))
        job.refresh_from_db()
        assert job.state == Job.State.DONE
        with pytest.raises(jobs.JobLost):
            jobs.Heart(dead).beat()
        jobs.finish(dead, Job.State.FAILED, "late")
        job.refresh_from_db()
        assert job.state == Job.State.DONE, "who lost the lease changes nothing any more"

    def test_a_scan_can_be_cancelled(self, registry: Registry, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
        job = scans.ask_for_scan(registry=registry, user=None)
        Job.objects.update(cancel_requested=True)
        monkeypatch.setattr(jobs, "HEARTBEAT_SECONDS", 0.0)
        tasks.run_job(str(job.pk))
        job.refresh_from_db()
        assert job.state == Job.State.CANCELLED
        assert not UsageSnapshot.objects.exists()

    def test_a_fault_ends_the_job_as_failed_and_is_told(
        self, as_jonas: Client, registry: Registry, tree: Tree, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_args: object, **_kwargs: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(storage_source, "take", broken)
        job = scans.ask_for_scan(registry=registry, user=None)
        with pytest.raises(ZeroDivisionError):
            tasks.run_job(str(job.pk))
        job.refresh_from_db()
        assert (job.state, job.outcome_code) == (Job.State.FAILED, "fault")
        assert "The last scan failed." in _page(as_jonas).text()

    def test_the_first_scan_is_asked_for_by_itself_and_then_daily(self, registry: Registry, tree: Tree) -> None:
        scans.ask_for_due_scans()
        job = Job.objects.get()
        tasks.run_job(str(job.pk))
        scans.ask_for_due_scans()
        assert Job.objects.count() == 1
        day_ago = timezone.now() - dt.timedelta(days=1, minutes=1)
        UsageSnapshot.objects.update(began_at=day_ago)
        Job.objects.update(requested_at=day_ago)
        scans.ask_for_due_scans()
        assert Job.objects.filter(state=Job.State.WAITING).count() == 1


def test_every_problem_has_a_cure() -> None:
    assert set(NATURES) == PROBLEM_CODES
    assert all(str(nature.title) and str(nature.cure) for nature in NATURES.values())


def test_a_collection_is_marked_in_the_growth(as_jonas: Client, registry: Registry, tree: Tree) -> None:
    _scan(registry)
    last = UsageSnapshot.objects.get()
    for days in (1, 2):
        UsageSnapshot.objects.create(
            registry=registry, began_at=last.began_at - dt.timedelta(days=days), seconds=1, root="x",
            disk_bytes=0, free_bytes=0, tagged_bytes=100, report={},
        )  # fmt: skip
    for state, freed, hours in (("done", 70, 20), ("noticed", 30, 21), ("failed", 10, 10), ("done", 0, 5)):
        Collection.objects.create(
            registry=registry, state=state, asked_at=timezone.now(), freed_bytes=freed,
            ended_at=timezone.now() - dt.timedelta(hours=hours),
        )  # fmt: skip
    chart = _one(_page(as_jonas), ".chart")
    assert len(chart.css("line.note-line")) == 2, "one that freed nothing or failed is no mark"
    assert chart.text().count("garbage collection, ") == 1, "two so near to each other have room for one text"
