"""The activity: what happened, in one stream, to those who may know of it."""

from __future__ import annotations

import csv
import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from dashboard.models import AuditEntry, IndexedRepository, NotificationState, PullDay, Registry, RegistryEvent, User
from dashboard.services import connections
from tests.conftest import PASSWORD
from tests.fake_registry import FakeRegistry
from tests.support.token_server import TokenUser
from tests.unit.services.activity.making import NOON, digest, done, hours, notified, pulled

from .page import Page, look, send, words

HOME = "/registries/default/"
ACTIVITY = f"{HOME}-/activity/"
OF_APP = f"{HOME}team/app/-/activity/"


@pytest.fixture
def version() -> str:
    """One version: the activity is ours."""
    return "3.1"


@pytest.fixture(autouse=True)
def notifying(registry: Registry) -> None:
    """The registry notifies; nobody has signed in that a test did not sign in."""
    NotificationState.objects.create(registry=registry, began_at=NOON, last_at=NOON)


def rows(page: Page) -> list[str]:
    """Who did what where, row by row, without the exact times."""
    return [
        " ".join(words(cell) for cell in row.css("td.f-who, th, td.f-where > .names, td.f-end") if words(cell))
        for row in page.tree.css("table.activity tbody tr:not(.group)")
    ]


def some_of_each(registry: Registry) -> None:
    done("", "sign-in", at=hours(1), repository="", user="jonas", address="10.9.9.9")
    done("default", "rule", at=hours(2), user="admin", repository="**", tags=["v*"], code="rule-added")
    done("default", "move", at=hours(3), tags=["1.0"], digest_before=digest(1), digest_after=digest(2))
    done("default", "restore", at=hours(4), tags=["0.9"], digest_after=digest(3))
    done("default", at=hours(5), tags=["0.8"], digest_before=digest(4), outcome="refused", code="protected")
    done("default", at=hours(6), tags=["0.7"], digest_before=digest(5), bytes=2048, code="removed")
    notified(registry, at=hours(7), tag="2.0", digest=digest(6))
    notified(registry, "delete", at=hours(8), repository="team/web", tag="3.0", digest="", actor="")
    pulled(registry, at=hours(9), repository="team/web", tag="3.1", digest=digest(7), gets=14, heads=2)


LINES = [
    "— pulled 14 times on 3 May team/web 3.1 000000000000 And looked up 2 times.",
    "— deleted team/web 3.0",
    "ci-runner pushed team/app 2.0 000000000000",
    "maria deleted team/app 0.7 000000000000 frees 2.0 KiB",
    "maria tried to delete team/app 0.8 000000000000 refused A rule protects it.",
    "maria restored team/app 0.9 000000000000",
    "maria pointed elsewhere team/app 1.0 000000000000 → to 000000000000",
    "admin added a rule ** v*",
    "jonas signed in",
]


# One stream


@override_settings(TIME_ZONE="UTC")
def test_everything_stands_in_one_stream_the_newest_first(as_jonas: Client, registry: Registry) -> None:
    AuditEntry.objects.all().delete()
    some_of_each(registry)
    page = look(as_jonas, ACTIVITY)
    assert page.title == "Activity · registry.test:5000 · Strata"
    assert rows(page) == LINES
    assert page.texts("tr.group") == ["3 May 2026"]
    newest = page.node("td.f-when time")
    assert words(newest) == "21:00"
    assert str(newest.attributes["title"]).endswith("ago: 3 May 2026, 21:00:00 UTC")
    assert page.links(".main-nav a")["Activity"] == ACTIVITY
    assert page.texts(".main-nav [aria-current]") == ["Activity"]


