"""The page that points a tag at a digest: what it shows before, what it refuses, what it says after."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ

from dashboard.models import AuditEntry, Notification, Registry, TagPeriod
from dashboard.services import connections, pointing, protection
from dashboard.services.audit import Actor
from tests.fake_registry import FakeRegistry
from tests.support.images import Pushed
from tests.support.token_server import TokenUser

from .page import Page, look, send, words

APP = "/registries/default/team/app/"
POINT = f"{APP}-/point/"
NOWHERE = "sha256:" + "0" * 64
Index = Callable[[], None]


def address(digest: str, tag: str = "") -> str:
    return f"{POINT}?{urlencode({'tag': tag, 'digest': digest} if tag else {'digest': digest})}"


def short(image: Pushed) -> str:
    return image.digest[7:19]


def fields(page: Page, **typed: str) -> dict[str, str]:
    """What the browser would send."""
    hidden = {
        str(field.attributes["name"]): str(field.attributes.get("value") or "")
        for field in page.tree.css("form.confirm input[type=hidden]")
    }
    return hidden | typed


def sides(page: Page) -> dict[str, str]:
    """The columns by their heading."""
    return {words(side.css_first("h3")): words(side) for side in page.tree.css(".side:has(h3)")}


@pytest.fixture
def two(registry: Registry, fake: FakeRegistry, index: Index) -> tuple[Pushed, Pushed]:
    """What latest named, and what it names; both are of several layers."""
    old = fake.push_image("team/app", "latest", layers=[b"base" * 3000, b"old" * 1000], config={"variant": "v8"})
    index()
    new = fake.push_image("team/app", "latest", layers=[b"base" * 3000, b"new" * 500], platform="linux/arm64")
    index()
    return old, new


# Before


def test_now_and_then_stand_side_by_side_and_the_button_says_what_it_does(
    as_maria: Client, registry: Registry, fake: FakeRegistry, two: tuple[Pushed, Pushed]
) -> None:
    old, new = two
    Notification.objects.create(
        registry=registry, event_id="1", received_at=timezone.now(),
        payload={
            "action": "push", "repository": "team/app", "tag": "latest", "digest": new.digest, "actor": "<i>ci</i>",
        },
    )  # fmt: skip
    fake.forget_requests()
    page = look(as_maria, address(old.digest, "latest"))
    name = f"Point latest back to {short(old)}"
    assert page.text("h1") == page.text("#confirm-h") == page.text("form.confirm button") == name
    assert page.title == f"{name} · team/app · Strata"
    columns = sides(page)
    assert list(columns) == ["Now", "Then"]
    assert short(new) in columns["Now"]
    assert "linux arm64" in columns["Now"]
    assert "by <i>ci</i>" in columns["Now"]
    assert "still" in columns["Now"]
    assert short(old) in columns["Then"]
    assert "linux amd64" in columns["Then"]
    assert "still" not in columns["Then"]
    bars = [[rect.attributes["class"] for rect in side.css(".strata rect")] for side in page.tree.css(".side")]
    assert bars == [["seg shared", "seg own"], ["seg shared", "seg own"]], "the base is in both"
    labels = [text.replace("\N{NO-BREAK SPACE}", " ") for text in page.attributes(".side .strata", "aria-label")]
    assert labels == ["Layers: 1.5 KiB only here, 11.7 KiB in both", "Layers: 2.9 KiB only here, 11.7 KiB in both"]
    assert fields(page).items() >= {"digest": old.digest, "tag": "latest", "expected": new.digest}.items()
    assert [r.method for r in fake.requests if r.method not in ("GET", "HEAD")] == [], "looking changes nothing"
    assert not AuditEntry.objects.exclude(action="sign-in").exists()


def test_which_tags_pointed_to_it_and_when(
    as_maria: Client, registry: Registry, fake: FakeRegistry, two: tuple[Pushed, Pushed]
) -> None:
    old, _ = two
    noon = dt.datetime(2026, 5, 3, 12, tzinfo=dt.UTC)
    TagPeriod.objects.create(
        registry=registry, repository="team/app", tag="1.0", digest=old.digest, began_at=noon,
        ended_at=noon + dt.timedelta(days=1), learnt="event",
    )  # fmt: skip
    page = look(as_maria, address(old.digest))
    assert page.texts("tbody th .name") == ["latest", "1.0"]
    assert page.attributes("tbody tr:last-child time", "title") == [
        "3 May 2026, 12:00:00 UTC", "4 May 2026, 12:00:00 UTC",
    ]  # fmt: skip
    assert "or before" in words(page.row("latest"))
    assert "or before" not in words(page.row("1.0"))


def test_a_new_tag_is_typed_and_added(
    as_maria: Client, registry: Registry, fake: FakeRegistry, two: tuple[Pushed, Pushed]
) -> None:
    old, new = two
    page = look(as_maria, address(old.digest))
    assert page.text("h1") == f"Add a tag to {short(old)}"
    assert page.text("form.confirm button") == "Add this tag"
    assert not page.has(".side h3"), "nothing to compare it with yet"
    done = send(as_maria, POINT, 302, **fields(page, tag=" v2 "))
    assert done.headers["Location"] == f"{APP}-/tags/v2/"
    assert f"The tag v2 was added: it points at {short(old)}." in look(as_maria, done.headers["Location"]).text("main")
    assert fake.tags("team/app") == {"latest": new.digest, "v2": old.digest}


def test_a_tag_that_the_address_names_and_that_is_not_there_is_added_by_name(
    as_maria: Client, fake: FakeRegistry, two: tuple[Pushed, Pushed]
) -> None:
    page = look(as_maria, address(two[0].digest, "v2"))
    assert page.text("form.confirm button") == "Add the tag v2"
    send(as_maria, page.attributes("form.confirm", "action")[0], 302, **fields(page))
    assert fake.tags("team/app")["v2"] == two[0].digest


def test_a_typed_tag_that_exists_is_never_moved_silently(
    as_maria: Client, fake: FakeRegistry, two: tuple[Pushed, Pushed]
) -> None:
    old, new = two
    image = fake.push_image("team/app", "v2", layers=[b"third"])
    page = look(as_maria, address(old.digest))
    asked = send(as_maria, POINT, 409, **fields(page, tag="v2"))
    assert "There is a tag v2 already." in asked.text(".columns .notice")
    assert asked.text("form.confirm button") == f"Point v2 to {short(old)}"
    assert list(sides(asked)) == ["Now", "Afterwards"]
    assert fake.tags("team/app")["v2"] == image.digest
    done = send(as_maria, asked.attributes("form.confirm", "action")[0], 302, **fields(asked))
    assert fake.tags("team/app") == {"latest": new.digest, "v2": old.digest}
    told = look(as_maria, done.headers["Location"])
    assert f"v2 points at {short(old)} now; before it was {short(image)} ." in told.text("main")
    assert told.links("main .notice.success a") == {short(image): f"{APP}-/manifests/{image.digest}/"}


def test_another_tag_can_be_looked_at_instead(as_maria: Client, fake: FakeRegistry, two: tuple[Pushed, Pushed]) -> None:
    page = look(as_maria, address(two[0].digest, "latest"))
    form = page.node(".another-tag")
    assert form.attributes["action"] == POINT
    assert [node.attributes["name"] for node in form.css("input")] == ["digest", "tag"]
    other = look(as_maria, address(two[0].digest, "stable"))
    assert other.text("form.confirm button") == "Add the tag stable"


@pytest.mark.parametrize("typed", ["a b", "-x", "x" * 129, "<script>", "a:b"])
def test_what_is_no_tag_is_said_at_the_field(
    as_maria: Client, fake: FakeRegistry, two: tuple[Pushed, Pushed], typed: str
) -> None:
    page = look(as_maria, address(two[0].digest))
    for answer in (
        send(as_maria, POINT, 422, **fields(page, tag=typed)),
        look(as_maria, address(two[0].digest, typed), 422),
    ):
        assert f"“{typed}” is not a tag" in answer.text("#point-tag-error")
        assert answer.attributes("#point-tag", "value") == [typed]
    assert "Name the tag." in send(as_maria, POINT, 422, **fields(page, tag=" ")).text("#point-tag-error")
    assert fake.tags("team/app").keys() == {"latest"}


def test_a_tag_that_was_deleted_is_put_back(as_maria: Client, fake: FakeRegistry, two: tuple[Pushed, Pushed]) -> None:
    old, _ = two
    del fake.state.repository("team/app").tags["latest"]
    page = look(as_maria, address(old.digest, "latest"))
    assert page.text("form.confirm button") == f"Put latest back on {short(old)}"
    send(as_maria, POINT, 302, **fields(page))
    assert fake.tags("team/app") == {"latest": old.digest}


# What cannot be done is said before the click


def disabled(page: Page) -> str:
    """Why the button does nothing."""
    assert page.has("form.confirm button[disabled]")
    return page.text("#why-not")


def test_a_lost_layer_is_named_before_the_click_and_after_it(
    as_maria: Client, fake: FakeRegistry, two: tuple[Pushed, Pushed]
) -> None:
    old, new = two
    before = look(as_maria, address(old.digest, "latest"))
    fake.state.repository("team/app").layers.discard(old.layers[1])
    page = look(as_maria, address(old.digest, "latest"))
    assert "something of it is gone from the repository" in disabled(page)
    assert page.texts(".digests li") == [old.layers[1]]
    refused = send(as_maria, POINT, 409, **fields(before))
    assert f"{old.layers[1][7:19]} is gone. Nothing was changed." in refused.text(".columns .notice")
    assert fake.tags("team/app") == {"latest": new.digest}


def test_a_rule_is_named_before_the_click_and_after_it(
    as_maria: Client, registry: Registry, fake: FakeRegistry, two: tuple[Pushed, Pushed]
) -> None:
    old, new = two
    before = look(as_maria, address(old.digest, "latest"))
    protection.add(registry=registry, tag_pattern="l*", repository_pattern="*", note="", actor=Actor("admin"))
    assert disabled(look(as_maria, address(old.digest, "latest"))) == (
        "The rule l* protects latest: it is not moved from here."
    )
    refused = send(as_maria, POINT, 409, **fields(before))
    assert "The rule l* protects it. Nothing was changed." in refused.text(".columns .notice")
    assert fake.tags("team/app") == {"latest": new.digest}
    new_one = look(as_maria, address(old.digest, "later"))
    send(as_maria, POINT, 302, **fields(new_one))
    assert fake.tags("team/app")["later"] == old.digest, "what is not there yet is not moved"


def test_a_tag_that_points_there_already(as_maria: Client, fake: FakeRegistry, two: tuple[Pushed, Pushed]) -> None:
    assert disabled(look(as_maria, address(two[1].digest, "latest"))) == "latest points at it already."


def test_what_is_put_back_first_is_said(as_maria: Client, registry: Registry, fake: FakeRegistry, index: Index) -> None:
    children = [
        fake.push_image("team/app", platform=f"linux/{arch}", layers=[arch.encode()]) for arch in ("amd64", "arm64")
    ]
    multi = fake.push_index("team/app", "multi", children=children)
    index()
    newer = fake.push_image("team/app", "multi", layers=[b"newer"])
    index()
    fake.remove_manifest("team/app", multi.digest)
    fake.remove_manifest("team/app", children[1].digest)
    page = look(as_maria, address(multi.digest, "multi"))
    assert "The repository no longer holds 2 manifests of it." in page.text(".columns .notice")
    assert "linux amd64 arm64" in sides(page)["Then"]
    send(as_maria, POINT, 302, **fields(page))
    assert fake.tags("team/app") == {"multi": multi.digest}
    assert fake.has_manifest("team/app", children[1].digest)
    assert newer.digest != multi.digest


# The race


@pytest.mark.parametrize("meanwhile", ["pushed", "deleted"])
def test_what_moved_between_page_and_click_is_not_overwritten(
    as_maria: Client, fake: FakeRegistry, two: tuple[Pushed, Pushed], meanwhile: str
) -> None:
    old, _ = two
    page = look(as_maria, address(old.digest, "latest"))
    if meanwhile == "pushed":
        newest = fake.push_image("team/app", "latest", layers=[b"newest"])
        expected, said = {"latest": newest.digest}, "latest was pushed again since you looked."
    else:
        del fake.state.repository("team/app").tags["latest"]
        expected, said = {}, "latest was deleted since you looked."
    refused = send(as_maria, POINT, 409, **fields(page))
    assert said in refused.text(".columns .notice")
    assert fake.tags("team/app") == expected
    assert fields(refused)["expected"] == expected.get("latest", ""), "asked again, of what is now"
    entry = AuditEntry.objects.exclude(action="sign-in").get()
    assert (entry.user, entry.outcome, entry.code, entry.tags) == ("maria", "refused", "moved", ["latest"])


# Who may, what the registry refuses


def test_who_only_looks_has_no_button_and_no_page(
    as_jonas: Client, fake: FakeRegistry, two: tuple[Pushed, Pushed]
) -> None:
    assert "Add a tag" not in look(as_jonas, f"{APP}-/tags/latest/").links()
    assert as_jonas.get(address(two[0].digest, "latest")).status_code == 403
    assert (
        as_jonas.post(POINT, {"digest": two[0].digest, "tag": "latest", "expected": two[1].digest}).status_code == 403
    )
    assert fake.tags("team/app") == {"latest": two[1].digest}


def test_the_image_page_leads_to_it(as_maria: Client, fake: FakeRegistry, two: tuple[Pushed, Pushed]) -> None:
    for page in (f"{APP}-/tags/latest/", f"{APP}-/manifests/{two[1].digest}/"):
        assert look(as_maria, page).links(".tab-actions a")["Add a tag"] == address(two[1].digest)


@pytest.mark.parametrize("digest", ["", "sha256:1", "latest", NOWHERE])
def test_a_digest_that_is_none_or_that_nobody_has_is_not_found(
    as_maria: Client, fake: FakeRegistry, two: tuple[Pushed, Pushed], digest: str
) -> None:
    look(as_maria, f"{POINT}?{urlencode({'digest': digest, 'tag': 'latest'})}", 404)
    send(as_maria, POINT, 404, digest=digest, tag="latest", expected=two[1].digest)
    send(as_maria, POINT, 404, digest=two[0].digest, tag="latest", expected="nonsense")
    assert fake.tags("team/app") == {"latest": two[1].digest}


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (
            {"status": 405, "body": b"Method not allowed", "headers": {"Allow": "GET, HEAD"}},
            409,
            "is in read-only mode",
        ),
        ({"status": 403}, 403, "does not permit that"),
        ({"status": 401}, 403, "refused the credential"),
        ({"status": 503, "times": None}, 502, "has a fault"),
    ],
    ids=["read-only", "forbidden", "unauthorized", "fault"],
)
def test_what_the_registry_refuses_is_explained_and_can_be_tried_again(
    as_maria: Client, fake: FakeRegistry, two: tuple[Pushed, Pushed], answer: dict[str, object], status: int, said: str
) -> None:
    old, new = two
    page = look(as_maria, address(old.digest, "latest"))
    fake.fail_next("PUT", **answer)  # type: ignore[arg-type]
    shown = send(as_maria, page.attributes("form.confirm", "action")[0], status, **fields(page))
    assert said in shown.text("main h2")
    assert "writing a manifest" in shown.text("main")
    assert shown.links("main a")["Retry"] == address(old.digest, "latest")
    fake.heal()
    assert fake.tags("team/app") == {"latest": new.digest}
    assert AuditEntry.objects.exclude(action="sign-in").get().outcome == ("failed" if status == 502 else "refused")


def test_who_may_not_read_the_repository_learns_nothing(as_maria: Client, registry: Registry) -> None:
    robot = TokenUser("p", {"repository:other": frozenset({"pull"})})
    registry.from_environment, registry.default_username = False, "robot"
    registry.set_default_password("p")
    registry.save()
    with (
        FakeRegistry("3.1", token_users={"robot": robot}) as closed,
        connections.clients_made_by(lambda row: closed.client(name=row.public_host)),
    ):
        image = closed.push_image("team/app", "secret-tag")
        TagPeriod.objects.create(
            registry=registry, repository="team/app", tag="secret-tag", digest=image.digest, began_at=timezone.now(),
            learnt="refresh",
        )  # fmt: skip
        assert "secret-tag" not in look(as_maria, address(image.digest), 403).html
        send(as_maria, POINT, 403, digest=image.digest, tag="mine", expected="")
        assert closed.tags("team/app").keys() == {"secret-tag"}


def test_form_of_another_site_is_refused(
    as_maria: Client, registry: Registry, fake: FakeRegistry, two: tuple[Pushed, Pushed]
) -> None:
    as_maria.handler.enforce_csrf_checks = True
    fake.forget_requests()
    assert (
        as_maria.post(POINT, {"digest": two[0].digest, "tag": "latest", "expected": two[1].digest}).status_code == 403
    )
    assert not fake.requests


def test_the_worker_is_told(as_maria: Client, registry: Registry, two: tuple[Pushed, Pushed]) -> None:
    OrmQ.objects.all().delete()
    send(as_maria, POINT, 302, **fields(look(as_maria, address(two[0].digest, "latest"))))
    assert [pointing.FOLLOW in str(message.task) for message in OrmQ.objects.all()] == [True]


def test_queries_do_not_grow_with_what_an_image_is_made_of(
    as_maria: Client, registry: Registry, fake: FakeRegistry, index: Index
) -> None:
    costs = []
    for count in (1, 3, 50):
        children = [fake.push_image("team/app", platform=f"linux/a{n}", layers=[b"%d" % n]) for n in range(count)]
        multi = fake.push_index("team/app", f"t{count}", children=children)
        for n in range(count):
            fake.put_manifest(multi.repository, f"alias{n}", multi.media_type, multi.raw)
        index()
        look(as_maria, address(multi.digest, "alias0"))
        with CaptureQueriesContext(connection) as queries:
            page = look(as_maria, address(multi.digest, "latest"))
        assert len(page.tree.css(".side .plats span")) == count + 1
        costs.append(len(queries))
    assert costs[0] == costs[1] == costs[2]
