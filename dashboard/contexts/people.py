"""The pages of people and groups: who there is, in words, and what goes with whom."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin

from django.conf import settings
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dashboard.models import Invitation, Role, User
from dashboard.services import groups as group_services
from dashboard.services.groups import GroupExists
from dashboard.services.index.lists import ListQuery, Page
from dashboard.services.invitations import Made
from dashboard.services.people import BUSY, EXISTS, LAST, ONESELF, Belongings
from dashboard.services.people_list import COLUMNS, Person, State

from .formats import count
from .lists import Head, Pagination, heads, pagination
from .registry_users import why_no_user

DEFAULT = "name"
_REFUSALS: Mapping[str, Promise] = {
    ONESELF: gettext_lazy("Nobody does that to their own account: ask another administrator."),
    LAST: gettext_lazy("This is the last active administrator of everything. Make another one first."),
    BUSY: gettext_lazy("Something that this person asked for is still running. Try again when it is over."),
    EXISTS: gettext_lazy("There is somebody of that name, or of one that reads the same."),
}


@dataclass(frozen=True, slots=True)
class PersonLine:
    """Somebody in the list. `state` is a State's value, `until` how long a link works."""

    url: str
    username: str
    full_name: str
    groups: str
    roles: str
    origin: str
    seen_at: dt.datetime | None
    state: str
    until: dt.datetime | None


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """Everything that people.html shows."""

    url: str
    contains: str
    total: int
    lines: Sequence[PersonLine]
    heads: Mapping[str, Head]
    pagination: Pagination


@dataclass(frozen=True, slots=True)
class PersonPage:
    """Everything that person.html shows but its form. `link_for` names what a new link is for; "" for none.

    `registry_user`: which user of the registry is made when the invitation is used; "" for none.
    """

    line: PersonLine
    joined_at: dt.datetime
    link_for: str
    registry_user: str
    has_password: bool
    is_oneself: bool
    delete_url: str


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link that is shown once, whose it is, until when it works, and which user of the registry comes with it."""

    url: str
    username: str
    is_invitation: bool
    registry_user: str
    expires_at: dt.datetime


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group in the list, its numbers in words."""

    url: str
    name: str
    members: str
    rules: str


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a group."""

    pk: int
    url: str
    username: str
    full_name: str
    disabled: bool


@dataclass(frozen=True, slots=True)
class GroupPage:
    """Everything that group.html shows but its forms."""

    line: GroupLine
    members: Sequence[Member]
    pagination: Pagination
    delete_url: str


def people_page(query: ListQuery, found: Page[Person]) -> PeoplePage:
    """The view model of the list."""
    url = reverse("people")
    return PeoplePage(
        url=url,
        contains=query.contains,
        total=found.total,
        lines=[person_line(person) for person in found.rows],
        heads=heads(url, query, COLUMNS, DEFAULT),
        pagination=pagination(url, query, found),
    )


def person_line(person: Person) -> PersonLine:
    """Somebody in words."""
    user = person.user
    return PersonLine(
        url=reverse("person", args=[user.pk]),
        username=user.get_username(),
        full_name=user.get_full_name(),
        groups=", ".join(person.groups),
        roles=_("administrator of everything") if user.is_superuser else _roles(person.roles),
        origin=user.origin_registry.public_host if user.origin_registry else "",
        seen_at=user.last_login,
        state=person.state.value,
        until=person.until,
    )


def person_page(person: Person, *, oneself: bool, registry_user: str) -> PersonPage:
    """The view model of one person's page."""
    link_for = "password" if person.state == State.ACTIVE else ""
    if person.state in (State.INVITED, State.LAPSED):
        link_for = "invitation"
    return PersonPage(
        line=person_line(person),
        joined_at=person.user.date_joined,
        link_for=link_for,
        registry_user=registry_user if link_for == "invitation" else "",
        has_password=person.user.has_usable_password(),
        is_oneself=oneself,
        delete_url=reverse("delete-person", args=[person.user.pk]),
    )


def new_link(user: User, made: Made) -> NewLink:
    """The link to be handed over."""
    return NewLink(
        url=urljoin(settings.BASE_URL, reverse("invitation", args=[made.token])),
        username=user.get_username(),
        is_invitation=made.kind == Invitation.Kind.INVITE,
        registry_user=made.registry_user,
        expires_at=made.expires_at,
    )


def refusal(code: str) -> str:
    """Why it was not done."""
    return str(_REFUSALS[code])


def hindrance(code: str) -> str:
    """Why no user of the registry can come with the invitation."""
    return _("%(why)s The person can be invited without.") % {"why": why_no_user(code)}


def goes_with(belongings: Belongings) -> list[str]:
    """What goes with a person, in phrases."""
    credentials, rules = belongings.credentials, belongings.rules
    groups, sessions = belongings.groups, belongings.sessions
    phrases = [
        (credentials, ngettext("%(n)s registry credential", "%(n)s registry credentials", credentials)),
        (rules, ngettext("%(n)s own access rule", "%(n)s own access rules", rules)),
        (groups, ngettext("the place in %(n)s group", "the place in %(n)s groups", groups)),
        (sessions, ngettext("%(n)s session, ended at once", "%(n)s sessions, ended at once", sessions)),
    ]
    return [phrase % {"n": count(number)} for number, phrase in phrases if number]


def group_lines(lines: Sequence[group_services.Line]) -> list[GroupLine]:
    """The view model of the list of groups."""
    return [group_line(line) for line in lines]


def group_line(line: group_services.Line) -> GroupLine:
    """A group in words."""
    return GroupLine(
        url=reverse("group", args=[line.group.pk]),
        name=line.group.name,
        members=ngettext("%(n)s member", "%(n)s members", line.members) % {"n": count(line.members)},
        rules=_rules(line.rules),
    )


def group_page(line: group_services.Line, query: ListQuery, found: Page[User]) -> GroupPage:
    """The view model of a group's page."""
    shown = group_line(line)
    members = [
        Member(
            pk=user.pk,
            url=reverse("person", args=[user.pk]),
            username=user.get_username(),
            full_name=user.get_full_name(),
            disabled=not user.is_active,
        )
        for user in found.rows
    ]
    return GroupPage(
        line=shown,
        members=members,
        pagination=pagination(shown.url, query, found),
        delete_url=reverse("delete-group", args=[line.group.pk]),
    )


def group_refusal(refused: Exception) -> str:
    """Why a group was not made or renamed."""
    if isinstance(refused, GroupExists):
        return _("There is a group of that name already.")
    return _("There are %(n)s groups already; no more can be made.") % {"n": count(group_services.MAX_GROUPS)}


def _roles(roles: Mapping[Role, int]) -> str:
    """His own rules and those of his groups, by role."""
    return ", ".join(
        ngettext("%(role)s by %(n)s rule", "%(role)s by %(n)s rules", number) % {"role": role.label, "n": count(number)}
        for role, number in roles.items()
    )


def _rules(number: int) -> str:
    return ngettext("%(n)s access rule", "%(n)s access rules", number) % {"n": count(number)}
