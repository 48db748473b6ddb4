"""The jobs page: who asked for what, how it ended, and who may end it before."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.models import Job, Registry, User
from dashboard.services import jobs
from dashboard.tasks import run_job
from tests.fake_registry import FakeRegistry

from .page import look, send, words

JOBS = "/registries/default/-/jobs/"


@pytest.fixture
def version() -> str:
    """A job is a job."""
    return "3.1"


def made(registry: Registry, user: User | None = None, **values: object) -> Job:
    """A job's row."""
    row: dict[str, object] = {"kind": "scan", "key": str(uuid.uuid4()), "requested_at": timezone.now()}
    name = user.get_username() if user else ""
    return Job.objects.create(registry=registry, requested_by=user, requested_by_name=name, **(row | values))


def test_a_refresh_is_asked_for_runs_and_is_told(
    as_jonas: Client, jonas: User, registry: Registry, fake: FakeRegistry
) -> None:
    fake.push_image("team/app", "1.0")
    assert "Nothing was done yet" in look(as_jonas, JOBS).text("main")
    send(as_jonas, f"{JOBS}refresh/")
    send(as_jonas, f"{JOBS}refresh/")
    job = Job.objects.get()
    assert (job.kind, job.requested_by) == ("refresh", jonas), "twice asked is once"
    assert look(as_jonas, JOBS).has("#jobs[hx-get]"), "a page with a live job asks again by itself"
    run_job(str(job.pk))
    page = look(as_jonas, JOBS)
    row = words(page.row("refresh of the index"))
    assert "done" in row
    assert "by jonas" in row
    assert "1 repository changed" in row
    assert not page.has("#jobs[hx-get]")


def test_a_running_job_tells_how_far_it_is_and_how_long_still(as_jonas: Client, registry: Registry) -> None:
    began = timezone.now() - dt.timedelta(seconds=30)
    made(registry, state="running", started_at=began, lease_until=timezone.now(), progress=1500, total=3000)
    page = look(as_jonas, JOBS, HX_Request="true")
    assert not page.has("header"), "only the list"
    row = words(page.row("storage scan"))
    assert "1,500 of 3,000" in row
    assert any(f", {rate} a second, " in row for rate in (48, 49, 50))
    assert any(f"{seconds} seconds left" in row for seconds in (29, 30, 31))
    assert "by schedule" in row


def test_only_who_asked_or_an_administrator_cancels(
    as_jonas: Client, as_maria: Client, jonas: User, admin: User, registry: Registry
) -> None:
    job = made(registry, jonas)
    address = f"{JOBS}{job.pk}/cancel/"
    assert not look(as_maria, JOBS).has(f'form[action="{address}"]')
    send(as_maria, address, 403)
    assert Job.objects.get().state == "waiting"
    assert look(as_jonas, JOBS).has(f'form[action="{address}"]')
    send(as_jonas, address)
    assert Job.objects.get().state == "cancelled"
    running = made(registry, jonas, state="running", started_at=timezone.now(), lease_until=timezone.now())
    browser = Client()
    browser.force_login(admin)
    send(browser, f"{JOBS}{running.pk}/cancel/")
    running.refresh_from_db()
    assert (running.state, running.cancel_requested) == ("running", True), "it stops at its next step"
    send(browser, f"{JOBS}{uuid.uuid4()}/cancel/")
    assert "had ended already" in look(browser, JOBS).text("main")


def test_what_a_job_had_to_say_is_for_administrators(as_jonas: Client, admin: User, registry: Registry) -> None:
    """It names repositories that others may not see."""
    job = made(registry, kind="refresh", state="running", started_at=timezone.now())
    heart = jobs.Heart(job)
    heart.note("repository-not-read", repository="closed/<b>app", error="timed-out")
    heart.note("of a later version", x=1)
    jobs.finish(job, Job.State.FAILED, "connection-failed")
    assert "closed" not in look(as_jonas, JOBS).html
    browser = Client()
    browser.force_login(admin)
    page = look(browser, JOBS)
    assert page.texts("details li") == ["closed/<b>app could not be read (timed-out).", "of a later version"]


def test_a_log_has_a_bound(registry: Registry) -> None:
    job = made(registry, state="running", started_at=timezone.now())
    heart = jobs.Heart(job)
    for number in range(Job.MAX_LINES + 5):
        heart.note("line", number=number)
    assert [line["number"] for line in Job.objects.get().log] == list(range(Job.MAX_LINES))


def test_old_jobs_go_but_the_last_of_a_kind_stays(registry: Registry) -> None:
    long_ago = timezone.now() - dt.timedelta(days=30)
    old = [made(registry, state="done", requested_at=long_ago, finished_at=long_ago) for _ in range(2)]
    Job.objects.filter(pk=old[1].pk).update(requested_at=long_ago + dt.timedelta(hours=1))
    other = made(registry, kind="refresh", state="failed", requested_at=long_ago, finished_at=long_ago)
    live = made(registry, kind="refresh", requested_at=long_ago - dt.timedelta(days=1))
    jobs.forget_old()
    assert set(Job.objects.all()) == {old[1], other, live}


def test_costs_do_not_grow_with_the_jobs(as_jonas: Client, registry: Registry, jonas: User) -> None:
    counts = []
    for number in (1, 3, 50):
        for _ in range(number):
            made(registry, jonas, state="done", finished_at=timezone.now(), started_at=timezone.now())
        look(as_jonas, JOBS)
        with CaptureQueriesContext(connection) as queries:
            look(as_jonas, JOBS)
        counts.append(len(queries))
    assert len(set(counts)) == 1, counts


def test_the_jobs_as_a_file(as_jonas: Client, registry: Registry, jonas: User) -> None:
    made(registry, jonas, state="failed", outcome_code="timed-out", progress=3, total=7)
    lines = b"".join(as_jonas.get(f"{JOBS}?format=csv")).decode().splitlines()
    assert lines[0] == "job,state,asked_by,asked_at,started_at,finished_at,progress,total,outcome"
    assert lines[1].startswith("scan,failed,jonas,20")
    assert lines[1].endswith(",,,3,7,timed-out")
