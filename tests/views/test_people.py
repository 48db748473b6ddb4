"""People, as administrators see, invite, change, disable and delete them."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.models import (
    AccessRule,
    AuditEntry,
    Credential,
    Deletion,
    DeletionPlan,
    Invitation,
    Job,
    Registry,
    Role,
    User,
)
from dashboard.services import people
from dashboard.services.audit import Actor
from tests.conftest import PASSWORD
from tests.support.people import let

from .page import Page, look, page_of, send, words

PEOPLE = "/settings/people/"
NEW = f"{PEOPLE}new/"


@pytest.fixture
def version() -> str:
    """The registry plays no part here."""
    return "3.1"


def of(user: User) -> str:
    """The page of somebody."""
    return f"{PEOPLE}{user.pk}/"


def audited() -> list[tuple[str, str, str]]:
    """What was done to people: by whom, what, to whom."""
    rows = AuditEntry.objects.filter(action="person").order_by("pk")
    return list(rows.values_list("user", "code", "reason"))


def link_in(page: Page) -> str:
    """The path of the link that is shown."""
    found = re.fullmatch(r"http://testserver(/invitations/[\w-]{43}/)", page.text("#link"))
    assert found is not None, page.text("#link")
    return found[1]


# The list


def test_the_list_tells_who_there_is_in_words(
    as_admin: Client, maria: User, jonas: User, registry: Registry, client: Client
) -> None:
    team = Group.objects.create(name="team")
    maria.groups.add(team)
    AccessRule.objects.create(who="group", group=team, role=Role.READER, pattern="a/**", created_at=timezone.now())
    jonas.first_name, jonas.is_active, jonas.origin_registry = "Jonas Jensen", False, registry
    jonas.save()
    people.invite(username="ada", full_name="", groups=[], actor=Actor("admin"))
    page = look(as_admin, PEOPLE)
    rows = [[words(cell) for cell in row.css("th, td")] for row in page.tree.css(".people tbody tr")]
    until = rows[0].pop()
    assert rows == [
        ["ada", "—", "as everybody", "here", "never"],
        ["admin", "—", "administrator of everything", "here", "just now", "active"],
        ["jonas Jonas Jensen", "—", "as everybody", "registry.test:5000", "never", "disabled"],
        ["maria", "team", "maintainer by 1 rule, reader by 1 rule", "here", "never", "active"],
    ]
    assert re.fullmatch(r"invited until \d+ \w+ \d{4}.*", until)
    Invitation.objects.update(expires_at=timezone.now())
    assert "invitation lapsed" in words(look(as_admin, PEOPLE).row("ada"))


def test_a_thousand_people_are_a_page_at_a_time_in_the_same_number_of_queries(as_admin: Client) -> None:
    def asked(address: str) -> tuple[Page, int]:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            page = look(as_admin, address)
        return page, len(captured)

    group = Group.objects.create(name="team")
    User.objects.create_user("p0000").groups.add(group)
    few = asked(PEOPLE)[1]
    User.objects.bulk_create(
        User(username=f"p{number:04}", canonical_username=f"p{number:04}", first_name=f"Number {number}")
        for number in range(1, 1000)
    )
    group.user_set.set(User.objects.filter(username__startswith="p"))
    page, many = asked(PEOPLE)
    assert many == few
    assert len(page.texts(".people tbody tr")) == 50
    assert page.text(".pagination").startswith("1–50 of 1,001")
    page = look(as_admin, f"{PEOPLE}?name=NUMBER+99&sort=-name")
    assert [text.split()[0] for text in page.texts(".people th[scope=row]")][:2] == ["p0999", "p0998"]
    assert "11 people." in page.text("#list")
    assert look(as_admin, f"{PEOPLE}?name=zz").text("h2") == "Nobody of that name"


@pytest.mark.parametrize("address", [NEW, f"{PEOPLE}1/", f"{PEOPLE}1/delete/", "/settings/groups/"])
def test_it_is_for_administrators_alone(as_maria: Client, maria: User, address: str) -> None:
    look(as_maria, PEOPLE, 403)
    look(as_maria, address, 403)
    send(as_maria, address, 403, username="x", name="maria")
    assert User.objects.get() == maria


# Inviting


def test_an_invitation_is_a_link_that_is_shown_once(as_admin: Client) -> None:
    team = Group.objects.create(name="team")
    page = send(as_admin, NEW, 200, username="ada", full_name="Ada L", groups=str(team.pk))
    assert page.headers["Cache-Control"] == "no-store"
    link = link_in(page)
    assert page.attributes(".token .copy", "data-copy") == [page.text("#link")]
    ada = User.objects.get(username="ada")
    assert (ada.is_active, ada.has_usable_password(), ada.get_full_name()) == (False, False, "Ada L")
    assert list(ada.groups.all()) == [team]
    token = link.split("/")[2]
    assert token not in str(Invitation.objects.values())
    assert not look(as_admin, of(ada)).has("#link")
    assert audited() == [("admin", "person-invited", "ada; groups: team")]
    row = Invitation.objects.get()
    assert row.expires_at - row.created_at == dt.timedelta(days=7)
    again = send(as_admin, of(ada), 200, action="link")
    assert link_in(again) != link
    look(Client(), link, 404)
    look(Client(), link_in(again))
    assert audited()[1:] == [("admin", "link-made", "ada")]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"username": ""}, "This field is required."),
        ({"username": "a b"}, "Enter a valid username."),
        ({"username": "x" * 151}, "at most 150 characters"),
        ({"username": "ADMIN"}, "There is somebody of that name"),
        ({"full_name": "x" * 151}, "at most 150 characters"),
        ({"groups": "77"}, "77 is not one of the available choices"),
    ],
)
def test_what_is_wrong_is_said_and_nobody_is_made(as_admin: Client, fields: dict[str, str], said: str) -> None:
    Group.objects.create(name="team")
    page = page_of(as_admin.post(NEW, {"username": "ada", "full_name": "", "groups": []} | fields), 422)
    assert said in page.text("form.settings-form")
    assert User.objects.count() == 1


# One person


def test_name_groups_and_administration_are_changed(as_admin: Client, jonas: User) -> None:
    old, new = Group.objects.create(name="old"), Group.objects.create(name="new")
    jonas.groups.add(old)
    send(as_admin, of(jonas), action="save", full_name="Jonas J", groups=str(new.pk), administers="on")
    jonas.refresh_from_db()
    assert (jonas.get_full_name(), jonas.is_superuser, list(jonas.groups.all())) == ("Jonas J", True, [new])
    page = look(as_admin, of(jonas))
    assert "jonas was changed." in page.text("main")
    assert page.attributes("#id_full_name", "value") == ["Jonas J"]
    assert audited() == [
        ("admin", "administrator-made", "jonas"),
        ("admin", "person-changed", "jonas; Jonas J; groups: new"),
    ]
    send(as_admin, of(jonas), full_name="Jonas J", groups=str(new.pk))
    assert not User.objects.get(pk=jonas.pk).is_superuser
    assert audited()[2:] == [("admin", "administrator-unmade", "jonas")]


def test_the_last_administrator_stays_one(admin: User, maria: User) -> None:
    let(maria, Role.ADMINISTRATOR)
    User.objects.create_superuser("gone", password=PASSWORD, is_active=False)
    browser = Client()
    browser.force_login(maria)
    page = send(browser, of(admin), 422, full_name="x", action="save")
    assert "This is the last active administrator" in page.text("main")
    send(browser, of(admin), action="disable")
    assert "This is the last active administrator" in look(browser, of(admin)).text("main")
    page = send(browser, f"{of(admin)}delete/", 422, name="admin")
    assert "This is the last active administrator" in page.text("main")
    admin.refresh_from_db()
    assert (admin.is_active, admin.is_superuser, admin.first_name) == (True, True, "")
    assert not audited()


def test_nobody_disables_deletes_or_demotes_himself(as_admin: Client, admin: User) -> None:
    User.objects.create_superuser("other", password=PASSWORD)
    page = look(as_admin, of(admin))
    assert not page.has("button[value=disable]")
    send(as_admin, of(admin), action="disable")
    assert "Nobody does that to their own account" in look(as_admin, of(admin)).text("main")
    send(as_admin, f"{of(admin)}delete/", 422, name="admin")
    send(as_admin, of(admin), 422, full_name="")
    admin.refresh_from_db()
    assert admin.is_active
    assert admin.is_superuser


def test_who_is_disabled_is_out_at_once_and_may_come_back(
    as_admin: Client, as_jonas: Client, jonas: User, registry: Registry
) -> None:
    look(as_jonas, "/account/")
    send(as_admin, of(jonas), 200, action="link")
    send(as_admin, of(jonas), action="disable")
    assert as_jonas.get("/account/").status_code == 302
    assert not jonas.sessions.exists()
    assert not Invitation.objects.exists()
    send(Client(), "/accounts/login/", 422, username="jonas", password=PASSWORD)
    page = look(as_admin, of(jonas))
    assert "is signed out everywhere" in page.text("main")
    assert not page.has("button[value=link]")
    send(as_admin, of(jonas), action="link")
    assert "Nobody who is disabled gets a link." in look(as_admin, of(jonas)).text("main")
    send(as_admin, of(jonas), action="enable")
    assert as_jonas.get("/account/").status_code == 302, "an ended session stays ended"
    assert Client().post("/accounts/login/", {"username": "jonas", "password": PASSWORD}).status_code == 302
    assert [code for _, code, _ in audited()] == ["link-made", "person-disabled", "person-enabled"]


# Deleting


def test_deleting_says_what_goes_and_leaves_what_was_done(
    as_admin: Client, maria: User, admin: User, registry: Registry
) -> None:
    now = timezone.now()
    maria.groups.add(Group.objects.create(name="team"))
    Credential.objects.create(user=maria, registry=registry, username="m", state="accepted", checked_at=now)
    plan = DeletionPlan.objects.create(
        registry=registry, repository="app", user=maria, created_at=now, expires_at=now, effect={}, fingerprint="x"
    )
    deletion = Deletion.objects.create(
        plan=plan, registry=registry, repository="app", user=maria, user_name="maria", acted_with="default",
        created_at=now, kept_until=now, state="done",
    )  # fmt: skip
    job = Job.objects.create(
        kind="scan", registry=registry, requested_by=maria, requested_by_name="maria", requested_at=now, state="done"
    )
    delete = f"{of(maria)}delete/"
    page = look(as_admin, delete)
    assert page.texts(".goes-with li") == [
        "1 registry credential", "1 own access rule", "the place in 1 group",
    ]  # fmt: skip
    page = send(as_admin, delete, 422, name="Maria")
    assert "Type maria to delete this person." in page.text("form.settings-form")
    assert send(as_admin, delete, name="maria").headers["Location"] == PEOPLE
    assert not User.objects.filter(username="maria").exists()
    assert not Credential.objects.exists()
    deletion.refresh_from_db()
    assert (deletion.user, deletion.user_name, deletion.plan.user) == (None, "maria", None)
    job.refresh_from_db()
    assert job.requested_by is None
    assert "maria" in look(as_admin, "/registries/default/-/jobs/").text("main")
    assert audited() == [("admin", "person-deleted", "maria")]
    look(as_admin, of(maria), 404)


@pytest.mark.parametrize("what", ["job", "deletion"])
def test_nobody_goes_whose_work_is_running(as_admin: Client, maria: User, registry: Registry, what: str) -> None:
    now = timezone.now()
    if what == "job":
        Job.objects.create(kind="scan", registry=registry, requested_by=maria, requested_at=now)
    else:
        plan = DeletionPlan.objects.create(
            registry=registry, repository="app", user=maria, created_at=now, expires_at=now, effect={}, fingerprint="x"
        )
        Deletion.objects.create(
            plan=plan, registry=registry, repository="app", user=maria, user_name="maria", created_at=now,
            kept_until=now,
        )  # fmt: skip
    page = send(as_admin, f"{of(maria)}delete/", 422, name="maria")
    assert "is still running" in page.text("form.settings-form")
    assert User.objects.filter(username="maria").exists()


def test_the_menu_leads_there_for_administrators(as_admin: Client, as_jonas: Client, registry: Registry) -> None:
    links = look(as_admin, "/account/").links(".account-menu a")
    assert (links["People"], links["Groups"]) == (PEOPLE, "/settings/groups/")
    assert "People" not in look(as_jonas, "/account/").links(".account-menu a")


def test_the_activity_tells_administrators_in_words(as_admin: Client, jonas: User, registry: Registry) -> None:
    send(as_admin, of(jonas), action="disable")
    text = look(as_admin, "/registries/default/-/activity/?what=people").text("main")
    assert "disabled a person" in text
    assert "jonas" in text
