"""The two ordinary people of the demo: one is a maintainer, the other only looks, as everybody who signs in may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction

from dashboard.models import AccessRule, Role, User
from dashboard.services import access_rules
from dashboard.services.administration import EVERYTHING
from dashboard.services.audit import Actor


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the demo."""

    username: str
    first_name: str
    last_name: str
    may_delete: bool


PEOPLE = (
    Person("maria", "Maria", "Lindqvist", may_delete=True),
    Person("jonas", "Jonas", "Keller", may_delete=False),
)


@transaction.atomic
def make_people(passwords: Mapping[str, str]) -> list[User]:
    """Make (or bring back to their beginnings) those of PEOPLE whose password is given by their user name."""
    users = []
    for person in PEOPLE:
        if person.username not in passwords:
            continue
        user, _made = User.objects.get_or_create(username=person.username)
        user.first_name, user.last_name, user.is_active = person.first_name, person.last_name, True
        user.set_password(passwords[person.username])
        user.save()
        AccessRule.objects.filter(user=user).delete()
        if person.may_delete:
            wanted = access_rules.Wanted(AccessRule.Who.USER, Role.MAINTAINER, user=user)
            access_rules.add(wanted, administration=EVERYTHING, actor=Actor(""))
        users.append(user)
    return users
