"""The two ordinary people of the demo: one may delete images, the other only looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth.models import Permission
from django.db import transaction

from dashboard.models import User


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
    may_delete = Permission.objects.get(content_type__app_label="dashboard", codename="delete_image")
    users = []
    for person in PEOPLE:
        if person.username not in passwords:
            continue
        user, _made = User.objects.get_or_create(username=person.username)
        user.first_name, user.last_name, user.is_active = person.first_name, person.last_name, True
        user.set_password(passwords[person.username])
        user.save()
        user.user_permissions.set([may_delete] if person.may_delete else [])
        users.append(user)
    return users
