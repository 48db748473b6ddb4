"""The page of the rules of access, who may do what by them, and what the audit says of it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard.models import AccessRule, AuditEntry, Registry, Role, User
from dashboard.services.administration import administration_of
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
    assert "maintainer also deletes, restores and protects tags" in words(page.row("team-a/app"))
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


def test_the_pages_are_for_administrators(as_maria: Client, registry: Registry, maria: User) -> None:
    assert as_maria.get(RULES).status_code == as_maria.get(CHECK).status_code == 403
    assert "Access" not in look(as_maria, "/account/").links(".account-menu a")
    assert as_maria.post(RULES, {"who": "user", "name": "maria", "role": "4", "pattern": "**"}).status_code == 403
    let(maria, Role.ADMINISTRATOR)
    look(as_maria, RULES)
    assert look(as_maria, "/account/").links(".account-menu a")["Access"] == RULES


# Administrators of a part


@pytest.fixture
def other(registry: Registry, fake: FakeRegistry) -> Registry:
    """A registry that Maria has nothing to do with."""
    return Registry.objects.create(slug="other", url=fake.url, public_host="other.test:5000")


@pytest.fixture
def narrow(registry: Registry, other: Registry, maria: User, jonas: User) -> Registry:
    """Maria administers team-a/** on the first registry; there are rules within that and around it."""
    AccessRule.objects.all().delete()
    let(maria, Role.ADMINISTRATOR, "team-a/**", registry=registry)
    let(jonas, Role.READER, "team-a/app", registry=registry)
    let(jonas, Role.READER, "team-*/app", registry=registry)
    let(jonas, Role.READER, "team-a/**", registry=other)
    let(jonas, Role.MAINTAINER, "prod/**")
    return registry


def given(place: Registry, **fields: str) -> dict[str, str]:
    return {"who": "user", "name": "jonas", "role": "3", "pattern": "team-a/web", "registry": str(place.pk)} | fields


def test_who_administers_a_part_sees_gives_and_takes_what_is_within_it(
    narrow: Registry, as_maria: Client, jonas: User
) -> None:
    page = look(as_maria, RULES)
    assert page.links()["Access"] == RULES
    assert "You administer: team-a/** on registry.test:5000" in page.text(".notice.info")
    assert [row.split(" Remove")[0][:30] for row in rows(page)] == [
        "jonas user reader sees the rep",
        "maria user administrator also ",
    ]
    for outside in ("prod/**", "team-*/app", "other.test", "every registry"):
        assert outside not in page.text("main"), outside
    assert page.texts("#id_who option") == ["a user", "a group", "everybody who signs in"]
    assert page.texts("#id_registry option") == ["registry.test:5000"]
    assert page.texts("#id_role option") == ["reader", "developer", "maintainer"]
    assert page.attributes("#id_pattern", "value") == ["team-a/**"]
    send(as_maria, RULES, 302, **given(narrow))
    rule = AccessRule.objects.latest("pk")
    assert (rule.user, rule.role, rule.pattern, rule.registry, rule.created_by) == (
        jonas, Role.MAINTAINER, "team-a/web", narrow, "maria",
    )  # fmt: skip
    send(as_maria, RULES, remove=str(rule.pk))
    assert not AccessRule.objects.filter(pk=rule.pk).exists()
    audited = AuditEntry.objects.filter(action="access").order_by("pk").values_list("user", "code", "repository")
    assert list(audited) == [("maria", "access-added", "team-a/web"), ("maria", "access-removed", "team-a/web")]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"pattern": "**"}, "That is not all within what you administer."),
        ({"pattern": "team-*/**"}, "That is not all within what you administer."),
        ({"pattern": "team-a"}, "That is not all within what you administer."),
        ({"pattern": "team-a*/**"}, "That is not all within what you administer."),
        ({"pattern": "prod/api", "role": "1"}, "That is not all within what you administer."),
        ({"role": "4"}, "Select a valid choice"),
        ({"role": "4", "name": "maria"}, "Select a valid choice"),
        ({"registry": ""}, "This field is required."),
        ({"registry": "other"}, "Select a valid choice"),
        ({"who": "visitors", "name": "", "role": "1"}, "Select a valid choice"),
    ],
)
def test_nobody_widens_what_he_administers(
    narrow: Registry, other: Registry, as_maria: Client, fields: dict[str, str], error: str
) -> None:
    before = AccessRule.objects.count()
    if fields.get("registry") == "other":
        fields = {"registry": str(other.pk)}
    page = send(as_maria, RULES, 422, **given(narrow, **fields))
    assert error in page.text("form.settings-form")
    assert AccessRule.objects.count() == before


def test_an_administrator_beside_him_stays(narrow: Registry, as_maria: Client, jonas: User) -> None:
    peer = let(jonas, Role.ADMINISTRATOR, "team-a/**", registry=narrow)
    page = look(as_maria, RULES)
    assert len(rows(page)) == 3
    assert len(page.attributes(".rules button", "value")) == 1, "of the rules shown one is no administrator's"
    send(as_maria, RULES, remove=str(peer.pk))
    assert AccessRule.objects.filter(pk=peer.pk).exists()


def test_rules_that_reach_outside_are_not_his_to_take(narrow: Registry, as_maria: Client) -> None:
    outside = AccessRule.objects.exclude(pattern__in=["team-a/**", "team-a/app"], registry=narrow)
    kept = set(outside.values_list("pk", flat=True))
    for pk in [*kept, 999_999]:
        send(as_maria, RULES, remove=str(pk))
    assert set(outside.values_list("pk", flat=True)) == kept
    assert len(kept) == 3
    assert not AuditEntry.objects.filter(action="access").exists()


@pytest.mark.usefixtures("index")
def test_who_may_do_what_is_told_of_what_he_administers(narrow: Registry, as_maria: Client) -> None:
    page = look(as_maria, f"{CHECK}?person=jonas")
    assert names(page) == ["team-a/app"], "although jonas sees team-b and prod, too"
    assert "1 of 1 repositories" in page.text("main")
    page = look(as_maria, f"{CHECK}?repository=team-a/app")
    assert "jonas is reader of team-a/app" in words(page.row("jonas"))
    AccessRule.objects.filter(pattern="team-a/app").delete()
    assert words(look(as_maria, f"{CHECK}?repository=team-a/app").row("jonas")).endswith("a wider rule")
    for hidden in ("prod/api", "team-b/app"):
        assert not look(as_maria, f"{CHECK}?repository={hidden}").has("main table")
    assert not look(as_maria, f"{CHECK}?person=jonas&registry=other").has("h2.mono")
    assert "other.test" not in look(as_maria, f"{CHECK}?person=jonas&registry=other").text("main")


def test_a_whole_registry_is_a_part_as_well(registry: Registry, other: Registry, as_maria: Client, maria: User) -> None:
    let(maria, Role.ADMINISTRATOR, registry=registry)
    send(as_maria, RULES, 302, **given(registry, pattern="**", who="everybody", name=""))
    send(as_maria, RULES, 422, **given(registry, pattern="**", registry=""))
    for page in ("/settings/people/", "/settings/groups/", "/settings/registries/"):
        assert as_maria.get(page).status_code == 403
    with_people = look(as_maria, "/account/").links()
    assert "Access" in with_people
    assert "People" not in with_people


def test_somebody_disabled_administers_nothing(narrow: Registry, maria: User) -> None:
    User.objects.filter(pk=maria.pk).update(is_active=False)
    assert not administration_of(User.objects.get(pk=maria.pk)).something


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
