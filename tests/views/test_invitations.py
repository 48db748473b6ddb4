"""Links by which people set their password: once, for a week, in no log."""

from __future__ import annotations

import datetime as dt
import logging

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.models import AuditEntry, Invitation, Registry, User
from dashboard.services import invitations, people
from dashboard.services.audit import Actor
from registryui.logging import Masked
from tests.conftest import PASSWORD

from .page import look, send

ACTOR = Actor("admin")
CHOSEN = "quite another long secret"
OVER = "This link is no longer valid"


@pytest.fixture
def version() -> str:
    """The registry plays no part here."""
    return "3.1"


def invited(name: str = "ada") -> str:
    """The address of a new person's link."""
    return address(people.invite(username=name, full_name="", groups=[], actor=ACTOR)[1])


def address(made: invitations.Made) -> str:
    return f"/invitations/{made.token}/"


def test_whoever_is_invited_sets_a_password_and_is_in(client: Client, registry: Registry) -> None:
    link = invited()
    page = look(client, link)
    assert page.text(".lede") == "You are invited as ada"
    assert page.attributes("#username", "value") == ["ada"]
    assert page.headers["Referrer-Policy"] == "strict-origin"
    assert page.headers["Cache-Control"] == "no-store"
    assert not User.objects.get().is_active
    done = send(client, link, password=CHOSEN, again=CHOSEN)
    assert done.headers["Location"] == "/"
    assert look(client, "/account/").text("h1") == "ada"
    ada = User.objects.get()
    assert ada.is_active
    assert ada.check_password(CHOSEN)
    entries = AuditEntry.objects.order_by("pk").values_list("user", "action", "code", "address")
    assert list(entries)[1:] == [
        ("ada", "person", "invitation-accepted", "127.0.0.1"),
        ("ada", "sign-in", "", "127.0.0.1"),
    ]
    page = look(Client(), link, 410)
    assert page.text("h1") == OVER
    send(Client(), link, 410, password=CHOSEN + "2", again=CHOSEN + "2")


@pytest.mark.parametrize(
    ("password", "again", "said"),
    [
        ("", "", "This field is required."),
        (CHOSEN, CHOSEN + "x", "The two are not the same."),
        ("short", "short", "This password is too short."),
        ("password12345", "password12345", "too common"),
        ("ada-lovelace", "ada-lovelace", "too similar to the username"),
        ("x" * 5000, "x" * 5000, "at most 4096 characters"),
    ],
)
def test_a_password_that_will_not_do_is_told_and_not_repeated(
    db: None, client: Client, password: str, again: str, said: str
) -> None:
    link = invited("ada-lovelace")
    page = send(client, link, 422, password=password, again=again)
    assert said in page.text("form.sign-in")
    assert page.attributes("input[type=password]", "value") == ["", ""]
    assert not User.objects.get().is_active
    look(client, link)


def test_a_new_password_ends_all_earlier_sessions_and_every_other_link(
    as_jonas: Client, jonas: User, client: Client
) -> None:
    elsewhere = Client()
    elsewhere.force_login(jonas)
    made = invitations.make(user=jonas, actor=ACTOR)
    page = look(client, address(made))
    assert page.text(".lede") == "A new password for jonas"
    look(as_jonas, "/account/")
    send(client, address(made), password=CHOSEN, again=CHOSEN)
    for old in (as_jonas, elsewhere):
        assert old.get("/account/").status_code == 302
    look(client, "/account/")
    jonas.refresh_from_db()
    assert jonas.check_password(CHOSEN)
    assert not Invitation.objects.filter(used_at=None).exists()
    assert jonas.sessions.count() == 1
    assert AuditEntry.objects.filter(code="password-set", user="jonas").count() == 1


def test_whoever_is_signed_in_as_somebody_else_becomes_the_invited_one(as_jonas: Client) -> None:
    link = invited()
    send(as_jonas, link, password=CHOSEN, again=CHOSEN)
    assert look(as_jonas, "/account/").text("h1") == "ada"
    assert [line.split()[0] for line in look(as_jonas, "/account/sessions/").texts("tbody th")] == ["an"]


def test_a_link_that_is_too_old_or_unknown_is_one_page(client: Client, db: None, jonas: User) -> None:
    link = invited()
    Invitation.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    for status, gone in ((410, link), (404, "/invitations/x/"), (404, f"/invitations/{'a' * 3000}/")):
        page = look(client, gone, status)
        assert page.text("h1") == OVER
        assert page.headers["Cache-Control"] == "no-store"
        send(client, gone, status, password=CHOSEN, again=CHOSEN)
    assert not User.objects.get(username="ada").is_active


def test_a_link_of_somebody_who_is_disabled_opens_nothing(client: Client, jonas: User) -> None:
    made = invitations.make(user=jonas, actor=ACTOR)
    User.objects.filter(pk=jonas.pk).update(is_active=False)
    look(client, address(made), 410)
    row = invitations.look_up(made.token)
    assert row is not None
    with pytest.raises(invitations.NoLonger):
        invitations.accept(row, password=CHOSEN, address="")
    jonas.refresh_from_db()
    assert not jonas.is_active
    assert jonas.check_password(PASSWORD)


def test_two_at_once_are_one(db: None) -> None:
    made = people.invite(username="ada", full_name="", groups=[], actor=ACTOR)[1]
    one, two = invitations.look_up(made.token), invitations.look_up(made.token)
    assert one is not None
    assert two is not None
    invitations.accept(one, password=CHOSEN, address="")
    with pytest.raises(invitations.NoLonger):
        invitations.accept(two, password=CHOSEN + "2", address="")
    assert User.objects.get().check_password(CHOSEN)


def test_no_log_line_has_the_token(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    link = invited()
    token = link.split("/")[2]
    handler = logging.getLogger().handlers
    assert any(isinstance(found, Masked) for one in handler for found in one.filters), "on what writes the lines"
    for message, args in ((f"Forbidden: {link}", ()), ('127.0.0.1 "GET %s" 200', (link,)), ("%(U)s", ({"U": link},))):
        record = logging.LogRecord("x", logging.WARNING, "", 0, message, args, None)
        Masked().filter(record)
        assert token not in record.getMessage()
        assert "/invitations/…" in record.getMessage()
    Client(enforce_csrf_checks=True).post(link, {"password": CHOSEN})
    assert token not in capsys.readouterr().err
