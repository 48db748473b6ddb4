"""One's own sessions: listed with browser and address, ended one by one or all but this."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.contexts.sessions import browser
from dashboard.models import User, UserSession
from tests.conftest import PASSWORD

from .page import look, send, words

SESSIONS = "/account/sessions/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def signed_in(name: str = "jonas", agent: str = FIREFOX, address: str = "192.0.2.9") -> Client:
    client = Client(HTTP_USER_AGENT=agent, REMOTE_ADDR=address)
    done = client.post("/accounts/login/", {"username": name, "password": PASSWORD})
    assert done.status_code == 302
    return client


def test_sessions_are_listed_and_ended(jonas: User, maria: User) -> None:
    here, there, third = signed_in(), signed_in(agent="curl/8.0", address="192.0.2.10"), signed_in(agent="")
    other = signed_in("maria")
    page = look(here, SESSIONS)
    rows = [[words(cell) for cell in row.css("th, td")] for row in page.tree.css("tbody tr")]
    assert rows[0] == ["Firefox on Linux this one", "just now", "just now", "192.0.2.9", ""]
    assert ["curl", "just now", "just now", "192.0.2.10", "End"] in rows
    assert len(rows) == 3
    assert str(here.session.session_key) not in page.html
    strange = UserSession.objects.get(user=maria)
    for pk in (str(strange.pk), "x", "9" * 40):
        send(here, SESSIONS, end=pk)
    look(other, SESSIONS)
    send(here, SESSIONS, end=str(UserSession.objects.get(agent="curl/8.0").pk))
    assert there.get(SESSIONS).status_code == 302
    look(third, SESSIONS)
    send(here, SESSIONS, others="1")
    assert "1 other session was ended." in look(here, SESSIONS).text("main")
    assert third.get(SESSIONS).status_code == 302
    look(other, SESSIONS)
    assert not look(here, SESSIONS).has("button[name=others]")


def test_signing_out_or_running_out_takes_a_session_off_the_list(jonas: User) -> None:
    here, there, third = signed_in(), signed_in(), signed_in()
    there.post("/accounts/logout/")
    Session.objects.filter(pk=third.session.session_key).update(expire_date=timezone.now())
    assert len(look(here, SESSIONS).texts("tbody tr")) == 1
    signed_in()
    assert UserSession.objects.count() == 2, "what is gone goes at the next sign-in"


def test_the_last_use_is_noted_every_few_minutes_alone(jonas: User) -> None:
    client = signed_in()
    row = UserSession.objects.get()
    look(client, SESSIONS)
    long_ago = timezone.now() - dt.timedelta(hours=1)
    UserSession.objects.update(last_seen_at=long_ago, created_at=long_ago)
    with CaptureQueriesContext(connection) as captured:
        look(client, "/account/")
    assert not [query for query in captured.captured_queries if "usersession" in query["sql"]]
    session = client.session
    session["seen_at"] = int(time.time()) - 301
    session.save()
    client.get("/account/", REMOTE_ADDR="192.0.2.77")
    row.refresh_from_db()
    assert timezone.now() - row.last_seen_at < dt.timedelta(minutes=1)
    assert (row.created_at, row.address) == (long_ago, "192.0.2.77")


def test_a_session_from_before_is_listed_once_it_is_used(jonas: User) -> None:
    client = signed_in()
    UserSession.objects.all().delete()
    session = client.session
    del session["seen_at"]
    session.save()
    assert len(look(client, SESSIONS).texts("tbody tr")) == 1


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/130.0 Safari/537.36 Edg/130.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605 Version/18 Safari/605", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18 like Mac OS X) CriOS/130 Mobile Safari/604", "Chrome on iOS"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.0", "curl"),
        ("<b>", "an unknown browser"),
        ("", "an unknown browser"),
    ],
)  # fmt: skip
def test_browsers_in_words(agent: str, said: str) -> None:
    assert browser(agent) == said
