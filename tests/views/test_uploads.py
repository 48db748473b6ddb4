"""The page of unfinished uploads: what it shows to whom, whether purging seems to work, and removing abandoned ones."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from dashboard import tasks
from dashboard.models import AuditEntry, IndexState, Registry, User
from dashboard.services import access, connections, credentials
from dashboard.services.index import mount
from dashboard.services.usage import scans
from dashboard.storage import uploads as disk
from tests.fake_registry import FakeRegistry
from tests.support.mirror import Mirror
from tests.support.token_server import TokenUser

from .page import Page, look, page_of, words

pytestmark = pytest.mark.django_db

URL = "/registries/default/-/uploads/"
REMOVE = f"{URL}remove/"
OLD = "11111111-1111-4111-8111-111111111111"
YOUNG = "22222222-2222-4222-8222-222222222222"
LEFT = "33333333-3333-4333-8333-333333333333"
DAY = 86400


@pytest.fixture
def version() -> str:
    """The disk looks alike."""
    return "3.1"


@pytest.fixture
def mirror(registry: Registry, fake: FakeRegistry, tmp_path: Path, index: Callable[[], None]) -> Mirror:
    """A mount that belongs, with two repositories."""
    mirror = Mirror(fake, tmp_path / "storage")
    registry.storage_root = str(mirror.root)
    registry.save()
    mount.note(registry, mount.Verdict(IndexState.Mount.BELONGS))
    fake.push_image("team/app", "1.0")
    fake.push_image("team/web", "1.0")
    index()
    return mirror


@pytest.fixture
def browser(admin: User) -> Client:
    """The administrator."""
    browser = Client()
    browser.force_login(admin)
    return browser


def begin(mirror: Mirror, repository: str, upload_id: str, *, days: float, size: int = 100) -> Path:
    """An upload that was last written so many days ago; without `size` it was cancelled."""
    path = mirror.root / "docker/registry/v2/repositories" / repository / "_uploads" / upload_id
    (path / "hashstates" / "sha256").mkdir(parents=True)
    then = time.time() - days * DAY
    if size:
        (path / "startedat").write_text(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(then)))
        (path / "data").write_bytes(b"u" * size)
    for each in [*path.rglob("*"), path]:
        os.utime(each, (then, then))
    return path


def three(mirror: Mirror) -> list[Path]:
    """An abandoned one, a running one, and what a cancelled one left."""
    return [
        begin(mirror, "team/app", OLD, days=30, size=5000),
        begin(mirror, "team/web", YOUNG, days=0, size=700),
        begin(mirror, "team/web", LEFT, days=2, size=0),
    ]


def states(page: Page) -> dict[str, str]:
    """Id to how it stands."""
    found = {}
    for row in page.tree.css("table.uploads tbody tr"):
        cells = row.css("td")
        badge = row.css_first(".badge")
        assert badge is not None
        found[cells[-1].text(strip=True)] = " ".join(badge.text().split())
    return found


# What is shown


def test_each_upload_says_how_it_stands_the_longest_silent_first(as_jonas: Client, mirror: Mirror) -> None:
    three(mirror)
    page = look(as_jonas, URL)
    assert list(states(page).items()) == [
        (OLD, "abandoned"), (LEFT, "left by a cancelled one"), (YOUNG, "perhaps running"),
    ]  # fmt: skip
    assert [int(v) for v in page.attributes("table.uploads td.f-size data", "value")] == [5000, 0, 700]
    assert page.texts(".figures dd") == ["3", "5.6 KiB", "4.9 KiB"]
    assert "1 has no startedat" in page.text("main")
    sums = page.tree.css("section[aria-labelledby=sum-h] tbody tr")
    assert [words(row)[:10] for row in sums] == ["team/app 1", "team/web 2"]
    assert not page.has("main input"), "jonas may remove nothing"
    assert "Allow it" not in page.text("main")


def test_the_storage_page_leads_there(as_jonas: Client, mirror: Mirror, registry: Registry) -> None:
    begin(mirror, "team/app", OLD, days=30, size=5000)
    tasks.run_job(str(scans.ask_for_scan(registry=registry, user=None).pk))
    links = look(as_jonas, "/registries/default/-/storage/").links("main a")
    assert links["See which are abandoned"] == URL, "in the row of uploads"
    assert links["See the uploads"] == URL, "and where it says why the disk is full"


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (0.5, "Nothing speaks against the registry's own purging."),
        (7.5, "Nothing speaks against the registry's own purging."),
        (9, "The registry's own purging does not seem to work."),
    ],
)
def test_what_should_have_been_purged_says_that_it_is_not(
    as_jonas: Client, mirror: Mirror, days: float, said: str
) -> None:
    begin(mirror, "team/app", OLD, days=days)
    page = look(as_jonas, URL)
    assert page.text(".notice:not(.unanswered) b") == said
    assert "uploadpurging:" in page.text("pre")


def test_what_a_cancelled_one_left_says_nothing_about_purging(as_jonas: Client, mirror: Mirror) -> None:
    begin(mirror, "team/app", LEFT, days=100, size=0)
    assert "cannot be seen" in look(as_jonas, URL).text(".notice:not(.unanswered) b")


def test_without_any_or_without_a_storage_it_says_so(as_jonas: Client, registry: Registry, mirror: Mirror) -> None:
    assert look(as_jonas, URL).text(".state h2") == "No upload is unfinished"
    Registry.objects.update(storage_root="/nowhere/at/all")
    assert "/nowhere/at/all" in look(as_jonas, URL).text(".notice.danger")
    Registry.objects.update(storage_root="")
    assert "seen on the disk alone" in look(as_jonas, URL).text(".state h2")


def test_hostile_names_are_shown_as_text_and_never_ticked(browser: Client, mirror: Mirror) -> None:
    Registry.objects.update(allow_upload_removal=True)
    base = begin(mirror, "team/app", OLD, days=30).parent
    (base / "<script>alert(1)").mkdir()
    (base / "turn\u202eround").mkdir()
    page = look(browser, URL)
    shown = page.texts("section[aria-labelledby=foreign-h] li")
    assert "team/app: <script>alert(1)" in shown
    assert "team/app: turn\ufffdround" in shown
    assert len(page.tree.css("input[name=upload]")) == 1


def test_others_repositories_are_counted_and_not_named(
    as_jonas: Client, jonas: User, registry: Registry, mirror: Mirror
) -> None:
    three(mirror)
    rights = {"jonas": TokenUser("secret", {"repository:team/web": frozenset({"pull"})})}
    guarded = FakeRegistry("3.1", token_users=rights)
    guarded.push_image("team/app", "1.0")
    guarded.push_image("team/web", "1.0")
    Registry.objects.update(act_with="own")
    registry.refresh_from_db()
    with guarded, connections.clients_made_by(lambda row: guarded.client(name=row.public_host)):
        access.forget()
        credentials.store(user=jonas, registry=registry, username="jonas", password="secret")
        page = look(as_jonas, URL)
    assert set(states(page)) == {YOUNG, LEFT}
    assert "team/app" not in page.html
    assert OLD not in page.html
    assert page.texts(".figures dd")[0] == "3", "the sums stay true"
    assert "And others that you cannot see" in page.text("caption")


# Removing


def ticked(page: Page) -> list[str]:
    return page.attributes("input[name=upload]", "value")


def test_abandoned_ones_are_ticked_confirmed_and_gone(browser: Client, mirror: Mirror) -> None:
    old, young, left = three(mirror)
    Registry.objects.update(allow_upload_removal=True)
    offered = ticked(look(browser, URL))
    assert offered == [f"team/app {OLD}", f"team/web {LEFT}"], "a running one is never offered"
    confirm = page_of(browser.post(REMOVE, {"upload": [*offered, f"team/web {YOUNG}"]}), 200)
    assert confirm.text("h1") == "Remove 2 abandoned uploads"
    assert "1 of the ticked ones is not abandoned" in confirm.text(".notice.warning")
    assert ticked(confirm) == offered
    assert confirm.text("button.danger") == "Remove 2 abandoned uploads"
    assert "4.9 KiB at once" in confirm.text("main")
    assert old.is_dir(), "nothing goes before it is confirmed"
    assert left.is_dir()
    done = page_of(browser.post(REMOVE, {"upload": [*offered, f"team/web {YOUNG}"], "confirmed": "1"}), 200)
    assert done.text("h1") == "2 uploads are gone"
    assert states(done) == {OLD: "gone", LEFT: "gone", YOUNG: "left"}
    assert "Somebody wrote to it of late" in done.text("table")
    assert (old.exists(), young.exists(), left.exists()) == (False, True, False)
    entries = AuditEntry.objects.filter(action="remove-upload").order_by("pk")
    assert list(entries.values_list("repository", "outcome", "code", "bytes", "user")) == [
        ("team/app", "done", "", 5000, "admin"),
        ("team/web", "done", "", 0, "admin"),
        ("team/web", "refused", "running", None, "admin"),
    ]
    assert OLD in str(entries[0].answers)
    assert "removed an abandoned upload" in look(browser, "/registries/default/-/activity/").text("main")


def test_what_somebody_went_on_with_since_the_page_stays(browser: Client, mirror: Mirror) -> None:
    old = three(mirror)[0]
    Registry.objects.update(allow_upload_removal=True)
    os.utime(old / "data")
    done = page_of(browser.post(REMOVE, {"upload": f"team/app {OLD}", "confirmed": "1"}), 200)
    assert done.text("h1") == "0 uploads are gone"
    assert states(done) == {OLD: "left"}
    assert old.is_dir()


def test_nobody_else_may(as_maria: Client, as_jonas: Client, mirror: Mirror) -> None:
    old = three(mirror)[0]
    Registry.objects.update(allow_upload_removal=True)
    for browser in (as_maria, as_jonas):
        assert not ticked(look(browser, URL))
        assert browser.post(REMOVE, {"upload": f"team/app {OLD}", "confirmed": "1"}).status_code == 403
    assert as_maria.get(REMOVE).status_code == 405
    assert old.is_dir()


def test_without_the_switch_nothing_is_offered_or_removed(browser: Client, mirror: Mirror) -> None:
    old = three(mirror)[0]
    page = look(browser, URL)
    assert not ticked(page)
    assert page.links("main a")["Allow it in the registry's settings"] == "/settings/registries/default/"
    refused = page_of(browser.post(REMOVE, {"upload": f"team/app {OLD}", "confirmed": "1"}, follow=True), 200)
    assert "Nothing was removed. No administrator has allowed it" in refused.text("main")
    assert old.is_dir()


def test_a_storage_of_another_registry_is_left_alone(browser: Client, mirror: Mirror, fake: FakeRegistry) -> None:
    old = three(mirror)[0]
    Registry.objects.update(allow_upload_removal=True)
    mirror.detach()
    fake.push_image("team/web", "1.0", layers=[b"pushed, and not on this disk"])
    refused = page_of(browser.post(REMOVE, {"upload": f"team/app {OLD}", "confirmed": "1"}, follow=True), 200)
    assert "is of another registry" in refused.text("main")
    assert old.is_dir()


def test_a_read_only_mount_says_so_before_the_click(
    browser: Client, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    three(mirror)
    Registry.objects.update(allow_upload_removal=True)
    monkeypatch.setattr(disk, "is_writable", lambda *_: False)
    page = look(browser, URL)
    assert not ticked(page)
    assert page.has("button[disabled]")
    assert "mounted read-only here" in page.text("main")


@pytest.mark.parametrize(
    "value",
    ["", "team/app", "../../etc passwd", "team/app ..", "team/app a/b", "TEAM/app x", f"team/none {OLD}", "\0 \0"],
)
def test_nonsense_removes_nothing(browser: Client, mirror: Mirror, value: str) -> None:
    paths = three(mirror)
    Registry.objects.update(allow_upload_removal=True)
    for confirmed in ("", "1"):
        page_of(browser.post(REMOVE, {"upload": value, "confirmed": confirmed}, follow=True), 200)
    assert all(path.is_dir() for path in paths)


def test_the_switch_is_on_the_settings_page(browser: Client, registry: Registry) -> None:
    assert "Abandoned uploads may be removed" in look(browser, "/settings/registries/default/").text("main")
    Registry.objects.update(from_environment=False)
    assert look(browser, "/settings/registries/default/").has("input[name=allow_upload_removal]")
