"""The first start: a code from the log makes the administrator, once."""

from __future__ import annotations

import io
import re

import pytest
from django.core.management import call_command
from django.test import Client

from dashboard.models import AuditEntry, Registry, SetUpCode, User
from dashboard.services import set_up

from .page import Page, look, page_of

SET_UP = "/set-up/"
CHOSEN = "quite a long secret"


@pytest.fixture
def version() -> str:
    """The registry plays no part here, but for its status."""
    return "3.1"


def enter(client: Client, code: str, status: int = 302, **fields: str) -> Page:
    """The form as it is sent."""
    entered = {"code": code, "username": "root", "password": CHOSEN, "again": CHOSEN} | fields
    return page_of(client.post(SET_UP, entered), status)


def test_while_there_is_nobody_every_page_leads_there(client: Client, registry: Registry) -> None:
    for address in ("/", "/registries/default/", "/settings/people/", "/accounts/login/"):
        assert client.get(address, follow=True).redirect_chain[-1][0] == SET_UP
    done = client.post("/accounts/login/", {"username": "x", "password": "y"})
    assert done.headers["Location"] == SET_UP


def test_the_code_makes_the_administrator_who_sees_the_status(client: Client, registry: Registry) -> None:
    code = set_up.new_code()
    assert re.fullmatch(r"[A-Z2-7]{4}(-[A-Z2-7]{4}){3}", code)
    assert code.replace("-", "") not in str(SetUpCode.objects.values())
    page = look(client, SET_UP)
    assert page.headers["Cache-Control"] == "no-store"
    assert not page.has(".account-menu")
    done = enter(client, f" {code.lower()} ")
    assert done.headers["Location"] == "/registries/default/-/status/"
    look(client, "/registries/default/-/status/")
    root = User.objects.get()
    assert (root.username, root.is_superuser, root.is_active) == ("root", True, True)
    assert root.check_password(CHOSEN)
    assert not SetUpCode.objects.exists()
    assert list(AuditEntry.objects.order_by("pk").values_list("user", "code")) == [("root", "set-up"), ("root", "")]
    look(client, SET_UP, 404)
    enter(client, code, 404, username="two")
    assert look(Client(), "/accounts/login/").text("h1") == "Sign in"


@pytest.mark.django_db
def test_without_a_registry_it_ends_at_home(client: Client) -> None:
    Registry.objects.all().delete()
    assert enter(client, set_up.new_code()).headers["Location"] == "/"


@pytest.mark.django_db
def test_ten_wrong_codes_and_it_is_over_until_the_next_start(client: Client) -> None:
    code = set_up.new_code()
    said = enter(client, "WRONG", 422).text("form.sign-in")
    assert "It can be tried 9 times more." in said
    for _ in range(8):
        enter(client, "x" * 100, 422)
    assert "no other try is left" in enter(client, "WRONG", 422).text("form.sign-in")
    assert "There is no code to be tried." in enter(client, code, 422).text("form.sign-in")
    assert not User.objects.exists()
    enter(client, set_up.new_code())
    assert User.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"code": ""}, "This field is required."),
        ({"code": "x" * 101}, "at most 100 characters"),
        ({"username": "a b"}, "Enter a valid username."),
        ({"again": "other"}, "The two are not the same."),
        ({"password": "root", "again": "root"}, "too short"),
        ({"username": "administrator", "password": "administrator", "again": "administrator"}, "too similar"),
    ],
)
def test_what_is_wrong_costs_no_try_and_tells_nothing_of_the_code(
    client: Client, fields: dict[str, str], message: str
) -> None:
    code = set_up.new_code()
    wrong = {"code": code, "username": "root", "password": CHOSEN, "again": CHOSEN} | fields
    page = page_of(client.post(SET_UP, wrong), 422)
    assert message in page.text("form.sign-in")
    assert SetUpCode.objects.get().tries == 0
    assert not User.objects.exists()


@pytest.mark.django_db
def test_without_a_code_nothing_opens(client: Client) -> None:
    for code in ("x", "-", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"):
        page = enter(client, code, 422)
        assert "There is no code to be tried." in page.text("form.sign-in")


@pytest.mark.django_db
def test_bootstrap_prints_a_code_while_there_is_nobody() -> None:
    def printed() -> str:
        out = io.StringIO()
        call_command("bootstrap", stdout=out)
        return out.getvalue()

    first, second = (re.findall(r"/set-up/ and enter the code (\S+)", printed()) for _ in range(2))
    assert len(first) == len(second) == 1
    with pytest.raises(set_up.WrongCode):
        set_up.make_administrator(code=first[0], username="root", password=CHOSEN, address="")
    set_up.make_administrator(code=second[0], username="root", password=CHOSEN, address="")
    assert "set-up" not in printed()
    with pytest.raises(set_up.OutOfCodes):
        set_up.make_administrator(code=second[0], username="two", password=CHOSEN, address="")
