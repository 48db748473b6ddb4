"""People who act with the credential of a group of theirs: set by administrators, never replaced by another."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Group
from django.test import Client, override_settings

from dashboard.models import AuditEntry, Credential, Deletion, Registry, User
from dashboard.services import connections
from dashboard.services.connections import ActingWith, OwnCredential
from tests.fake_registry import FakeRegistry

from .page import look, send, words

PAGE = "/settings/registries/default/groups/"
HOME = "/registries/default/"
SECRET = "of-the-team-4711"


@pytest.fixture
def version() -> str:
    """Authentication stands before everything that differs."""
    return "3.1"


@pytest.fixture
def fake(version: str) -> Iterator[FakeRegistry]:
    """A registry that knows a robot of ours and a team."""
    with (
        FakeRegistry(version, basic={"robot": "robots-own-secret", "team-a": SECRET}) as registry,
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
