"""Groups of people: made, renamed, filled, deleted, each with an entry in the audit."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from dashboard.models import AccessRule, AuditEntry, User

from . import audit
from .audit import Actor
from .index.lists import PAGE_SIZE, Page, bounds

MAX_GROUPS = 1000
MADE, RENAMED, DELETED = "group-made", "group-renamed", "group-deleted"
JOINED, LEFT = "group-joined", "group-left"
"""Codes in the audit."""


class GroupExists(Exception):
    """There is a group of that name."""


class TooMany(Exception):
    """There are MAX_GROUPS groups already."""


@dataclass(frozen=True, slots=True)
class Line:
    """A group with the number of its members and of the rules for it."""

    group: Group
    members: int
    rules: int


def listed() -> list[Line]:
    """All groups by name; one query."""
    rows = Group.objects.annotate(
        members_count=_counted(User.groups.through.objects.all()), rules_count=_counted(AccessRule.objects.all())
    ).order_by("name")
    return [Line(row, row.members_count, row.rules_count) for row in rows[:MAX_GROUPS]]


def line_of(group: Group) -> Line:
    """One group."""
    return Line(group, group.user_set.count(), AccessRule.objects.filter(group=group).count())


def members(group: Group, number: int) -> Page[User]:
    """A page of the members, by name."""
    rows = User.objects.filter(groups=group).order_by("canonical_username")
    total = rows.count()
    number, pages, first = bounds(total, number)
    return Page(list(rows[first : first + PAGE_SIZE]), number, pages, total, first)


def make(*, name: str, actor: Actor) -> Group:
    """A new group without members. Raises GroupExists, TooMany."""
    if Group.objects.count() >= MAX_GROUPS:
        raise TooMany
    try:
        with transaction.atomic():
            group = Group.objects.create(name=name)
            _record(actor, MADE, name)
    except IntegrityError:
        raise GroupExists from None
    return group


def rename(*, group: Group, name: str, actor: Actor) -> None:
    """Another name; its rules and members stay. Raises GroupExists."""
    before = Group.objects.get(pk=group.pk).name
    if before == name:
        return
    try:
        with transaction.atomic():
            Group.objects.filter(pk=group.pk).update(name=name)
            _record(actor, RENAMED, f"{before} → {name}")
    except IntegrityError:
        raise GroupExists from None


def join(*, group: Group, user: User, actor: Actor) -> bool:
    """`user` becomes a member; whether he was none."""
    with transaction.atomic():
        if group.user_set.filter(pk=user.pk).exists():
            return False
        group.user_set.add(user)
        _record(actor, JOINED, f"{group.name}: {user.get_username()}")
    return True


def leave(*, group: Group, user: User, actor: Actor) -> bool:
    """`user` is no member any more; whether he was one."""
    with transaction.atomic():
        if not group.user_set.filter(pk=user.pk).exists():
            return False
        group.user_set.remove(user)
        _record(actor, LEFT, f"{group.name}: {user.get_username()}")
    return True


def delete(*, group: Group, actor: Actor) -> None:
    """The group and the rules for it go; its members stay people."""
    with transaction.atomic():
        _record(actor, DELETED, group.name)
        group.delete()


def _counted(rows: QuerySet) -> Coalesce:  # type: ignore[type-arg]  # of any model with a group
    counted = rows.filter(group=OuterRef("pk")).order_by().values("group").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def _record(actor: Actor, code: str, reason: str) -> None:
    audit.record(
        actor=actor, action=AuditEntry.Action.PERSON, outcome=AuditEntry.Outcome.DONE, code=code, reason=reason
    )
