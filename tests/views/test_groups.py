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


def audited() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.filter(action="person").order_by("pk").values_list("code", "reason"))


def test_a_group_is_made_filled_renamed_and_deleted(as_admin: Client, jonas: User) -> None:
    assert "No group yet" in look(as_admin, GROUPS).text("main")
    address = str(send(as_admin, GROUPS, name="team <a>").headers["Location"])
    group = Group.objects.get()
    AccessRule.objects.create(who="group", group=group, role=Role.READER, pattern="**", created_at=timezone.now())
    send(as_admin, address, join="Jonas")
    page = look(as_admin, address)
    assert page.texts("tbody th") == ["jonas"]
    assert "jonas is a member now." in page.text("main")
    send(as_admin, address, join="jonas")
    assert "jonas is a member already." in look(as_admin, address).text("main")
    send(as_admin, address, name="team b")
    row = look(as_admin, GROUPS).row("team b")
    assert [words(cell) for cell in row.css("td")] == ["1 member", "1 access rule"]
    send(as_admin, address, leave=str(jonas.pk))
    send(as_admin, address, leave=str(jonas.pk))
    assert not jonas.groups.exists()
    send(as_admin, address, join="jonas")
    page = send(as_admin, f"{address}delete/", 422, name="team")
    assert page.texts(".goes-with li") == ["1 access rule", "1 member"]
    send(as_admin, f"{address}delete/", name="team b")
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


def test_what_is_wrong_is_said(as_admin: Client, jonas: User, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = Group.objects.create(name="one"), Group.objects.create(name="two")
    assert "There is a group of that name already." in send(as_admin, GROUPS, 422, name="one").text("main")
    assert "This field is required." in send(as_admin, GROUPS, 422, name=" ").text("main")
    address = f"{GROUPS}{two.pk}/"
    assert "There is a group of that name already." in send(as_admin, address, 422, name="one").text("main")
    page = send(as_admin, address, 422, join="nobody")
    assert "There is nobody of the user name “nobody”." in page.text("main")
    assert page.attributes("#join", "value") == ["nobody"]
    for odd in ("x", "9" * 30, "", "²"):
        send(as_admin, address, leave=odd)
    monkeypatch.setattr(groups, "MAX_GROUPS", 2)
    assert "There are 2 groups already" in send(as_admin, GROUPS, 422, name="three").text("main")
    look(as_admin, f"{GROUPS}999/", 404)
    assert list(Group.objects.order_by("name")) == [one, two]
    assert not audited()


def test_members_are_a_page_at_a_time(as_admin: Client) -> None:
    group = Group.objects.create(name="team")
    User.objects.bulk_create(User(username=f"p{n:03}", canonical_username=f"p{n:03}") for n in range(120))
    group.user_set.set(User.objects.filter(username__startswith="p"))
    page = look(as_admin, f"{GROUPS}{group.pk}/?page=3")
    assert page.texts("tbody th")[0] == "p100 not active" or page.texts("tbody th")[0] == "p100"
    assert page.text(".pagination").startswith("101–120 of 120")
