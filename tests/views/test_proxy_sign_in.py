"""A proxy in front that signs people in: believed from its address alone, never a take-over, over when it ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Group
from django.test import Client, override_settings

from dashboard.models import AuditEntry, ExternalIdentity, Registry, User
from dashboard.services import confirmed
from tests.conftest import PASSWORD

from .page import Page, look, page_of, send

ACCOUNT = "/account/"
PROXY = "10.1.2.3"


@pytest.fixture
def version() -> str:
    """One version: the registry plays no part here."""
    return "3.1"


@pytest.fixture(autouse=True)
def configured() -> Iterator[None]:
    """The proxy's address, and its headers."""
    with override_settings(
        PROXY_USER_HEADER="X-Forwarded-User", PROXY_GROUPS_HEADER="", PROXY_ADDRESSES=["10.1.2.0/24", "fd00::7"]
    ):
        yield


def through(
    client: Client, name: str = "", *, peer: str = PROXY, groups: str = "", status: int = 200, address: str = ACCOUNT
) -> Page:
    """A page as it is asked for through the proxy, or past it."""
    headers = {"X-Forwarded-User": name} if name else {}
    if groups:
        headers["X-Forwarded-Groups"] = groups
    return page_of(client.get(address, headers=headers, REMOTE_ADDR=peer), status)


def signed_in(client: Client) -> str | None:
    pk = client.session.get("_auth_user_id")
    return User.objects.get(pk=pk).username if pk else None


# Who is believed


def test_person_is_made_at_first_sight(registry: Registry, client: Client) -> None:
    assert through(client, "ada").text("h1") == "ada"
    user = User.objects.get()
    assert (user.username, user.is_staff, user.is_superuser, user.has_usable_password()) == ("ada", False, False, False)
    assert (entry := AuditEntry.objects.get()).user == "ada"
    assert (entry.action, entry.outcome, entry.address) == ("sign-in", "done", PROXY)
    through(client, "ada")
    through(Client(), "ada")
    assert User.objects.count() == 1
    assert AuditEntry.objects.count() == 2, "one for each session"


@pytest.mark.django_db
@pytest.mark.parametrize("peer", ["10.1.3.1", "192.0.2.1", "127.0.0.1", "", "fd00::8", "not an address"])
def test_header_from_anybody_else_is_ignored(client: Client, admin: User, peer: str) -> None:
    assert through(client, "ada", peer=peer, status=302).headers["Location"].startswith("/accounts/login/")
    assert User.objects.get() == admin


@pytest.mark.django_db
@pytest.mark.parametrize("peer", ["10.1.2.255", "fd00::7", "::ffff:10.1.2.3"])
def test_address_may_be_of_either_kind(client: Client, peer: str) -> None:
    assert through(client, "ada", peer=peer).text("h1") == "ada"


@pytest.mark.django_db
def test_address_that_a_header_tells_counts_for_nothing(client: Client) -> None:
    with override_settings(TRUSTED_PROXIES=1):
        headers = {"X-Forwarded-User": "ada", "X-Forwarded-For": PROXY}
        assert client.get(ACCOUNT, headers=headers, REMOTE_ADDR="192.0.2.9").status_code == 302
    assert not User.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("off", [{"PROXY_USER_HEADER": ""}, {"PROXY_ADDRESSES": []}])
def test_nothing_happens_where_it_is_not_configured(client: Client, off: dict[str, object]) -> None:
    with override_settings(**off):
        through(client, "ada", status=302)
    assert not User.objects.exists()


# Nobody's account is taken over


@pytest.mark.parametrize("name", ["admin", "ADMIN", "ａｄｍｉｎ"])
def test_local_name_is_refused_in_words(admin: User, client: Client, name: str) -> None:
    page = page_of(client.get(ACCOUNT, HTTP_X_FORWARDED_USER=name, REMOTE_ADDR=PROXY), 403)
    assert page.text("h2") == "Somebody here has your name already"
    assert signed_in(client) is None
    assert not ExternalIdentity.objects.exists()
    entry = AuditEntry.objects.get()
    assert (entry.user, entry.outcome, entry.code) == ("", "refused", "name-taken")


