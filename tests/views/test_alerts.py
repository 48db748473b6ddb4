"""Alerts: raised once, over once, shown to administrators, told by real mail and a real webhook."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from dashboard import tasks
from dashboard.contexts.alerts import words
from dashboard.models import Alert, AlertMessage, Job, Registry, Thresholds, UsageSnapshot, User
from dashboard.services.alerts import raise_and_end, send
from dashboard.services.usage import scans
from tests.support.receivers import Hook, hook, mailbox
from tests.unit.storage.trees import Tree

from .page import look, page_of

pytestmark = pytest.mark.django_db

GIB = 1024**3
SETTINGS = "/settings/registries/default/thresholds/"
TOKEN = "a-webhook-token-for-tests"


@pytest.fixture
def version() -> str:
    """The disk looks alike."""
    return "3.1"


@pytest.fixture
def browser(admin: User) -> Client:
    """The administrator."""
    browser = Client()
    browser.force_login(admin)
    return browser


@pytest.fixture
def received(settings: Settings) -> Iterator[Hook]:
    """A webhook that is set up."""
    with hook() as found:
        settings.ALERT_WEBHOOK_URL, settings.ALERT_WEBHOOK_TOKEN = found.url, TOKEN
        yield found


@pytest.fixture
def mounted(registry: Registry, tmp_path: Path) -> Registry:
    """A storage is mounted."""
    tree = Tree(tmp_path / "storage")
    tree.tag("team/app", "1.0", tree.image("team/app", []))
    registry.storage_root = str(tmp_path / "storage")
    registry.save()
    return registry


def scanned(registry: Registry, *, free: int = 500, orphans: int = 1, days_ago: float = 0.0, data: int = 400) -> None:
    """A snapshot of a disk of 1,000 GiB; all in GiB."""

    def amount(gib: int) -> dict[str, int]:
        return {"count": 1, "bytes": gib * GIB}

    report = {
        "tagged_exclusive": amount(data - orphans),
        "orphans": amount(orphans),
        "problem_count": 0,
        "by_repository": [],
    }
    UsageSnapshot.objects.create(
        registry=registry, began_at=timezone.now() - dt.timedelta(days=days_ago), seconds=1, root="/x",
        disk_bytes=1000 * GIB, free_bytes=free * GIB,
        tagged_bytes=(data - orphans) * GIB, orphan_bytes=orphans * GIB, report=report,
    )  # fmt: skip


def open_codes() -> list[str]:
    return sorted(Alert.objects.filter(resolved_at=None).values_list("code", flat=True))


def send_all() -> int:
    """All rounds that it takes, as if their time had come."""
    tried = 0
    while True:
        AlertMessage.objects.filter(state="waiting").update(next_at=timezone.now())
        found = send.send_due(words)
        tried += found
        if not found:
            return tried


# Raised and over


def test_an_alert_is_raised_once_and_over_once(mounted: Registry) -> None:
    scanned(mounted, free=50)
    for _ in range(3):
        raise_and_end.look()
    assert open_codes() == ["free-space"]
    alert = Alert.objects.get()
    assert alert.figures == {"free": 50 * GIB, "disk": 1000 * GIB, "limit": 100 * GIB}
    scanned(mounted, free=105)
    raise_and_end.look()
    assert open_codes() == ["free-space"], "it swings about the threshold"
    alert.refresh_from_db()
    assert alert.figures["free"] == 105 * GIB
    scanned(mounted, free=111)
    raise_and_end.look()
    raise_and_end.look()
    assert open_codes() == []
    scanned(mounted, free=50)
    raise_and_end.look()
    assert Alert.objects.count() == 2, "a new one"


def test_each_threshold_is_held_against_what_is_known(mounted: Registry) -> None:
    Thresholds.objects.create(registry=mounted, growth_bytes=10 * GIB)
    scanned(mounted, days_ago=10, data=1)
    scanned(mounted, days_ago=6, data=300)
    UsageSnapshot.objects.update(report={"tagged": {"count": 1, "bytes": 1}})  # what is kept of those before the last
    scanned(mounted, data=400, orphans=200)
    raise_and_end.look()
    assert open_codes() == ["growth", "orphans"]
    growth = Alert.objects.get(code="growth").figures["growth"]
    assert growth == pytest.approx(100 * GIB / 6, rel=0.01), "over a week, not since the beginning"


def test_a_scan_that_is_too_old_is_told_without_a_scan(mounted: Registry) -> None:
    scanned(mounted, days_ago=3)
    tasks.look_after()
    assert open_codes() == ["scan-age"]
    scanned(mounted)
    tasks.look_after()
    assert open_codes() == []


def test_a_scan_that_never_ended_counts_from_when_it_was_asked_for(mounted: Registry) -> None:
    raise_and_end.look()
    assert open_codes() == []
    Job.objects.create(
        registry=mounted, kind="scan", state="failed", requested_at=timezone.now() - dt.timedelta(days=3)
    )
    raise_and_end.look()
    assert open_codes() == ["scan-age"]


def test_after_a_real_scan_the_figures_are_looked_at(mounted: Registry) -> None:
    Thresholds.objects.create(registry=mounted, free_bytes=2**60)
    job = scans.ask_for_scan(registry=mounted, user=None)
    tasks.run_job(str(job.pk))
    assert open_codes() == ["free-space"]
    job.refresh_from_db()
    assert job.state == "done"


def test_what_is_no_longer_watched_or_mounted_is_over(mounted: Registry) -> None:
    scanned(mounted, free=50, orphans=300)
    raise_and_end.look()
    assert open_codes() == ["free-space", "orphans"]
    Thresholds.objects.create(registry=mounted, free_percent=None)
    raise_and_end.look()
    assert open_codes() == ["orphans"]
    Registry.objects.update(storage_root="")
    raise_and_end.look()
    assert open_codes() == []


def test_where_nothing_is_known_what_was_found_stands(mounted: Registry) -> None:
    Alert.objects.create(registry=mounted, code="growth", since=timezone.now(), figures={"growth": 9, "limit": 1})
    Thresholds.objects.create(registry=mounted, growth_bytes=1)
    scanned(mounted)  # alone: it tells nothing about a day
    raise_and_end.look()
    assert open_codes() == ["growth"]


def test_what_is_long_over_is_forgotten(mounted: Registry) -> None:
    now = timezone.now()
    for code, days in (("growth", 100), ("orphans", 10)):
        Alert.objects.create(registry=mounted, code=code, since=now, resolved_at=now - dt.timedelta(days=days))
    raise_and_end.forget_old()
    assert list(Alert.objects.values_list("code", flat=True)) == ["orphans"]


# Shown


def test_administrators_see_it_on_three_pages_and_nobody_else_does(
    browser: Client, as_maria: Client, mounted: Registry
) -> None:
    scanned(mounted, free=50)
    raise_and_end.look()
    for page in ("", "-/storage/", "-/status/"):
        shown = look(browser, f"/registries/default/{page}")
        assert shown.text(".notice.alert b") == "Little free space."
        assert "50.0 GiB of 1,000.0 GiB are free (5.0 %); this is told below 100.0 GiB." in shown.text(".notice.alert")
        assert not look(as_maria, f"/registries/default/{page}").has(".notice.alert")
    scanned(mounted)
    raise_and_end.look()
    assert not look(browser, "/registries/default/").has(".notice.alert")


def test_each_alert_says_what_to_do(browser: Client, mounted: Registry) -> None:
    now = timezone.now()
    figures: dict[str, dict[str, int]] = {
        "free-space": {"free": 1, "disk": 100, "limit": 10},
        "growth": {"growth": 5 * GIB, "limit": GIB},
        "orphans": {"orphans": 5 * GIB, "data": 9 * GIB, "limit": GIB},
        "scan-age": {"seconds": 3 * 86400, "limit": 48 * 3600},
    }
    for code, values in figures.items():
        Alert.objects.create(registry=mounted, code=code, since=now, figures=values)
    texts = look(browser, "/registries/default/-/status/").texts(".notice.alert")
    for part in (
        "enlarge the disk", "grew by 5.0 GiB a day", "deleted by a rule", "5.0 GiB of 9.0 GiB are reached from no",
        "garbage collection", "began 3 days ago; this is told after 2 days", "whether the worker runs",
    ):  # fmt: skip
        assert any(part in text for text in texts), part


# The thresholds


def test_administrators_set_them_for_the_registry_of_the_environment_too(browser: Client, mounted: Registry) -> None:
    scanned(mounted, free=500)
    page = look(browser, SETTINGS)
    values = {str(node.attributes["name"]): node.attributes.get("value") for node in page.tree.css("main input.field")}
    assert values == {
        "free_percent": "10", "free_gib": None, "growth_gib": None,
        "orphans_percent": "30", "orphans_gib": None, "scan_hours": "48",
    }  # fmt: skip
    link = look(browser, "/settings/registries/default/").links("main a")
    assert link["Thresholds and alerts"] == SETTINGS
    sent = {"free_percent": "", "free_gib": "600.5", "growth_gib": "20", "orphans_gib": "0.25", "scan_hours": "12"}
    saved = page_of(browser.post(SETTINGS, sent, follow=True), 200)
    row = Thresholds.objects.get()
    assert (row.free_percent, row.free_bytes, row.growth_bytes) == (None, int(600.5 * GIB), 20 * GIB)
    assert (row.orphans_percent, row.orphans_bytes, row.scan_hours) == (None, GIB // 4, 12)
    assert saved.text(".notice.alert b") == "Little free space.", "what is known is held against them at once"
    assert saved.attributes("input[name=growth_gib]", "value") == ["20"]
    assert saved.row("Little free space").css_first(".badge") is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [("free_percent", "0"), ("free_percent", "100"), ("free_percent", "x"), ("growth_gib", "-1"), ("growth_gib", "NaN"),
     ("growth_gib", "1e30"), ("orphans_gib", "0.0001"), ("scan_hours", "0"), ("scan_hours", "99999999999999")],
)  # fmt: skip
def test_nonsense_is_refused_and_nothing_saved(browser: Client, mounted: Registry, name: str, value: str) -> None:
    page = page_of(browser.post(SETTINGS, {name: value}), 422)
    assert page.has(f"#id_{name}_error")
    assert not Thresholds.objects.exists()


def test_nobody_else_may(as_maria: Client, mounted: Registry) -> None:
    assert as_maria.get(SETTINGS).status_code == 403
    assert as_maria.post(SETTINGS, {"free_percent": "5"}).status_code == 403
    assert not Thresholds.objects.exists()


# Told


def test_the_webhook_is_called_once_when_it_begins_and_once_when_it_is_over(mounted: Registry, received: Hook) -> None:
    scanned(mounted, free=50)
    for _ in range(2):
        tasks.look_after()
    assert len(received.received) == 1
    scanned(mounted, free=500)
    for _ in range(2):
        tasks.look_after()
    assert len(received.received) == 2
    (headers, began), (_, over) = received.received
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Content-Type"] == "application/json"
    assert began["version"] == 1
    assert (began["event"], began["code"], began["resolved"]) == ("began", "free-space", None)
    assert began["registry"] == {"name": "default", "host": "registry.test:5000"}
    assert began["figures"] == {"free": 50 * GIB, "disk": 1000 * GIB, "limit": 100 * GIB}
    assert began["url"] == "http://testserver/registries/default/-/storage/"
    assert began["text"].startswith("registry.test:5000: Little free space. 50.0\xa0GiB of")
    assert (over["event"], over["since"]) == ("over", began["since"])
    assert over["resolved"] is not None
    assert began["id"] != over["id"]


def test_mail_is_sent_by_a_real_server(mounted: Registry, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.ALERT_EMAILS = ["ops@example.com", "disk@example.com"]
    with mailbox() as box:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", box.port
        scanned(mounted, free=50)
        raise_and_end.look()
        assert send_all() == 1
        assert send_all() == 0
    ((recipients, message),) = box.mails
    assert recipients == ["ops@example.com", "disk@example.com"]
    assert message["Subject"] == "[Strata] registry.test:5000: Little free space"
    assert message.get_content_type() == "text/plain"
    text = message.get_content()
    assert "5.0 %" in text
    assert "http://testserver/registries/default/-/storage/" in text


def test_both_ways_together_and_a_hostile_host_breaks_no_header(
    mounted: Registry, received: Hook, settings: Settings
) -> None:
    settings.ALERT_EMAILS = ["ops@example.com"]
    Registry.objects.update(public_host="evil\r\nBcc: all@example.com")
    scanned(mounted, free=50)
    raise_and_end.look()
    assert send_all() == 2
    (sent,) = mail.outbox
    assert "\n" not in sent.subject
    assert sent.bcc == []
    assert len(received.received) == 1


def test_what_fails_is_tried_again_a_few_times_and_shown(
    browser: Client, as_maria: Client, mounted: Registry, received: Hook
) -> None:
    received.answers += [500, 500]
    scanned(mounted, free=50)
    raise_and_end.look()
    assert send.send_due(words) == 1
    message = AlertMessage.objects.get()
    assert (message.state, message.attempts, message.error) == ("waiting", 1, "answered 500")
    assert message.next_at is not None
    assert dt.timedelta(seconds=50) < message.next_at - timezone.now() < dt.timedelta(seconds=70)
    assert send.send_due(words) == 0, "not yet"
    row = look(browser, "/registries/default/-/status/").row("Alerts")
    assert "it is tried again" in row.text()
    assert "answered 500" in row.text()
    assert send_all() == 2
    message.refresh_from_db()
    assert (message.state, message.error) == ("sent", "")
    assert "Told by webhook" in look(browser, "/registries/default/-/status/").row("Alerts").text()
    assert "Alerts" not in look(as_maria, "/registries/default/-/status/").texts("th")


@pytest.mark.parametrize(("status", "attempts"), [(503, 5), (400, 1), (302, 1), (429, 5)])
def test_it_ends_at_last_and_never_follows_a_redirect(
    browser: Client, mounted: Registry, received: Hook, status: int, attempts: int
) -> None:
    received.answers += [status] * 9
    scanned(mounted, free=50)
    raise_and_end.look()
    assert send_all() == attempts
    assert len(received.received) == attempts
    assert received.followed == []
    assert AlertMessage.objects.get().state == "failed"
    page = look(browser, "/registries/default/-/status/")
    assert "Could not be told" in page.row("Alerts").text()
    assert f"answered {status}" in page.row("Alerts").text()
    assert TOKEN not in page.html
    assert received.url not in page.html
    assert f"answered {status}" in look(browser, SETTINGS).text("main")


def test_a_server_that_is_not_there_and_secrets_in_no_error(
    mounted: Registry, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALERT_EMAILS = ["ops@example.com"]
    settings.ALERT_WEBHOOK_URL, settings.ALERT_WEBHOOK_TOKEN = "http://127.0.0.1:9/secret-path", TOKEN
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    scanned(mounted, free=50)
    raise_and_end.look()
    send.send_due(words)
    errors = dict(AlertMessage.objects.values_list("way", "error"))
    assert errors == {
        "webhook": "connection refused",
        "email": "the mail server cannot be reached: Connection refused",
    }
    for secret in (TOKEN, "secret-path", "ops@example.com"):
        assert secret not in caplog.text


def test_a_mail_server_that_refuses_is_told_without_its_words(mounted: Registry, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.ALERT_EMAILS = ["ops@example.com"]
    with mailbox() as box:
        box.refuse = b"550 ops@example.com is unknown <script>\r\n"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", box.port
        scanned(mounted, free=50)
        raise_and_end.look()
        send.send_due(words)
    assert AlertMessage.objects.get().error == "the mail server refuses the recipients"


def test_that_it_is_over_waits_for_that_it_began(mounted: Registry, received: Hook) -> None:
    received.answers += [500]
    scanned(mounted, free=50)
    raise_and_end.look()
    send.send_due(words)
    scanned(mounted, free=500)
    raise_and_end.look()
    assert send.send_due(words) == 0
    send_all()
    assert [sent["event"] for _, sent in received.received] == ["began", "began", "over"]


def test_a_way_that_is_no_longer_set_up_is_left(mounted: Registry, settings: Settings) -> None:
    settings.ALERT_EMAILS = ["ops@example.com"]
    scanned(mounted, free=50)
    raise_and_end.look()
    settings.ALERT_EMAILS = []
    send_all()
    assert AlertMessage.objects.get().state == "failed"
    assert not mail.outbox
    assert send.told(mounted).failing == []


def test_somebody_elses_claim_is_left_alone(mounted: Registry, received: Hook) -> None:
    scanned(mounted, free=50)
    raise_and_end.look()
    seen: Any = AlertMessage.objects.get()
    assert send._claim(seen)
    again = AlertMessage.objects.get()
    again.next_at = seen.next_at
    assert not send._claim(seen), "what this worker had read has moved on"
    assert received.received == []