def test_a_deletion_tells_what_went_how_and_what_the_registry_answered(as_jonas: Client, registry: Registry) -> None:
    answers = ["DELETE manifest: 202", "GET tags: 404"]
    done(
        "default", tags=["a", "b", "c", "d", "e", "f"], digest_before=digest(0xABC << 240), acted_as="deployer",
        method="remove", answers=answers, reason="was broken", bytes=1, address="10.1.2.3",
    )  # fmt: skip
    page = look(as_jonas, f"{ACTIVITY}?who=maria")
    assert rows(page) == ["maria deleted was broken team/app a, b, c, d +2 0abc00000000 frees 1 B"]
    assert page.attributes("td.f-where button.copy", "data-copy") == [digest(0xABC << 240)]
    fold = dict(zip(page.texts("main details dt"), page.texts("main details dd"), strict=True))
    assert fold == {
        "Method": "the name and what it names", "Registry user": "deployer",
        "The registry's answers": "DELETE manifest: 202 GET tags: 404",
    }  # fmt: skip


def test_what_was_refused_and_what_failed_stand_out_in_words(as_jonas: Client, registry: Registry) -> None:
    done("default", outcome="refused", code="moved", tags=["a"])
    done("default", outcome="failed", code="something-new", tags=["b"])
    page = look(as_jonas, f"{ACTIVITY}?what=failed")
    assert rows(page) == [
        "maria tried to delete team/app b failed something-new",
        "maria tried to delete team/app a refused The tag had moved since it was planned.",
    ]
    assert page.texts(".badge.danger") == ["failed"]
    assert page.texts(".badge.warning") == ["refused"]


def test_one_deletion_of_many_is_one_line_with_its_lines_inside(as_jonas: Client, registry: Registry) -> None:
    batch = uuid.uuid4()
    for number in range(60):
        done(
            "default",
            at=hours(number / 1000),
            tags=[f"pr-{number}"],
            digest_before=digest(number),
            batch=batch,
            bytes=1,
        )
    done("default", at=hours(1), tags=["pr-60"], batch=batch, outcome="refused", code="moved")
    page = look(as_jonas, f"{ACTIVITY}?who=maria")
    assert rows(page) == ["maria deleted 60 of 61 tags team/app 1 not done frees 60 B"]
    assert page.text("main details summary") == "61 lines"
    inside = page.texts("ul.inside > li")
    assert len(inside) == 51
    assert "tried to delete pr-60 refused The tag had moved" in inside[0]
    assert "deleted pr-59" in inside[1]
    assert inside[-1] == "and 11 more, in the file below"


@pytest.mark.parametrize(
    ("outcomes", "action", "tags", "said"),
    [
        (["done"] * 3, "delete", ["t"], "deleted 3 tags"),
        (["failed"] * 2, "delete", ["t"], "tried to delete 2 tags"),
        (["done"] * 2, "restore", ["t"], "restored 2 tags"),
        (["done", "refused"], "restore", ["t"], "restored 1 of 2 tags"),
        (["done"] * 2, "delete", [], "deleted 2 images"),
        (["refused"] * 2, "delete", [], "tried to delete 2 images"),
    ],
    ids=["deleted", "failed", "restored", "some", "untagged", "untagged-refused"],
)
def test_the_line_of_many_says_what_became_of_them(
    as_jonas: Client, registry: Registry, outcomes: list[str], action: str, tags: list[str], said: str
) -> None:
    batch = uuid.uuid4()
    for outcome in outcomes:
        done("default", action, tags=tags, batch=batch, outcome=outcome)
    assert look(as_jonas, f"{ACTIVITY}?who=maria").texts("tbody tr:not(.group) th") == [said]


