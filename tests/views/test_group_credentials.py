"""People who act with the credential of a group of theirs: set by administrators, never replaced by another."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Group
from django.test import Client, override_settings

from dashboard.models import AuditEntry, Credential, Deletion, Registry, User
from dashboard.services import access as gate
from dashboard.services import connections, credentials
from dashboard.services.connections import ActingWith, OwnCredential
from tests.fake_registry import FakeRegistry

from .page import look, part, send, words

PAGE = "/settings/registries/default/groups/"
HOME = "/registries/default/"
SECRET = "of-the-team-4711"


@pytest.fixture
def version() -> str:
    """Authentication stands before everything that differs."""
    return "3.1"


@pytest.fixture
def passwords() -> dict[str, str]:
    """The registry's: a robot of ours, and teams."""
    return {"robot": "robots-own-secret", "team-a": SECRET, "team-b": "of-team-b-4711"}


@pytest.fixture
def fake(version: str, passwords: dict[str, str]) -> Iterator[FakeRegistry]:
    """A registry that knows them."""
    with (
        FakeRegistry(version, basic=passwords) as registry,
        connections.clients_made_by(lambda row: registry.client(name=row.public_host)),
        override_settings(REGISTRY_USERNAME="robot", REGISTRY_PASSWORD="robots-own-secret"),
    ):
        registry.push_image("team/app", "1.0")
        yield registry


@pytest.fixture
def team(registry: Registry, maria: User, index: Callable[[], None]) -> Group:
    """Maria's group; people act with the credentials of groups, and there is none yet."""
    index()
    registry.act_with = Registry.ActWith.GROUP
    registry.save()
    group = Group.objects.create(name="Team A")
    maria.groups.add(group)
    return group


def give(as_admin: Client, team: Group, password: str = SECRET, status: int = 302) -> str:
    return send(as_admin, PAGE, status, group=str(team.pk), username="team-a", password=password).html


def test_without_one_people_act_as_nobody_and_are_told(as_maria: Client, team: Group, fake: FakeRegistry) -> None:
    fake.forget_requests()
    page = look(as_maria, HOME, 403)
    assert "Your group has no credential that registry.test:5000 accepts" in page.text("main")
    assert "team/app" not in page.text()
    assert {request.user for request in fake.requests} == {""}, "never the default credential"
    assert "None of your groups has a credential" in look(as_maria, "/account/").text("table.accounts")


def test_one_that_the_registry_accepts_is_what_its_members_act_with(
    as_maria: Client, as_jonas: Client, as_admin: Client, team: Group, fake: FakeRegistry, registry: Registry
) -> None:
    give(as_admin, team)
    fake.forget_requests()
    assert look(as_maria, HOME).has(f'a[href="{HOME}team/app/"]')
    assert "the credential of your group Team A" in look(as_maria, "/account/").text("table.accounts")
    assert "the credential of your group Team A" in look(as_maria, f"{HOME}-/status/").text("main")
    page = look(as_maria, f"{HOME}team/app/-/delete/?tag=1.0")
    assert "Acting as team-a on registry.test:5000" in page.text("main")
    assert {request.user for request in fake.requests if request.authorization} == {"team-a"}
    look(as_jonas, HOME, 403)


def test_it_is_kept_encrypted_and_in_the_audit_without_the_secret(as_admin: Client, team: Group) -> None:
    html = give(as_admin, team)
    row = Credential.objects.get()
    assert (row.group, row.user, row.secret()) == (team, None, SECRET)
    entry = AuditEntry.objects.get(action="credential")
    assert (entry.code, entry.reason, entry.registry) == ("group-credential-set", "Team A: team-a", "default")
    page = look(as_admin, PAGE)
    assert "team-a accepted" in words(page.row("Team A"))
    assert SECRET not in html + page.html + row.encrypted_secret
    send(as_admin, PAGE, remove=str(team.pk))
    assert not Credential.objects.exists()
    assert AuditEntry.objects.filter(code="group-credential-removed", reason="Team A").exists()


def test_a_refused_one_is_not_kept(as_admin: Client, team: Group) -> None:
    html = give(as_admin, team, password="wrong-0815", status=422)
    assert "refused that name and password" in html
    assert "wrong-0815" not in html
    assert not Credential.objects.exists()


