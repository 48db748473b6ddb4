"""Deleting many: chosen by ticks or by rule, confirmed by typing, carried out by the worker, undone from the trash."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.models import AuditEntry, ChosenNames, Deletion, DeletionItem, IndexedTag, Job, Registry, User
from dashboard.services import protection
from dashboard.services.audit import Actor
from dashboard.services.deletion import carry_out, choice
from dashboard.tasks import look_after, run_job
from tests.fake_registry import FakeRegistry

from .page import Page, look, words

pytestmark = pytest.mark.django_db

TAGS = "/registries/default/team/app/"
DELETE = f"{TAGS}-/delete/"
CHOOSE = f"{DELETE}choose/"
RESTORE = "/registries/default/-/trash/restore/"


def fields(page: Page) -> dict[str, str]:
    """What the browser would send: hidden fields, and the radio that is checked."""
    found = {}
    for field in page.tree.css("form.confirm input"):
        kind = field.attributes.get("type")
        if kind == "hidden" or (kind == "radio" and "checked" in field.attributes):
            found[str(field.attributes["name"])] = str(field.attributes.get("value") or "")
    return found


def confirm(client: Client, query: str, **more: str) -> Deletion:
    """The plan of what was chosen, and its button."""
    page = look(client, f"{DELETE}?{query}")
    client.post(DELETE, fields(page) | {"typed": "team/app"} | more)
    return Deletion.objects.latest("created_at")


def plan_lines(page: Page) -> list[str]:
    """What happens, tag by tag."""
    return [words(row) for row in page.tree.css("table.plan tbody tr")]


def work() -> None:
    """What the worker does with the deletions that wait."""
    for job in Job.objects.filter(kind__in=(Job.Kind.DELETION, Job.Kind.RESTORE), state__in=Job.LIVE):
        run_job(str(job.pk))


def test_more_than_one_tag_wants_the_repository_typed(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "a", layers=[b"a"])
    fake.push_image("team/app", "b", layers=[b"b"])
    page = look(as_maria, f"{DELETE}?tag=a&tag=b")
    assert page.text("h1") == "Delete 2 tags"
    assert page.text("#confirm-button") == "Delete 2 tags"
    for typed in ("", "team", "team/app2"):
        answer = as_maria.post(DELETE, fields(page) | {"typed": typed})
        assert answer.status_code == 409
        assert "was not typed" in answer.content.decode()
    assert fake.tags("team/app").keys() == {"a", "b"}
    refused = AuditEntry.objects.filter(outcome="refused", code="type-the-name")
    assert refused.count() == 3, "what was refused is on the record"
    row = confirm(as_maria, "tag=a&tag=b", reason="no more of these")
    assert (row.state, row.reason) == (Deletion.State.DONE, "no more of these")
    assert fake.tags("team/app") == {}


def test_tags_of_one_image_go_together_and_it_is_deleted_once(
    as_maria: Client, registry: Registry, fake: FakeRegistry
) -> None:
    image = fake.push_image("team/app", "1.0", "1", "latest")
    lines = plan_lines(look(as_maria, f"{DELETE}?tag=1.0&tag=latest"))
    assert all("Only the name goes. 1 has the same digest and stays." in line for line in lines), lines
    lines = plan_lines(look(as_maria, f"{DELETE}?tag=1.0&tag=1&tag=latest"))
    assert "The tag and its image go." in lines[0]
    assert all("It goes along." in line for line in lines[1:])
    fake.forget_requests()
    row = confirm(as_maria, "tag=1.0&tag=1&tag=latest")
    assert [item.outcome_code for item in row.items.all()] == ["removed"]
    assert fake.count("DELETE", f"manifests/{image.digest}") == 1
    assert fake.tags("team/app") == {}


def test_what_moved_since_it_was_chosen_is_left_out(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    seen = fake.push_image("team/app", "pr-1", layers=[b"seen"])
    fake.push_image("team/app", "pr-2", layers=[b"other"])
    newer = fake.push_image("team/app", "pr-1", layers=[b"newer"])
    page = look(as_maria, f"{DELETE}?tag=pr-1@{seen.digest[7:19]}&tag=pr-2")
    moved = words(page.row("pr-1"))
    assert "Refused It moved. It now points at" in moved
    assert newer.digest[7:19] in moved
    assert page.text("#confirm-button") == "Delete 1 tag"
    row = confirm(as_maria, f"tag=pr-1@{seen.digest[7:19]}&tag=pr-2")
    assert [item.tags for item in row.items.all()] == [["pr-2"]]
    assert fake.tags("team/app") == {"pr-1": newer.digest}


def test_a_protected_tag_is_refused_with_its_rule(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "v1.0", "pr-1")
    protection.add(registry=registry, tag_pattern="v*", repository_pattern="*", note="", actor=Actor("admin"))
    page = look(as_maria, f"{DELETE}?tag=v1.0&tag=pr-1")
    assert "It is protected. The rule v* keeps it" in words(page.row("v1.0"))
    assert "Only the name goes. v1.0 has the same digest" in words(page.row("pr-1"))
    confirm(as_maria, "tag=v1.0&tag=pr-1")
    assert list(fake.tags("team/app")) == ["v1.0"]


def test_a_rule_that_came_since_the_plan_holds(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("team/app", "v1.0")
    page = look(as_maria, f"{DELETE}?tag=v1.0")
    protection.add(registry=registry, tag_pattern="v*", repository_pattern="*", note="", actor=Actor("admin"))
    answer = as_maria.post(DELETE, fields(page), follow=True)
    assert "The rule v* protects it since" in answer.content.decode()
    assert list(fake.tags("team/app")) == ["v1.0"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("matching=pr-*", {"pr-1", "pr-2", "pr-3"}),
        ("matching=pr-*&keep=1", {"pr-1", "pr-2"}),
        ("all=1&name=pr-", {"pr-1", "pr-2", "pr-3"}),
        ("older=30", {"pr-1", "main"}),
        ("matching=pr-*&older=30", {"pr-1"}),
        ("keep=2", {"pr-1", "pr-2", "main"}),
    ],
)
def test_rules_choose_by_pattern_age_and_number(
    as_maria: Client, registry: Registry, fake: FakeRegistry, index: Callable[[], None], query: str, expected: set[str]
) -> None:
    pushed = {"main": 60, "pr-1": 40, "pr-2": 20, "pr-3": 10, "v1": 5}
    for number, tag in enumerate(pushed):
        fake.push_image("team/app", tag, layers=[b"%d" % number])
    index()
    for tag, days in pushed.items():
        IndexedTag.objects.filter(name=tag).update(since=timezone.now() - dt.timedelta(days=days))
    page = look(as_maria, f"{DELETE}?{query}")
    assert {words(name) for name in page.tree.css("table.plan tbody a.name")} == expected
    fake.assert_all_known()


def test_a_rule_that_means_nothing_says_so(
    as_maria: Client, registry: Registry, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    fake.push_image("team/app", "1.0")
    index()
    assert "no tag was chosen" in look(as_maria, f"{DELETE}?matching=x*").text()
    assert as_maria.get(DELETE).status_code == 404


def test_ticks_go_to_their_plan_and_many_are_stored(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    names = [f"t{n}" for n in range(60)]
    fake.push_image("team/app", *names)
    few = as_maria.post(CHOOSE, {"tag": names[:2]})
    assert few.headers["Location"] == f"{DELETE}?tag=t0&tag=t1"
    many = as_maria.post(CHOOSE, {"tag": [*names, "no tag!"]})
    chosen = ChosenNames.objects.get()
    assert many.headers["Location"] == f"{DELETE}?chosen={chosen.pk}"
    assert look(as_maria, many.headers["Location"]).text("h1") == "Delete 60 tags"
    assert as_maria.post(CHOOSE, {}).headers["Location"] == TAGS


def test_another_persons_choice_is_not_there(
    as_maria: Client, jonas: User, registry: Registry, fake: FakeRegistry
) -> None:
    fake.push_image("team/app", "t")
    chosen = ChosenNames.objects.create(
        registry=registry, repository="team/app", user=jonas, created_at=timezone.now(), tags=["t"]
    )
    assert as_maria.get(f"{DELETE}?chosen={chosen.pk}").status_code == 404


def test_more_than_ten_thousand_is_refused(
    as_maria: Client, registry: Registry, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "MAX_CHOSEN", 3)
    fake.push_image("team/app", "a", "b", "c", "d")
    assert look(as_maria, f"{DELETE}?whole=1", status=413).text(".state h2") == ("From team/app nothing was deleted")
    assert len(fake.tags("team/app")) == 4


def test_signatures_stay_unless_they_are_taken_along(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    image = fake.push_image("team/app", "1.0", layers=[b"image"])
    sign = image.digest.replace(":", "-") + ".sig"
    fake.push_image("team/app", sign, layers=[b"signature"])
    page = look(as_maria, f"{DELETE}?tag=1.0")
    assert "1 signature or the like belongs to what goes, and stays." in page.text("main")
    take = page.links(".notice a")["Take them along"]
    page = look(as_maria, take)
    assert "1 signature or the like goes along." in page.text("main")
    assert page.text("#confirm-button") == "Delete 2 tags"
    confirm(as_maria, take.partition("?")[2])
    assert fake.tags("team/app") == {}


def test_a_whole_repository_goes_with_what_has_no_tag(
    as_maria: Client, registry: Registry, fake: FakeRegistry, index: Callable[[], None]
) -> None:
    fake.push_image("team/app", "1.0", layers=[b"1"])
    fake.push_image("team/app", "2.0", layers=[b"2"])
    fake.push_image("team/web", "1.0", layers=[b"1"])
    index()
    page = look(as_maria, f"{DELETE}?whole=1")
    assert page.text("h1") == "Delete everything in team/app"
    assert "The registry goes on listing team/app." in page.text("main")
    row = confirm(as_maria, "whole=1")
    assert "The registry goes on listing the name" in look(as_maria, f"{TAGS}-/deletions/{row.pk}/").text("#result")
    assert fake.tags("team/app") == {}
    assert fake.state.repositories["team/app"].revisions == {}
    assert list(fake.tags("team/web")) == ["1.0"]


def test_many_are_the_workers_and_their_progress_is_shown(
    as_maria: Client, registry: Registry, fake: FakeRegistry
) -> None:
    for number in range(6):
        fake.push_image("team/app", f"t{number}", layers=[b"%d" % number])
    row = confirm(as_maria, "&".join(f"tag=t{n}" for n in range(5)))
    assert row.state == Deletion.State.IN_PROGRESS
    assert len(fake.tags("team/app")) == 6, "nothing is sent while the person waits"
    page = look(as_maria, f"{TAGS}-/deletions/{row.pk}/")
    assert page.text("h1") == "Deleting from team/app is in progress"
    assert "0 of 5" in page.text("#result")
    assert page.node("#result").attributes["hx-get"]
    work()
    page = look(as_maria, f"{TAGS}-/deletions/{row.pk}/")
    assert page.text("h1") == "5 tags deleted"
    assert "hx-get" not in page.node("#result").attributes
    assert list(fake.tags("team/app")) == ["t5"]
    assert Job.objects.get(kind=Job.Kind.DELETION).state == Job.State.DONE
    assert AuditEntry.objects.filter(batch=row.pk, outcome="done", action="delete", user="maria").count() == 5


def test_a_registry_that_fails_in_the_middle_is_gone_on_with(
    as_maria: Client, registry: Registry, fake: FakeRegistry
) -> None:
    for number in range(5):
        fake.push_image("team/app", f"t{number}", layers=[b"%d" % number])
    row = confirm(as_maria, "&".join(f"tag=t{n}" for n in range(5)))
    fake.fail_next(r"DELETE /v2/team/app/manifests/sha256:", exception="timeout", times=None)
    work()
    row.refresh_from_db()
    assert (row.state, row.outcome_code) == (Deletion.State.IN_PROGRESS, "timed-out")
    page = look(as_maria, f"{TAGS}-/deletions/{row.pk}/")
    assert "did not answer as it should; what was done is kept" in page.text("#result")
    assert {"Go on now", "Leave the rest"} <= set(page.texts("#result button"))
    fake.heal()
    as_maria.post(f"{TAGS}-/deletions/{row.pk}/resume/")
    work()
    row.refresh_from_db()
    assert row.state == Deletion.State.DONE
    assert {item.outcome_code for item in row.items.all()} == {"removed"}
    assert fake.tags("team/app") == {}


def test_the_rest_can_be_left(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    for number in range(5):
        fake.push_image("team/app", f"t{number}", layers=[b"%d" % number])
    row = confirm(as_maria, "&".join(f"tag=t{n}" for n in range(5)))
    as_maria.post(f"{TAGS}-/deletions/{row.pk}/abandon/")
    work()
    row.refresh_from_db()
    assert row.state == Deletion.State.DONE
    assert {item.state for item in row.items.all()} == {DeletionItem.State.LEFT}
    assert "The rest was left as it is." in look(as_maria, f"{TAGS}-/deletions/{row.pk}/").text("#result")
    assert len(fake.tags("team/app")) == 5


def test_a_worker_that_died_is_followed_by_the_next(
    as_maria: Client, registry: Registry, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        fake.push_image("team/app", f"t{number}", layers=[b"%d" % number])
    row = confirm(as_maria, "&".join(f"tag=t{n}" for n in range(5)))

    class Killed(BaseException):
        pass

    record, seen = carry_out._record, []

    def dies(deletion: Deletion, item: DeletionItem) -> None:
        seen.append(item.pk)
        if len(seen) == 3:
            raise Killed
        record(deletion, item)

    with monkeypatch.context() as patch:
        patch.setattr(carry_out, "_record", dies)
        with pytest.raises(Killed):
            work()
    assert len(fake.tags("team/app")) == 2
    Deletion.objects.update(lease_until=timezone.now())
    Job.objects.update(lease_until=timezone.now())
    look_after()
    work()
    row.refresh_from_db()
    assert row.state == Deletion.State.DONE
    assert fake.tags("team/app") == {}


def test_undo_brings_everything_back(as_maria: Client, registry: Registry, fake: FakeRegistry) -> None:
    for number in range(5):
        fake.push_image("team/app", f"t{number}", f"also{number}", layers=[b"%d" % number])
    amd64 = fake.push_image("team/app", platform="linux/amd64", layers=[b"child"])
    fake.push_index("team/app", "multi", children=[amd64])
    before = dict(fake.tags("team/app"))
    row = confirm(as_maria, "whole=1")
    work()
    assert fake.tags("team/app") == {}
    assert not fake.has_manifest("team/app", amd64.digest)
    page = look(as_maria, f"{TAGS}-/deletions/{row.pk}/")
    answer = as_maria.post(RESTORE, {"deletion": page.node("input[name=deletion]").attributes["value"]})
    assert answer.headers["Location"] == "/registries/default/-/jobs/"
    work()
    assert fake.tags("team/app") == before
    assert fake.has_manifest("team/app", amd64.digest)
    assert not look(as_maria, f"{TAGS}-/deletions/{row.pk}/").has("button.primary"), "it is undone once"
    assert AuditEntry.objects.filter(action="restore", outcome="done").count() == 6
