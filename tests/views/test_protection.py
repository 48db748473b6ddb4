"""Protected tags in pages: the rules that administrators set, and notices with Roll back and Dismiss."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.contexts.protection import MAX_SHOWN
from dashboard.models import AuditEntry, ProtectedMove, Registry, Role, TagRule, User
from dashboard.services import connections, protection
from dashboard.services.audit import Actor
from tests.fake_registry import FakeRegistry
from tests.support.people import let
from tests.support.token_server import TokenUser

from .page import Page, look, part, send, words

HOME = "/registries/default/"
APP = f"{HOME}team/app/"
RULES = "/settings/registries/default/protection/"
POINT = f"{APP}-/point/"
ONE, TWO = (f"sha256:{letter * 64}" for letter in "12")
Index = Callable[[], None]


@pytest.fixture
def version() -> str:
    """The registry plays no part in rules."""
    return "2.8"


def rule(registry: Registry, tags: str = "latest", repositories: str = "*") -> TagRule:
    return protection.add(
        registry=registry, tag_pattern=tags, repository_pattern=repositories, note="", actor=Actor("admin")
    )


def moved(registry: Registry, tag: str = "latest", *, repository: str = "team/app", **fields: str) -> ProtectedMove:
    return ProtectedMove.objects.create(
        registry=registry, repository=repository, tag=tag, rule="latest", at=timezone.now() - dt.timedelta(minutes=5),
        **({"before": ONE, "after": TWO} | fields),
    )  # fmt: skip


# The rules


def test_a_rule_is_added_counts_what_it_protects_and_is_removed(
    as_admin: Client, registry: Registry, fake: FakeRegistry, index: Index
) -> None:
    fake.push_image("team/app", "latest", "v1", "v2", "other")
    fake.push_image("web", "latest", "v1")
    index()
    assert "No tag is protected" in look(as_admin, RULES).text("main")
    done = send(as_admin, RULES, tag_pattern="v*", repository_pattern="team/*", note="Ask <maria> first")
    assert done.headers["Location"] == RULES
    send(as_admin, RULES, tag_pattern="latest", repository_pattern="", note="")
    page = look(as_admin, RULES)
    assert "Tags like latest are protected now." in page.text("main")
    rows = [[words(cell) for cell in row.css("th, td")][:4] for row in page.tree.css(".rules tbody tr")]
    assert rows == [
        ["v* Ask <maria> first", "team/*", "2 tags", "just now by admin"],
        ["latest", "all", "2 tags", "just now by admin"],
    ]
    first = page.attributes(".rules button", "value")[0]
    send(as_admin, RULES, remove=first)
    assert "Tags like team/*:v* are no longer protected." in look(as_admin, RULES).text("main")
    assert TagRule.objects.get().tag_pattern == "latest"
    send(as_admin, RULES, remove=first)
    audited = (
        AuditEntry.objects.exclude(action="sign-in")
        .order_by("pk")
        .values_list("user", "action", "code", "repository", "tags", "reason")
    )
    assert list(audited) == [
        ("admin", "rule", "rule-added", "team/*", ["v*"], "Ask <maria> first"),
        ("admin", "rule", "rule-added", "*", ["latest"], ""),
        ("admin", "rule", "rule-removed", "team/*", ["v*"], "Ask <maria> first"),
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tag_pattern": ""}, "This field is required."),
        ({"tag_pattern": "a b"}, "No tag can be like that"),
        ({"tag_pattern": "app:latest"}, "No tag can be like that"),
        ({"tag_pattern": "v" * 201}, "at most 200 characters"),
        ({"repository_pattern": "Team/*"}, "No repository can be like that"),
        ({"note": "x" * 201}, "at most 200 characters"),
        ({"tag_pattern": "latest"}, "There is that rule already."),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_kept_in_the_form(
    as_admin: Client, registry: Registry, fields: dict[str, str], said: str
) -> None:
    rule(registry)
    sent = {"tag_pattern": "v*", "repository_pattern": "*", "note": ""} | fields
    page = send(as_admin, RULES, 422, **sent)
    assert said in page.text("form.settings-form")
    assert page.attributes("#id_note", "value") == [sent["note"]]
    assert TagRule.objects.count() == 1


def test_there_are_not_more_rules_than_can_be_held_against_every_tag(as_admin: Client, registry: Registry) -> None:
    for number in range(protection.MAX_RULES):
        rule(registry, f"v{number}")
    page = send(as_admin, RULES, 422, tag_pattern="one-more", repository_pattern="*")
    assert "at most 200 rules" in page.text("main")
    assert TagRule.objects.count() == protection.MAX_RULES


def test_who_may_not_change_registries_may_not_set_rules(
    as_maria: Client, as_admin: Client, registry: Registry, jonas: User
) -> None:
    kept = rule(registry)
    assert as_maria.get(RULES).status_code == 403
    assert as_maria.post(RULES, {"tag_pattern": "v*"}).status_code == 403
    assert as_maria.post(RULES, {"remove": kept.pk}).status_code == 403
    assert list(TagRule.objects.all()) == [kept]
    let(jonas, Role.ADMINISTRATOR, registry=registry)
    client = Client()
    client.force_login(jonas)
    send(client, RULES, remove=str(kept.pk))
    assert not TagRule.objects.exists()
    assert look(as_admin, "/settings/registries/nowhere/protection/", 404).status == 404
    assert as_admin.post(RULES, {"remove": "x"}).status_code == 404


def test_the_settings_of_a_registry_lead_to_its_rules(as_admin: Client, registry: Registry) -> None:
    second = Registry.objects.create(slug="second", url="http://second.test", public_host="second.test")
    for slug in ("default", second.slug):
        links = look(as_admin, f"/settings/registries/{slug}/").links("main a")
        assert links["Rules for tags"] == f"/settings/registries/{slug}/protection/"
    rule(second, "v*")
    assert "No tag is protected" in look(as_admin, RULES).text("main"), "each registry has its own"


def test_counting_costs_the_same_for_any_number_of_rules(
    as_admin: Client, registry: Registry, fake: FakeRegistry, index: Index
) -> None:
    fake.push_image("team/app", *(f"v{n}" for n in range(60)))
    index()
    costs = []
    for count in (1, 3, 50):
        while TagRule.objects.count() < count:
            rule(registry, f"v{TagRule.objects.count()}*")
        with CaptureQueriesContext(connection) as queries:
            assert len(look(as_admin, RULES).tree.css(".rules tbody tr")) == count
        costs.append(len(queries))
    assert costs[0] == costs[1] == costs[2]


# The notices


def notice(page: Page) -> str:
    return page.text(".protected-moves")


def test_a_push_over_a_protected_tag_is_noticed_on_the_page_that_first_sees_it(
    as_maria: Client, registry: Registry, fake: FakeRegistry
) -> None:
    rule(registry)
    old = fake.push_image("team/app", "latest", layers=[b"old"])
    assert not look(as_maria, APP).has(".protected-moves")
    new = fake.push_image("team/app", "latest", layers=[b"new"])
    page = look(as_maria, APP)
    short_old, short_new = old.digest[7:19], new.digest[7:19]
    assert "1 protected tag was moved by somebody else, not from here." in notice(page)
    assert f"latest was moved just now from {short_old} to {short_new} . The rule latest protects it." in notice(page)
    assert page.links(".protected-moves a") == {
        "Roll back latest": f"{POINT}?tag=latest&digest={old.digest.replace(':', '%3A')}",
        "See the new image": f"{APP}-/tags/latest/",
    }
    # Rolled back by two clicks, and nothing is left to say.
    back = look(as_maria, page.links(".protected-moves a")["Roll back latest"])
    fields = {
        str(field.attributes["name"]): str(field.attributes["value"] or "")
        for field in back.tree.css("form.confirm input[type=hidden]")
    }
    send(as_maria, back.attributes("form.confirm", "action")[0], 302, **fields)
    assert fake.tags("team/app") == {"latest": old.digest}
    assert not look(as_maria, APP).has(".protected-moves")
    assert not look(as_maria, HOME).has(".protected-moves")


def test_who_only_looks_sees_it_and_can_do_nothing(
    as_jonas: Client, as_maria: Client, registry: Registry, fake: FakeRegistry
) -> None:
    fake.push_image("team/app", "latest")
    move = moved(registry, "v1", by="<b>ci</b>", after="")
    page = look(as_jonas, APP)
    assert "1 protected tag was deleted" in notice(page)
    assert "was deleted by <b>ci</b> 5 minutes ago ; it pointed at 111111111111" in notice(page)
    assert page.links(".protected-moves a") == {}
    assert not page.has(".protected-moves form")
    address = f"{HOME}-/protected/{move.pk}/dismiss/"
    assert as_jonas.post(address).status_code == 403
    assert as_jonas.get(address).status_code == 405
    assert ProtectedMove.objects.filter(dismissed_at=None).exists()


def test_dismissing_leads_back_and_is_audited(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "latest")
    moved(registry)
    moved(registry, "v1")
    for where, address in (("repository", APP), ("list", HOME)):
        page = look(as_maria, address)
        form = part(page.node(".protected-moves"), "form")
        assert part(form, "[name=to]").attributes["value"] == where
        done = send(as_maria, str(form.attributes["action"]), to=where)
        assert done.headers["Location"] == address
    assert not look(as_maria, APP).has(".protected-moves")
    assert AuditEntry.objects.filter(user="maria", code="notice-dismissed").count() == 2
    send(as_maria, f"{HOME}-/protected/1000000/dismiss/")
    send(as_maria, f"{HOME}-/protected/{10**30}/dismiss/")


def test_the_list_of_repositories_has_one_line_that_unfolds(
    as_maria: Client, registry: Registry, fake: FakeRegistry, index: Index
) -> None:
    fake.push_image("team/app", "latest")
    index()
    moved(registry)
    moved(registry, "v1", repository="gone/app", after="")
    page = look(as_maria, HOME)
    assert page.text(".protected-moves summary") == (
        "2 protected tags were moved or deleted by somebody else, not from here"
    )
    links = page.links(".protected-moves a")
    assert links["team/app:latest"] == APP
    assert links["Roll back gone/app:v1"].startswith(f"{HOME}gone/app/-/point/?tag=v1&digest=")


def test_a_notice_of_an_emptied_repository_stands_on_its_page(
    as_maria: Client, registry: Registry, fake: FakeRegistry
) -> None:
    fake.empty_repository("team/app")
    moved(registry, after="")
    page = look(as_maria, APP)
    assert "1 protected tag was deleted" in notice(page)
    assert "holds no tag" in page.text("main")


def test_another_registrys_notices_are_not_this_ones(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "latest")
    other = Registry.objects.create(slug="other", url="http://other.test", public_host="other.test")
    move = moved(other)
    assert not look(as_maria, APP).has(".protected-moves")
    send(as_maria, f"{HOME}-/protected/{move.pk}/dismiss/")
    assert ProtectedMove.objects.filter(dismissed_at=None).exists()


def test_who_may_not_read_a_repository_learns_nothing_of_its_notices(as_maria: Client, registry: Registry) -> None:
    robot = TokenUser("p", {"repository:web": frozenset({"pull"})})
    registry.from_environment, registry.default_username = False, "robot"
    registry.set_default_password("p")
    registry.save()
    move = moved(registry, "secret-tag", repository="team/app")
    with (
        FakeRegistry("3.1", token_users={"robot": robot}) as closed,
        connections.clients_made_by(lambda row: closed.client(name=row.public_host)),
    ):
        closed.push_image("team/app", "secret-tag")
        closed.push_image("web", "1.0")
        look(as_maria, f"{HOME}web/")
        assert "secret-tag" not in look(as_maria, HOME).html
        assert "secret-tag" not in look(as_maria, APP, 403).html
        answer = as_maria.post(f"{HOME}-/protected/{move.pk}/dismiss/")
        assert answer.status_code == 403
        assert "secret-tag" not in answer.content.decode()
    assert ProtectedMove.objects.filter(dismissed_at=None).exists()


@pytest.mark.parametrize("address", [APP, HOME])
def test_notices_cost_one_query_however_many_there_are(
    as_maria: Client, registry: Registry, fake: FakeRegistry, index: Index, address: str
) -> None:
    fake.push_image("team/app", "latest")
    index()
    costs = []
    for count in (0, 1, 3, 50):
        for number in range(ProtectedMove.objects.count(), count):
            moved(registry, f"v{number}")
        look(as_maria, address)
        with CaptureQueriesContext(connection) as queries:
            page = look(as_maria, address)
        assert len(page.tree.css(".protected-moves li")) == min(count, MAX_SHOWN)
        costs.append(len(queries))
    assert len(set(costs)) == 1
    assert "30 more follow when these are seen to." in notice(page)


# Of one repository, by those who maintain it


@pytest.fixture
def own(registry: Registry, fake: FakeRegistry, index: Index) -> str:
    """The page of a repository that Jonas maintains; another one he only reads."""
    fake.push_image("team/app", "latest", "v1")
    fake.push_image("team/web", "v1")
    index()
    return "/registries/default/team/app/-/protection/"


def test_a_maintainer_protects_tags_of_his_repository_alone(
    own: str, registry: Registry, as_jonas: Client, jonas: User
) -> None:
    let(jonas, Role.MAINTAINER, "team/app")
    wide, elsewhere = rule(registry, "latest"), rule(registry, "v*", "other/*")
    page = look(as_jonas, "/registries/default/team/app/")
    assert page.links()["Protect tags"] == own
    send(as_jonas, own, tag_pattern="v*", repository_pattern="*", note="mine")
    added = TagRule.objects.latest("pk")
    assert (added.repository_pattern, added.created_by) == ("team/app", "jonas"), "whatever else the form says"
    page = look(as_jonas, own)
    assert "Tags like team/app:v* are protected now." in page.text("main")
    rows = [[words(cell) for cell in row.css("th, td")][:3] for row in page.tree.css(".rules tbody tr")]
    assert rows == [["latest", "all", "1 tag"], ["v* mine", "team/app", "1 tag"]], "what is about others is not told"
    assert page.attributes(".rules button", "value") == [str(added.pk)]
    for other in (wide, elsewhere):
        send(as_jonas, own, remove=str(other.pk))
    assert TagRule.objects.count() == 3
    send(as_jonas, own, remove=str(added.pk))
    assert set(TagRule.objects.all()) == {wide, elsewhere}
    audited = AuditEntry.objects.filter(action="rule", user="jonas").values_list("user", "code", "repository", "tags")
    assert list(audited.order_by("pk")) == [
        ("jonas", "rule-added", "team/app", ["v*"]),
        ("jonas", "rule-removed", "team/app", ["v*"]),
    ]


def test_who_only_reads_protects_nothing(own: str, as_jonas: Client) -> None:
    assert "Protect tags" not in look(as_jonas, "/registries/default/team/app/").links()
    assert as_jonas.get(own).status_code == 403
    assert as_jonas.post(own, {"tag_pattern": "v*"}).status_code == 403


def test_a_rule_of_a_repository_is_refused_at_its_field(own: str, as_maria: Client) -> None:
    page = send(as_maria, own, 422, tag_pattern="a b", note="")
    assert "No tag can be like that" in page.text("form.settings-form")
    assert not TagRule.objects.exists()


def test_rules_of_a_repository_ask_for_the_password_again(own: str, as_maria: Client) -> None:
    session = as_maria.session
    session["confirmed_at"] = 0
    session.save()
    answer = as_maria.post(own, {"tag_pattern": "v*", "note": ""})
    assert answer.headers["Location"].startswith("/account/confirm/?next=%2Fregistries")
    assert not TagRule.objects.exists()
