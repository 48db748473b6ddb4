"""The page of the rules of access, who may do what by them, and what the audit says of it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard.models import AccessRule, AuditEntry, Registry, Role, User
from dashboard.services.index import refresh
from tests.fake_registry import FakeRegistry
from tests.support.people import let

from .page import Page, look, send, words

RULES, CHECK = "/settings/access/", "/settings/access/check/"


@pytest.fixture
def version() -> str:
    """The registry plays no part here."""
    return "3.1"


@pytest.fixture
def index(registry: Registry, fake: FakeRegistry) -> None:
    """Three repositories."""
    for name in ("team-a/app", "team-b/web", "prod/api"):
        fake.push_image(name, "1.0", layers=[name.encode()])
    refresh.refresh(registry, since=timezone.now(), beat=lambda _done, _all: None)


def rows(page: Page) -> list[str]:
    return [words(row) for row in page.tree.css("table.rules tbody tr")]


def names(page: Page) -> list[str]:
    return page.texts("main table th[scope=row]")


def test_a_new_installation_lets_everybody_who_signs_in_read_and_that_can_be_taken_away(
    as_admin: Client, registry: Registry, as_jonas: Client
) -> None:
    page = look(as_admin, RULES)
    (row,) = rows(page)
    assert row.startswith("everybody who signs in reader sees the repositories and pulls all every registry")
    look(as_jonas, "/registries/default/")
    rule = AccessRule.objects.get()
    done = send(as_admin, RULES, remove=str(rule.pk))
    assert done.headers["Location"] == RULES
    assert "No longer: everybody who signs in is reader of ** on every registry." in look(as_admin, RULES).text("main")
    look(as_jonas, "/registries/default/", 404)
    entry = AuditEntry.objects.get(action="access")
    assert (entry.user, entry.code, entry.repository, entry.reason) == (
        "admin", "access-removed", "**", "reader: everybody who signs in",
    )  # fmt: skip
    assert "took access away" in look(as_admin, "/registries/default/-/activity/?what=people").text("main")


def test_a_role_for_a_group_reaches_its_members(
    as_admin: Client, registry: Registry, jonas: User, as_jonas: Client, fake: FakeRegistry, index: None
) -> None:
    group = Group.objects.create(name="Team A")
    send(as_admin, RULES, who="group", name="Team A", role="3", pattern="team-a/**", registry=str(registry.pk))
    rule = AccessRule.objects.get(group=group)
    assert (rule.role, rule.pattern, rule.registry, rule.created_by) == (
        Role.MAINTAINER,
        "team-a/**",
        registry,
        "admin",
    )
    delete = "/registries/default/team-a/app/-/delete/?tag=1.0"
    look(as_jonas, delete, 403)
    jonas.groups.add(group)
    look(as_jonas, delete)
    look(as_jonas, "/registries/default/team-b/web/-/delete/?tag=1.0", 403)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"who": "user", "name": "nobody"}, "There is no user of that name."),
        ({"who": "group", "name": ""}, "There is no group of that name."),
        ({"pattern": "Team/**"}, "No repository can be like that"),
        ({"pattern": "**/api"}, "No repository can be like that"),
        ({"who": "visitors", "role": "3"}, "Visitors may only read."),
        ({"role": "9"}, "Select a valid choice"),
        ({"pattern": "**"}, "There is that rule already"),
    ],
)
def test_what_makes_no_sense_is_said_and_kept(
    as_admin: Client, registry: Registry, fields: dict[str, str], error: str
) -> None:
    given = {"who": "everybody", "name": "", "role": "1", "pattern": "a/**", "registry": ""} | fields
    page = send(as_admin, RULES, 422, **given)
    assert error in page.text("form.settings-form")
    assert page.attributes("#id_pattern", "value") == [given["pattern"]]
    assert AccessRule.objects.count() == 1


def test_a_higher_role_takes_the_place_of_a_lower_one(as_admin: Client, registry: Registry, jonas: User) -> None:
    for role in ("1", "3"):
        send(as_admin, RULES, who="user", name="JONAS", role=role, pattern="x/**", registry="")
    assert [rule.role for rule in AccessRule.objects.filter(user=jonas)] == [Role.MAINTAINER]


def test_what_a_person_can_see_and_do(as_admin: Client, registry: Registry, jonas: User, index: None) -> None:
    AccessRule.objects.all().delete()
    let(jonas, Role.MAINTAINER, "team-a/**")
    let(jonas, Role.READER, "prod/*")
    page = look(as_admin, f"{CHECK}?person=jonas")
    assert names(page) == ["prod/api", "team-a/app"]
    assert "reader sees the repositories and pulls" in words(page.row("prod/api"))
    assert "maintainer also deletes and restores" in words(page.row("team-a/app"))
    assert "2 of 3 repositories" in page.text("main")
    User.objects.filter(pk=jonas.pk).update(is_active=False)
    page = look(as_admin, f"{CHECK}?person=jonas")
    assert "jonas is disabled and sees nothing." in page.text("main")
    assert names(page) == []
    assert "There is no user nobody" in look(as_admin, f"{CHECK}?person=nobody").text("main")


def test_who_may_do_what_in_a_repository_and_why(
    as_admin: Client,
    registry: Registry,
    jonas: User,
    maria: User,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    group = Group.objects.create(name="Operators")
    jonas.groups.add(group)
    AccessRule.objects.create(
        who="group", group=group, role=Role.DEVELOPER, pattern="prod/**", created_at=timezone.now()
    )
    for number in range(30):
        User.objects.create_user(f"person-{number:02}")
    with django_assert_max_num_queries(14):
        page = look(as_admin, f"{CHECK}?repository=prod/api")
    assert "administrator of everything" in words(page.row("admin"))
    assert "group Operators is developer of prod/** on every registry" in words(page.row("jonas"))
    assert "maria is maintainer of ** on every registry" in words(page.row("maria"))
    assert "everybody who signs in is reader of ** on every registry" in words(page.row("person-07"))
    assert "developer" not in words(look(as_admin, f"{CHECK}?repository=prod2/api").row("jonas"))


def test_the_pages_are_for_administrators_of_everything(as_maria: Client, registry: Registry, maria: User) -> None:
    let(maria, Role.ADMINISTRATOR, registry=registry)
    assert as_maria.get(RULES).status_code == as_maria.get(CHECK).status_code == 403
    assert as_maria.post(RULES, {"who": "user", "name": "maria", "role": "4", "pattern": "**"}).status_code == 403
    let(maria, Role.ADMINISTRATOR)
    look(as_maria, RULES)
    assert look(as_maria, "/account/").links(".account-menu a")["Access"] == RULES


def test_who_has_no_role_is_told_that_nothing_is_open(
    as_jonas: Client, registry: Registry, everybody_reads: AccessRule
) -> None:
    everybody_reads.delete()
    page = look(as_jonas, "/")
    assert page.text("section.state h2") == "Nothing is open to you yet"
    assert "DASHBOARD_REGISTRY_URL" not in page.text("main")
    assert not page.has('a[href="/settings/registries/"]')


def test_the_list_of_registries_counts_only_for_who_sees_all_of_one(
    as_jonas: Client, as_maria: Client, registry: Registry, jonas: User, index: None, everybody_reads: AccessRule
) -> None:
    Registry.objects.create(slug="second", url="http://second.test", public_host="second.test")
    everybody_reads.delete()
    let(jonas, Role.READER, "team-a/**")
    assert words(look(as_maria, "/").row("registry.test:5000")).split()[2] == "3"
    cell = look(as_jonas, "/").row("registry.test:5000").css_first("td.num")
    assert cell is not None
    assert words(cell) == "—"
