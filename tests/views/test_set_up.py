"""The first start: nobody is here, and whoever knows the printed code becomes the administrator. Nobody else ever."""

from __future__ import annotations

import io
import re

import pytest
from django.core.management import call_command
from django.test import Client, override_settings

from dashboard.models import AuditEntry, Registry, SetUpCode, User
from dashboard.services import set_up
from tests.conftest import PASSWORD
from tests.fake_registry import FakeRegistry

from .page import look, send

PAGE = "/set-up/"


@pytest.fixture
def version() -> str:
    """The registry plays no part here."""
    return "3.1"


@pytest.fixture
def code(registry: Registry) -> str:
    """What the start printed."""
    return set_up.new_code()


def fields(code: str, **others: str) -> dict[str, str]:
    return {"code": code, "username": "root", "password1": PASSWORD, "password2": PASSWORD} | others


@pytest.mark.parametrize("address", ["/", "/registries/default/", "/accounts/login/", "/account/", "/settings/access/"])
def test_every_page_leads_there_while_nobody_is_here(client: Client, registry: Registry, address: str) -> None:
    assert client.get(address).headers["Location"] == PAGE


def test_the_code_makes_an_administrator_who_sees_the_registrys_status(
    client: Client, code: str, fake: FakeRegistry
) -> None:
    done = send(client, PAGE, 302, **fields(code.upper().replace("-", " ")))
    assert done.headers["Location"] == "/registries/default/-/status/"
    assert look(client, done.headers["Location"]).text(".account-name") == "root"
    user = User.objects.get()
    assert (user.is_superuser, user.check_password(PASSWORD)) == (True, True)
    entry = AuditEntry.objects.get(action="person")
    assert (entry.user, entry.code) == ("root", "first-administrator")
    assert not SetUpCode.objects.exists()
    look(Client(), PAGE, 404)
    look(client, PAGE, 404)
    assert Client().post(PAGE, fields(code, username="second")).status_code == 404
    assert User.objects.count() == 1


def test_a_wrong_code_makes_nobody_and_ten_spend_it(client: Client, code: str) -> None:
    for _ in range(set_up.MAX_TRIES):
        page = send(client, PAGE, 422, **fields("wrong-code"))
        assert "That is not the code." in page.text("form")
    assert PASSWORD not in page.html
    assert "This code is spent." in send(client, PAGE, 422, **fields(code)).text("form")
    assert not User.objects.exists()
    again = set_up.new_code()
    assert again != code
    assert "That is not the code." in send(client, PAGE, 422, **fields(code)).text("form"), "the earlier one is void"
    assert send(client, PAGE, 302, **fields(again)).headers["Location"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"password2": "another one, long enough"}, "didn’t match"),
        ({"password1": "short", "password2": "short"}, "too short"),
        ({"username": "a b/c"}, "valid username"),
        ({"username": ""}, "required"),
    ],
)
def test_what_is_refused_costs_no_try(client: Client, code: str, given: dict[str, str], said: str) -> None:
    assert said in send(client, PAGE, 422, **fields(code, **given)).text("form")
    assert SetUpCode.objects.get().tries == 0
    assert not User.objects.exists()


@pytest.mark.django_db
@override_settings(SUPERUSER_USERNAME="", SUPERUSER_PASSWORD="", REGISTRY_URL="")
def test_the_start_prints_a_code_while_nobody_is_here_and_keeps_it_as_a_hash() -> None:
    out = io.StringIO()
    call_command("bootstrap", stdout=out)
    found = re.search(r"/set-up/ and enter the code ([a-z0-9-]{24})$", out.getvalue(), re.MULTILINE)
    assert found is not None, out.getvalue()
    assert found[1] not in SetUpCode.objects.get().hashed
    User.objects.create_superuser("root")
    again = io.StringIO()
    call_command("bootstrap", stdout=again)
    assert "code" not in again.getvalue()


def test_without_a_code_nobody_is_made(client: Client, registry: Registry) -> None:
    assert "This code is spent." in send(client, PAGE, 422, **fields("anything")).text("form")
    assert not User.objects.exists()