def test_name_from_a_registry_is_refused(registry: Registry, client: Client) -> None:
    User.objects.create(username="ada", origin_registry=registry)
    assert through(client, "ada", status=403).text("h2") == "Somebody here has your name already"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["a b", "ada,eve", "x" * 151, "x" * 400, "<script>"])
def test_name_that_cannot_be_one_is_refused(client: Client, name: str) -> None:
    page = through(client, name, status=403)
    assert page.text("h2") == "Your name cannot be used here"
    assert name not in page.html
    assert not User.objects.exists()


@pytest.mark.django_db
def test_somebody_disabled_stays_out(client: Client) -> None:
    through(client, "ada")
    User.objects.update(is_active=False)
    assert through(client, "ada", status=403).text("h2") == "Your account is disabled"
    assert signed_in(client) is None


# How long it lasts


@pytest.mark.django_db
def test_session_ends_when_the_proxy_names_nobody(client: Client) -> None:
    through(client, "ada")
    through(client, status=302)
    assert signed_in(client) is None


@pytest.mark.django_db
def test_session_is_worth_nothing_past_the_proxy(client: Client) -> None:
    through(client, "ada")
    through(client, "ada", peer="192.0.2.1", status=302)
    assert signed_in(client) is None


@pytest.mark.django_db
def test_somebody_else_gets_a_session_of_his_own(client: Client) -> None:
    through(client, "ada")
    before = client.session.session_key
    assert through(client, "bob").text("h1") == "bob"
    assert client.session.session_key != before


@pytest.mark.django_db
def test_session_ends_when_the_setting_does(client: Client) -> None:
    through(client, "ada")
    with override_settings(PROXY_USER_HEADER=""):
        through(client, "ada", status=302)


def test_administrator_made_here_may_come_in_with_a_password(registry: Registry, admin: User, client: Client) -> None:
    through(client, "ada")
    page_of(client.post("/accounts/logout/", headers={"X-Forwarded-User": "ada"}, REMOTE_ADDR=PROXY), 302)
    assert through(client, "ada", address="/accounts/login/").has("form.sign-in")
    send(client, "/accounts/login/", username="admin", password=PASSWORD)
    assert through(client, "ada").text("h1") == "admin"


@pytest.mark.django_db
def test_machines_get_no_session(client: Client) -> None:
    response = client.get("/healthz", headers={"X-Forwarded-User": "ada"}, REMOTE_ADDR=PROXY)
    assert not response.cookies
    assert not User.objects.exists()


# What it means for the rest


def test_proxy_vouches_for_what_is_hard_to_undo(registry: Registry, client: Client) -> None:
    through(client, "ada")
    User.objects.update(is_superuser=True, is_staff=True)
    session = client.session
    session[confirmed.KEY] = 0
    session.save()
    assert through(client, "ada", address="/settings/registries/new/").has("form")
    response = client.get(f"/account/confirm/?next={ACCOUNT}", HTTP_X_FORWARDED_USER="ada", REMOTE_ADDR=PROXY)
    assert response.headers["Location"] == ACCOUNT


@pytest.mark.django_db
def test_name_is_no_way_to_sign_in_with_a_password(client: Client) -> None:
    through(client, "ada")
    send(Client(), "/accounts/login/", 422, username="ada", password="")
    send(Client(), "/accounts/login/", 422, username="ada", password="ada")


@pytest.mark.django_db
def test_groups_follow_and_those_given_here_stay(client: Client) -> None:
    Group.objects.create(name="team-a")
    qa = Group.objects.create(name="qa")

    def names() -> list[str]:
        return sorted(User.objects.get().groups.values_list("name", flat=True))

    with override_settings(PROXY_GROUPS_HEADER="X-Forwarded-Groups"):
        through(client, "ada", groups="team-a, ops,,ops," + "x" * 151)
        assert names() == ["ops", "team-a"]
        User.objects.get().groups.add(qa)
        through(client, "ada", groups="ops,qa")
        assert names() == ["ops", "qa"]
        through(client, "ada")
        assert names() == ["qa"], "an administrator gave it"
    through(client, "ada", groups="ops")
    assert names() == ["qa"], "without the setting nothing is taken over"
    assert look(client, ACCOUNT, 302)
