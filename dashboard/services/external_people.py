"""People whom somebody else signs in: found by who they are there, made at first sight, and their groups.

A name that anybody has here, made here or come from a registry or another issuer, is never taken over.
"""

from __future__ import annotations

import fnmatch
import unicodedata
from collections.abc import Iterable, Sequence

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from dashboard.models import ExternalIdentity, User

MAX_GROUPS = 200
MAX_GROUP_NAME = 150
MAX_SUBJECT = 255

NAME_TAKEN, NAME_UNUSABLE, DISABLED = "name-taken", "name-unusable", "disabled"


class NotLetIn(Exception):
    """Who was signed in elsewhere may not come in. `code` is one of those above."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def welcome(*, issuer: str, subject: str, username: str) -> ExternalIdentity:
    """The identity with its user; `username` is for somebody who was never here. Raises NotLetIn."""
    if not subject or len(subject) > MAX_SUBJECT:
        raise NotLetIn(NAME_UNUSABLE)
    known = _known(issuer, subject) or _made(issuer, subject, username)
    if not known.user.is_active:
        raise NotLetIn(DISABLED)
    return known


def follow_groups(identity: ExternalIdentity, told: Iterable[object]) -> None:
    """Memberships become what was `told`: groups are made where missing, those told no longer are left.

    What an administrator gave here is not touched.
    """
    names = _names(told)
    user, before = identity.user, set(identity.groups)
    held = set(user.groups.values_list("name", flat=True))
    given = [name for name in names if name in before or name not in held]
    if set(given) == before and set(given) <= held:
        return
    with transaction.atomic():
        give_groups(user, given)
        user.groups.remove(*Group.objects.filter(name__in=before - set(names)))
        identity.groups = given
        identity.save(update_fields=["groups"])


def give_groups(user: User, names: Iterable[str]) -> None:
    """Makes somebody a member of groups, which are made where they are missing."""
    user.groups.add(*(Group.objects.get_or_create(name=name)[0] for name in names))


def only(patterns: Sequence[str], told: Iterable[object]) -> list[str]:
    """Of the names `told` those that one of the patterns (with `*` and `?`) means."""
    return [name for name in _names(told) if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _names(told: Iterable[object]) -> list[str]:
    """Names that a group can have, each once; whatever else was told is left out."""
    names = (name.strip() for name in told if isinstance(name, str))
    return [name for name in dict.fromkeys(names) if _is_name(name)][:MAX_GROUPS]


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MAX_GROUP_NAME and not any(unicodedata.category(letter)[0] == "C" for letter in name)


def _known(issuer: str, subject: str) -> ExternalIdentity | None:
    return ExternalIdentity.objects.filter(issuer=issuer, subject=subject).select_related("user").first()


def _made(issuer: str, subject: str, username: str) -> ExternalIdentity:
    if User.objects.like(username).exists():
        raise NotLetIn(NAME_TAKEN)
    user = User(username=username)
    user.set_unusable_password()
    try:
        user.full_clean(exclude=["password"])
    except ValidationError:
        raise NotLetIn(NAME_UNUSABLE) from None
    identity = ExternalIdentity(issuer=issuer, subject=subject, user=user, created_at=timezone.now())
    try:
        with transaction.atomic():
            user.save()
            identity.save()
    except IntegrityError:  # two first requests at once: whoever came second finds the first
        known = _known(issuer, subject)
        if known is None:
            raise NotLetIn(NAME_TAKEN) from None
        return known
    return identity