def test_a_push_of_an_index_is_one_line_and_pushed_names_lead_where_they_are(
    as_jonas: Client, registry: Registry, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    image = fake.push_image("team/app", "1.0")
    index()
    for second in range(3):
        at = NOON + dt.timedelta(seconds=second)
        tag, held = ("1.0", image.digest) if second == 2 else ("", digest(second))
        notified(registry, at=at, tag=tag, digest=held)
    notified(registry, at=hours(1), tag="gone", digest=digest(9))
    notified(registry, at=hours(2), repository="gone/away", actor="x")
    page = look(as_jonas, f"{ACTIVITY}?what=pushes")
    assert page.texts("main details summary") == ["Details", "Details", "3 manifests"]
    assert page.texts("ul.inside > li")[1:] == ["12:00 pushed by digest 000000000000"] * 2
    assert page.links("td.f-where > .names a") == {
        "team/app": f"{HOME}team/app/", "1.0": f"{HOME}team/app/-/tags/1.0/",
        image.digest[7:19]: f"{HOME}team/app/-/manifests/{image.digest}/",
    }, "what is not in the index leads nowhere"  # fmt: skip


# Filters and pages


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("who=CI-", [2]),
        ("who=nobody-like-that", []),
        ("what=pushes", [2]),
        ("what=pulls", [0]),
        ("what=deletions", [1, 3, 4]),
        ("what=restores", [5]),
        ("what=moves", [6]),
        ("what=protection", [7]),
        ("what=sign-ins", [8]),
        ("what=failed", [4]),
        ("repository=TEAM/W", [0, 1]),
        ("repository=team/&what=deletions&who=mar", [3, 4]),
        ("from=2026-05-03&to=2026-05-03", [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("from=2026-05-04", []),
        ("to=2026-05-02", []),
        ("what=nonsense&from=yesterday&to=2026-99-99&before=x", [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("from=0001-01-01&to=9999-12-31", [0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)  # fmt: skip
def test_each_filter_leaves_what_it_names(as_jonas: Client, registry: Registry, query: str, shown: list[int]) -> None:
    AuditEntry.objects.all().delete()
    some_of_each(registry)
    page = look(as_jonas, f"{ACTIVITY}?{query}")
    assert rows(page) == [LINES[number] for number in shown]
    if not shown:
        assert "Nothing that happened is like that" in page.text("#list")
        assert page.links("#list a") == {"Clear the filter": ACTIVITY}


def test_a_day_is_one_of_the_zone_of_the_pages_times(as_jonas: Client, registry: Registry) -> None:
    done("default", at=dt.datetime(2026, 5, 3, 22, 30, tzinfo=dt.UTC), tags=["late"])
    with override_settings(TIME_ZONE="Europe/Berlin"):
        page = look(as_jonas, f"{ACTIVITY}?from=2026-05-04&to=2026-05-04")
        assert page.texts("tr.group") == ["4 May 2026"]
        assert page.texts("td.f-when") == ["00:30"]
        assert not rows(look(as_jonas, f"{ACTIVITY}?from=2026-05-03&to=2026-05-03"))


def test_the_filter_stands_in_the_address_and_in_the_form(as_jonas: Client, registry: Registry) -> None:
    for number in range(60):
        done("default", at=hours(number), tags=[f"t{number}"])
    asked = "who=mar&what=deletions&repository=team&from=2026-05-01&to=2026-06-01"
    page = look(as_jonas, f"{ACTIVITY}?{asked}")
    names, values = (page.attributes("form.filters input", each) for each in ("name", "value"))
    fields = dict(zip(names, values, strict=True))
    assert fields == {"who": "mar", "repository": "team", "from": "2026-05-01", "to": "2026-06-01"}
    assert page.texts("#f-what option[selected]") == ["Deletions"]
    (older,) = page.links(".pagination a").values()
    assert older.startswith(f"{ACTIVITY}?who=mar&what=deletions&repository=team&from=2026-05-01&to=2026-06-01&before=")
    second = look(as_jonas, older)
    assert len(rows(second)) == 10
    assert second.links(".pagination a") == {"Newest": f"{ACTIVITY}?{asked}"}
    assert second.links(".exports a")["CSV"] == f"{ACTIVITY}?{asked}&format=csv"
    alone = look(as_jonas, f"{ACTIVITY}?{asked}", HX_Request="true")
    assert alone.html.lstrip().startswith('<div id="list"')


def test_older_ends_where_there_is_nothing_older(as_jonas: Client, registry: Registry) -> None:
    page = look(as_jonas, f"{ACTIVITY}?before=1000-1-1")
    assert "Nothing happened before that" in page.text("#list")
    assert page.links("#list .state a") == {"To the newest": ACTIVITY}


# One repository


def test_a_repositorys_page_holds_its_own_and_is_a_tab(
    as_jonas: Client, registry: Registry, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    fake.push_image("team/app", "1.0")
    index()
    some_of_each(registry)
    page = look(as_jonas, f"{OF_APP}?repository=elsewhere")
    assert page.title == "Activity · team/app · registry.test:5000 · Strata"
    assert rows(page) == [line.replace("team/app ", "") for line in LINES[2:7]]
    assert page.links(".index-tabs a") == {
        "Tags 1": f"{HOME}team/app/", "Untagged": f"{HOME}team/app/-/untagged/",
        "History": f"{HOME}team/app/-/history/", "Activity": OF_APP,
    }  # fmt: skip
    assert page.texts(".index-tabs [aria-current]") == ["Activity"]
    assert not page.has("#f-repository")
    assert "Sign-ins" not in page.texts("#f-what option")


def test_a_repository_that_is_gone_keeps_its_activity_and_a_name_that_never_was_is_not_found(
    as_jonas: Client, registry: Registry, fake: FakeRegistry
) -> None:
    done("default", tags=["1.0"])
    assert rows(look(as_jonas, OF_APP)) == ["maria deleted 1.0"]
    assert not rows(look(as_jonas, f"{OF_APP}?who=jonas"))
    look(as_jonas, f"{HOME}no/such/-/activity/", 404)
    look(as_jonas, f"{HOME}Upper/-/activity/", 404)


# Nothing yet


def test_nothing_has_happened_and_the_registry_notifies(as_jonas: Client, registry: Registry) -> None:
    AuditEntry.objects.all().delete()
    page = look(as_jonas, ACTIVITY)
    assert page.text("main h2") == "Nothing has happened yet"
    assert "notifications arrive here" in page.text("main .state")
    assert not page.has("main .state a")


def test_where_no_notifications_arrive_that_is_said_with_the_way_to_them(as_jonas: Client, registry: Registry) -> None:
    NotificationState.objects.all().delete()
    AuditEntry.objects.all().delete()
    page = look(as_jonas, ACTIVITY)
    assert "has not notified this dashboard of anything" in page.text("main .state")
    assert page.links("main .state a") == {"See how to switch notifications on": f"{HOME}-/status/"}
    done("default")
    page = look(as_jonas, ACTIVITY)
    assert "Pushes and pulls are not known." in page.text("main .notice.info")
    assert page.links("main .notice.info a") == {"See how to switch notifications on": f"{HOME}-/status/"}


# Who sees what


def test_addresses_and_other_peoples_sign_ins_are_for_administrators(
    as_jonas: Client, as_admin: Client, registry: Registry
) -> None:
    AuditEntry.objects.all().delete()
    done("", "sign-in", repository="", user="jonas", address="10.9.9.1")
    done("", "sign-in", repository="", user="maria", address="10.9.9.2")
    done("default", tags=["1.0"], address="10.9.9.3")
    notified(registry, address="10.9.9.4")
    for file_format in ("", "csv", "json"):
        mine = as_jonas.get(ACTIVITY, {"format": file_format})
        text = (mine.getvalue() if file_format else mine.content).decode()
        assert "10.9.9." not in text
        theirs = as_admin.get(ACTIVITY, {"format": file_format})
        text = (theirs.getvalue() if file_format else theirs.content).decode()
        assert [f"10.9.9.{n}" in text for n in range(1, 5)] == [True] * 4
    assert [row for row in rows(look(as_jonas, ACTIVITY)) if "signed in" in row] == ["jonas signed in"]
    signed_in = rows(look(as_admin, f"{ACTIVITY}?what=sign-ins"))
    assert signed_in == ["maria signed in", "jonas signed in"]


@pytest.fixture
def closed(registry: Registry) -> Iterator[FakeRegistry]:
    """A registry that decides repository by repository: everybody acts as robot, who may pull team/ alone."""
    robot = TokenUser("p", {"repository:team/*": frozenset({"pull"}), "registry:catalog": frozenset({"*"})})
    registry.from_environment, registry.default_username = False, "robot"
    registry.set_default_password("p")
    registry.save()
    with (
        FakeRegistry("3.1", token_users={"robot": robot}) as fake,
        connections.clients_made_by(lambda row: fake.client(name=row.public_host)),
    ):
        for name in ("team/app", "secret/app"):
            fake.push_image(name, "1.0")
            key = name.encode()
            IndexedRepository.objects.create(registry=registry, name=name, sort_key=key, tree_key=key, read_at=NOON)
        yield fake


@pytest.mark.usefixtures("closed")
def test_of_a_repository_that_one_may_not_read_nothing_is_shown(
    as_jonas: Client, as_admin: Client, registry: Registry
) -> None:
    AuditEntry.objects.all().delete()
    for number, name in enumerate(("team/app", "secret/app", "vanished/app")):
        done("default", at=hours(number), repository=name, tags=[f"{name[:4]}-tag"])
        notified(registry, at=hours(number), repository=name)
        pulled(registry, at=hours(number), repository=name)
    mine, theirs = look(as_jonas, ACTIVITY), look(as_admin, ACTIVITY)
    beginnings = {row.split("team/")[0] for row in rows(mine)}
    assert beginnings == {"maria deleted ", "ci-runner pushed ", "— pulled once on 3 May "}
    assert "secret" not in mine.html
    assert "vanished" not in mine.html
    assert len(rows(theirs)) == 6, "what vanished cannot be asked about: administrators see it"
    assert "secret" not in theirs.html
    assert "vanished/app" in theirs.html
    for query in ("who=maria&repository=secret", "format=csv", "format=json", "what=failed"):
        answer = as_jonas.get(f"{ACTIVITY}?{query}")
        text = (answer.getvalue() if answer.streaming else answer.content).decode()
        assert "secret/app" not in text
        assert "secr-tag" not in text
    for address in ("secret/app/-/activity/", "secret/app/-/activity/?format=json", "vanished/app/-/activity/"):
        assert "-tag" not in look(as_jonas, f"{HOME}{address}", 403).html
    assert len(rows(look(as_jonas, OF_APP))) == 3


@pytest.mark.django_db
def test_nobody_else_sees_it(registry: Registry) -> None:
    assert Client().get(ACTIVITY).status_code == 302


# Signing in


def test_signing_in_is_recorded_with_the_address_and_never_the_password(registry: Registry, jonas: User) -> None:
    AuditEntry.objects.all().delete()
    browser = Client(REMOTE_ADDR="10.4.5.6")
    send(browser, "/accounts/login/", 422, username="jonas", password="wrong wrong")
    send(browser, "/accounts/login/", username="jonas", password=PASSWORD)
    entries = list(AuditEntry.objects.order_by("pk"))
    assert [(e.action, e.outcome, e.user, e.address, e.registry) for e in entries] == [
        ("sign-in", outcome, "jonas", "10.4.5.6", "") for outcome in ("refused", "done")
    ]
    kept = json.dumps([str(value) for entry in entries for value in vars(entry).values()])
    assert PASSWORD not in kept
    assert "wrong wrong" not in kept


# Hostile texts


def test_hostile_texts_are_shown_as_texts(as_admin: Client, registry: Registry) -> None:
    evil = "<script>alert(1)</script>"
    turned = "a\N{RIGHT-TO-LEFT OVERRIDE}b"
    notified(registry, actor=evil + "x" * 200, user_agent=f"<img src=x onerror=alert(1)>{turned}", address=evil)
    done(
        "default", user=evil, tags=[evil, turned], code="<b>", method="<i>", reason=evil, answers=[evil, 7],
        acted_as=evil, digest_before=f"sha256:{evil}", repository=evil, address=evil,
    )  # fmt: skip
    page = look(as_admin, ACTIVITY)
    assert not page.tree.css("main script, main img, main i, td b, th b")
    assert evil in page.text("main")
    assert turned not in page.html
    assert evil not in page.html
    assert not [href for href in page.attributes("main a", "href") if "script" in href]


def test_no_cell_of_the_file_is_a_formula(as_admin: Client, registry: Registry) -> None:
    AuditEntry.objects.all().delete()
    evil = '=HYPERLINK("http://evil.test")'
    notified(registry, actor=evil, user_agent="@SUM(A1)", address="+1")
    done("default", user="-2+3", tags=["=1+1"], reason="\t=1", answers=["=2"], acted_as=evil, code="=3", method="@x")
    records = list(csv.DictReader(as_admin.get(f"{ACTIVITY}?format=csv").getvalue().decode().splitlines()))
    assert len(records) == 2
    cells = [cell for record in records for cell in record.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert "'" + evil in cells


# Files


def test_the_file_holds_every_row_of_the_filter_for_itself(as_jonas: Client, registry: Registry) -> None:
    batch = uuid.uuid4()
    for number in range(60):
        done(
            "default", at=hours(number), tags=[f"pr-{number}", "b"], batch=batch, digest_before=digest(number), bytes=5
        )
    notified(registry, at=hours(100), tag="2.0", digest=digest(1))
    pulled(registry, at=hours(101), gets=2, heads=3)
    pulled(registry, at=hours(101), tag="", gets=4)
    answer = as_jonas.get(f"{ACTIVITY}?format=csv&before=1-1-1&repository=team/app")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="default-activity.csv"'
    records = list(csv.DictReader(answer.getvalue().decode().splitlines()))
    assert len(records) == 63
    assert [(record["source"], record["what"], record["pulls"]) for record in records[:3]] == [
        ("registry", "pull", "4"), ("registry", "pull", "2"), ("registry", "push", ""),
    ]  # fmt: skip
    first = json.loads(as_jonas.get(f"{OF_APP}?format=json&what=deletions").getvalue())[0]
    assert first == {
        "at": "2026-05-05T23:00:00+00:00", "source": "dashboard", "what": "delete", "outcome": "done", "who": "maria",
        "registry_user": "", "repository": "team/app", "tags": "pr-59 b", "digest_before": digest(59),
        "digest_after": "", "method": "", "code": "", "answers": "", "bytes": 5, "reason": "", "batch": str(batch),
        "pulls": None, "look_ups": None, "address": "", "client": "",
    }  # fmt: skip


def test_a_file_is_bounded(as_jonas: Client, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.services.activity.stream.MAX_EXPORTED", 4)
    some_of_each(registry)
    records = json.loads(as_jonas.get(f"{ACTIVITY}?format=json").getvalue())
    assert [record["what"] for record in records] == ["sign-in", "pull", "delete", "push"]


# Cost


@pytest.mark.parametrize("address", [ACTIVITY, OF_APP])
def test_queries_and_requests_do_not_grow_with_the_rows(
    as_jonas: Client, registry: Registry, fake: FakeRegistry, index: Callable[[], None], address: str
) -> None:
    fake.push_image("team/app", "1.0")
    index()
    costs = []
    for count in (1, 3, 50):
        for model in (AuditEntry, RegistryEvent, PullDay):
            model.objects.all().delete()
        for number in range(count):
            batch = uuid.uuid4()
            for _ in range(2):
                done("default", at=hours(number), tags=["1.0"], batch=batch, digest_before=digest(number))
            notified(registry, at=hours(number), digest=digest(number))
            pulled(registry, at=hours(number), digest=digest(number))
        look(as_jonas, address)
        fake.forget_requests()
        with CaptureQueriesContext(connection) as queries:
            assert len(rows(look(as_jonas, address))) == min(3 * count, 50)
        costs.append((len(queries), len(fake.requests)))
    assert costs[0] == costs[1] == costs[2]
    assert costs[0][1] == 0, "the gate's answer is remembered; the stream is ours"
