"""Signing in with a name and password of a registry, where an administrator switched that on for it.

A registry proves a password only if it refuses others: it must ask everybody (401 without credentials), refuse a
random password for the same name, and accept the given one. A name that any local person has, or that came from
another registry, is never taken over: it gets the answer of a wrong password.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from dashboard.models import Registry, User
from dashboard.registry.auth import Credential as ClientCredential
from dashboard.registry.errors import RegistryError

from . import connections, credentials, external_people, sign_in_groups

BUDGET = 10.0
_OK, _ASKS = 200, 401


class RegistryBackend(BaseBackend):
    """An authentication backend. Gives no permissions: those come from Django's own."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_: Any
    ) -> User | None:
        """The person whom a registry vouches for; None if none does."""
        if not username or not password:
            return None
        for registry in Registry.objects.filter(sign_in=True):
            known = User.objects.like(username).first()
            if known is not None and not _is_theirs(known, registry, username):
                continue
            if _vouches(registry, username, password):
                return _welcome(registry, known, username, password)
        return None

    def get_user(self, user_id: int) -> User | None:
        """The person of a session."""
        return User.objects.filter(pk=user_id, is_active=True).first()


def _is_theirs(user: User, registry: Registry, username: str) -> bool:
    return user.is_active and user.origin_registry_id == registry.pk and user.username == username


def _vouches(registry: Registry, username: str, password: str) -> bool:
    """Whether `registry` tells this password from a wrong one and accepts it. Each question is asked anew."""
    try:
        with connections.asked_anew(registry) as client:
            given = client.session(ClientCredential(username, password), budget=BUDGET).ping()
            if given.bare_status != _ASKS or given.status != _OK:
                return False
            wrong = client.session(ClientCredential(username, secrets.token_urlsafe(24)), budget=BUDGET).ping()
    except RegistryError:
        return False
    return wrong.status == _ASKS


def _welcome(registry: Registry, known: User | None, username: str, password: str) -> User | None:
    if known is None:
        user = User(username=username, origin_registry=registry)
        user.set_unusable_password()
        try:
            user.full_clean(exclude=["password"])
            with transaction.atomic():
                user.save()
        except (ValidationError, IntegrityError):
            return None
        known = user
    credentials.store(user=known, registry=registry, username=username, password=password)
    external_people.give_groups(known, sign_in_groups.groups_of(username))
    return known