def test_of_several_the_first_that_can_be_used_counts(
    as_admin: Client, team: Group, registry: Registry, maria: User
) -> None:
    give(as_admin, team)
    other = Group.objects.create(name="A first one")
    maria.groups.add(other)
    stale = Credential(group=other, registry=registry, origin="http://moved.test", username="x", state="accepted")
    stale.checked_at = Credential.objects.get().checked_at
    stale.set_secret("x")
    stale.save()
    acting = connections.acting(user=maria, registry=registry)
    assert (acting.acting_with, acting.name, acting.group) == (ActingWith.GROUP, "team-a", "Team A")
    Credential.objects.filter(group=team).delete()
    acting = connections.acting(user=maria, registry=registry)
    assert (acting.acting_with, acting.name, acting.own) == (ActingWith.NOBODY, "", OwnCredential.MOVED)


def test_one_that_is_refused_now_says_who_has_to_act(
    as_maria: Client, as_admin: Client, team: Group, passwords: dict[str, str]
) -> None:
    give(as_admin, team)
    assert "team-a accepted" in words(look(as_admin, PAGE).row("Team A"))
    passwords["team-a"] = "changed"
    gate.forget()
    page = look(as_maria, HOME, 403)
    said = page.text("section.state p")
    assert "no longer accepts the password of team-a , the credential of your group Team A" in said
    assert "an administrator of this registry has to enter it" in said
    assert not page.links("section.state a"), "there is nothing that she could do"
    line = look(as_admin, PAGE).row("Team A")
    assert "team-a refused Enter its password again." in words(line)
    assert part(line, "time").attributes["datetime"]
    send(as_admin, PAGE, check=str(team.pk))
    assert "less than a minute ago, and was not asked again" in look(as_admin, PAGE).text(".notice.danger")
    passwords["team-a"] = SECRET
    Credential.objects.update(asked_again_at=None)
    send(as_admin, PAGE, check=str(team.pk))
    assert "registry.test:5000 accepts the credential of Team A." in look(as_admin, PAGE).text(".notice.success")
    assert look(as_maria, HOME).has(f'a[href="{HOME}team/app/"]')
    passwords["team-a"] = "changed"
    send(as_admin, PAGE, check=str(team.pk))
    assert "refuses the credential of Team A. Enter it again." in look(as_admin, PAGE).text(".notice.danger")
    send(as_maria, PAGE, 403, check=str(team.pk))


def test_whoever_administers_the_registry_is_led_to_where_it_is_entered(
    as_admin: Client, admin: User, team: Group, passwords: dict[str, str]
) -> None:
    admin.groups.add(team)
    give(as_admin, team)
    passwords["team-a"] = "changed"
    gate.forget()
    assert look(as_admin, HOME, 403).links("section.state a") == {"Credentials of groups": PAGE}


def test_of_another_group_one_goes_on_knowingly_and_never_within_a_page(
    as_maria: Client, as_admin: Client, maria: User, team: Group, passwords: dict[str, str], fake: FakeRegistry
) -> None:
    give(as_admin, team)
    other = Group.objects.create(name="Team B")
    maria.groups.add(other)
    send(as_admin, PAGE, group=str(other.pk), username="team-b", password="of-team-b-4711")
    passwords["team-a"] = "changed"
    gate.forget()
    fake.forget_requests()
    page = look(as_maria, HOME, 403)
    assert page.links("section.state a") == {"Go on as team-b, the credential of your group Team B": HOME}
    assert {request.user for request in fake.requests} == {"", "team-a"}
    assert look(as_maria, HOME).has(f'a[href="{HOME}team/app/"]')
    assert "team-b , the credential of your group Team B" in look(as_maria, "/account/").text("table.accounts")


def test_groups_come_in_the_order_of_their_letters_on_every_database(
    as_admin: Client, team: Group, registry: Registry, maria: User
) -> None:
    give(as_admin, team)
    for name in ("a small one", "Äußere", "Zebra"):
        group = Group.objects.create(name=name)
        maria.groups.add(group)
        credentials.keep_in(Credential(group=group, registry=registry), "x", "x")
    found = []
    while (acting := connections.acting(user=maria, registry=registry)).name:
        found.append(acting.group)
        Credential.objects.filter(group__name=acting.group).update(state="refused")
    assert found == ["Team A", "Zebra", "a small one", "Äußere"]


def test_a_deletion_says_with_whose_credential(as_maria: Client, as_admin: Client, team: Group) -> None:
    give(as_admin, team)
    page = look(as_maria, f"{HOME}team/app/-/delete/?tag=1.0")
    fields = {
        str(field.attributes["name"]): str(field.attributes.get("value") or "")
        for field in page.tree.css("form.delete-form input, main form input[type=hidden]")
        if field.attributes.get("name")
    }
    as_maria.post(f"{HOME}team/app/-/delete/", fields | {"method": "remove"})
    row = Deletion.objects.get()
    assert (row.acted_with, row.acted_as, row.state) == ("group", "team-a", "done")
