"""Groups, as administrators make, fill, rename and delete them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from dashboard.models import AccessRule, AuditEntry, Role, User
from dashboard.services import groups

from .page import look, send, words

GROUPS = "/settings/groups/"


@pytest.fixture
def browser(admin: User) -> Client:
    """The administrator's."""
    client = Client()
    client.force_login(admin)
    return client


def audited() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.filter(action="person").order_by("pk").values_list("code", "reason"))


def test_a_group_is_made_filled_renamed_and_deleted(browser: Client, jonas: User) -> None:
    assert "No group yet" in look(browser, GROUPS).text("main")
    address = str(send(browser, GROUPS, name="team <a>").headers["Location"])
    group = Group.objects.get()
    AccessRule.objects.create(who="group", group=group, role=Role.READER, pattern="**", created_at=timezone.now())
    send(browser, address, join="Jonas")
    page = look(browser, address)
    assert page.texts("tbody th") == ["jonas"]
    assert "jonas is a member now." in page.text("main")
    send(browser, address, join="jonas")
    assert "jonas is a member already." in look(browser, address).text("main")
    send(browser, address, name="team b")
    row = look(browser, GROUPS).row("team b")
    assert [words(cell) for cell in row.css("td")] == ["1 member", "1 access rule"]
    send(browser, address, leave=str(jonas.pk))
    send(browser, address, leave=str(jonas.pk))
    assert not jonas.groups.exists()
    send(browser, address, join="jonas")
    page = send(browser, f"{address}delete/", 422, name="team")
    assert page.texts(".goes-with li") == ["1 access rule", "1 member"]
    send(browser, f"{address}delete/", name="team b")
    assert not Group.objects.exists()
    assert not AccessRule.objects.filter(who="group").exists()
    assert User.objects.filter(pk=jonas.pk).exists()
    assert audited() == [
        ("group-made", "team <a>"),
        ("group-joined", "team <a>: jonas"),
        ("group-renamed", "team <a> → team b"),
        ("group-left", "team b: jonas"),
        ("group-joined", "team b: jonas"),
        ("group-deleted", "team b"),
    ]


def test_what_is_wrong_is_said(browser: Client, jonas: User, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = Group.objects.create(name="one"), Group.objects.create(name="two")
    assert "There is a group of that name already." in send(browser, GROUPS, 422, name="one").text("main")
    assert "This field is required." in send(browser, GROUPS, 422, name=" ").text("main")
    address = f"{GROUPS}{two.pk}/"
    assert "There is a group of that name already." in send(browser, address, 422, name="one").text("main")
    page = send(browser, address, 422, join="nobody")
    assert "There is nobody of the user name “nobody”." in page.text("main")
    assert page.attributes("#join", "value") == ["nobody"]
    for odd in ("x", "9" * 30, "", "²"):
        send(browser, address, leave=odd)
    monkeypatch.setattr(groups, "MAX_GROUPS", 2)
    assert "There are 2 groups already" in send(browser, GROUPS, 422, name="three").text("main")
    look(browser, f"{GROUPS}999/", 404)
    assert list(Group.objects.order_by("name")) == [one, two]
    assert not audited()


def test_members_are_a_page_at_a_time(browser: Client) -> None:
    group = Group.objects.create(name="team")
    User.objects.bulk_create(User(username=f"p{n:03}", canonical_username=f"p{n:03}") for n in range(120))
    group.user_set.set(User.objects.filter(username__startswith="p"))
    page = look(browser, f"{GROUPS}{group.pk}/?page=3")
    assert page.texts("tbody th")[0] == "p100 not active" or page.texts("tbody th")[0] == "p100"
    assert page.text(".pagination").startswith("101–120 of 120")
