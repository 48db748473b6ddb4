"""The people of this dashboard as their list shows them: in a fixed number of queries, however many there are."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db.models import Q
from django.utils import timezone

from dashboard.models import AccessRule, Invitation, Role, User
from dashboard.models.people import canonical_name

from .index.lists import PAGE_SIZE, Column, ListQuery, Page, bounds

COLUMNS: Mapping[str, Column] = {
    "name": Column("canonical_username", descending=False),
    "seen": Column("last_login", nullable=True),
}


class State(StrEnum):
    """Whether somebody may sign in."""

    ACTIVE = "active"
    DISABLED = "disabled"
    INVITED = "invited"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, and how many rules give which role (his own and those of his groups).

    `until`: how long the invitation works (State.INVITED) or a link for a new password does; None for none.
    """

    user: User
    groups: Sequence[str]
    roles: Mapping[Role, int]
    state: State
    until: dt.datetime | None


def page_of(query: ListQuery) -> Page[Person]:
    """One page; the filter is a part of the user name or of the full name."""
    found = User.objects.all()
    if query.contains:
        like = Q(canonical_username__contains=canonical_name(query.contains))
        found = found.filter(like | Q(first_name__icontains=query.contains) | Q(last_name__icontains=query.contains))
    total = found.count()
    number, pages, first = bounds(total, query.page)
    ordered = found.order_by(*query.order.by("canonical_username")).select_related("origin_registry")
    rows = ordered[first : first + PAGE_SIZE]
    return Page(people(list(rows)), number, pages, total, first)


def people(users: Sequence[User]) -> list[Person]:
    """What is shown of these users, in their order."""
    ids = [user.pk for user in users]
    groups: dict[int, dict[int, str]] = {}
    belongs = User.groups.through.objects.filter(user__in=ids).order_by("group__name")
    for user_id, group_id, name in belongs.values_list("user_id", "group_id", "group__name"):
        groups.setdefault(user_id, {})[group_id] = name
    of_groups = {group_id for mine in groups.values() for group_id in mine}
    rules = AccessRule.objects.filter(Q(user__in=ids) | Q(group__in=of_groups))
    of_user: dict[int, Counter[Role]] = {}
    of_group: dict[int, Counter[Role]] = {}
    for user_id, group_id, role in rules.values_list("user_id", "group_id", "role"):
        counted = of_group.setdefault(group_id, Counter()) if group_id else of_user.setdefault(user_id or 0, Counter())
        counted[Role(role)] += 1
    links = {row.user_id: row for row in Invitation.objects.filter(user__in=ids, used_at=None).order_by("pk")}
    now = timezone.now()
    found = []
    for user in users:
        mine = groups.get(user.pk, {})
        roles = of_user.get(user.pk, Counter()) + sum((of_group.get(pk, Counter()) for pk in mine), Counter())
        link = links.get(user.pk)
        open_link = link if link is not None and link.is_open(now) else None
        state = State.ACTIVE
        if not user.is_active:
            state = State.DISABLED if link is None else State.INVITED if open_link else State.LAPSED
        until = open_link.expires_at if open_link else None
        found.append(Person(user, list(mine.values()), dict(sorted(roles.items(), reverse=True)), state, until))
    return found
