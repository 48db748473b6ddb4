"""The first start: while nobody is here, whoever knows the code that `bootstrap` printed becomes the administrator.

The code is kept as a hash, is worth one use and MAX_TRIES tries, and a new one takes its place at each start.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from django.db import transaction
from django.utils import timezone

from dashboard.models import AuditEntry, SetUpCode, User

from . import audit
from .audit import Actor

MAX_TRIES = 10
WRONG, SPENT, DONE = "wrong", "spent", "done"
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _LENGTH = 5, 4


class SetUpRefused(Exception):
    """Nobody was made. `code`: WRONG; SPENT (too many tries, or there is no code); DONE (somebody is here by now)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def is_needed() -> bool:
    """Whether nobody is here yet."""
    return not User.objects.exists()


def new_code() -> str:
    """Makes a code, in place of any earlier one. It is told once, here."""
    code = "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)) for _ in range(_GROUPS))
    with transaction.atomic():
        SetUpCode.objects.all().delete()
        SetUpCode.objects.create(hashed=_hash(code), made_at=timezone.now())
    return code


def make_administrator(*, code: str, username: str, password: str, address: str) -> User:
    """The first administrator, for the right code. Raises SetUpRefused."""
    with transaction.atomic():
        row = SetUpCode.objects.select_for_update().first()
        if not is_needed():
            raise SetUpRefused(DONE)
        if row is None or row.tries >= MAX_TRIES:
            raise SetUpRefused(SPENT)
        right = hmac.compare_digest(row.hashed, _hash(code))
        if right:
            row.delete()
            user = User.objects.create_superuser(username=username, password=password)
            audit.record(
                actor=Actor(username, address),
                action=AuditEntry.Action.PERSON,
                outcome=AuditEntry.Outcome.DONE,
                code="first-administrator",
                reason=username,
            )
        else:
            row.tries += 1
            row.save(update_fields=["tries"])
    if not right:
        raise SetUpRefused(WRONG)
    return user


def _hash(code: str) -> str:
    """Of what was typed, however it was grouped."""
    return hashlib.sha256("".join(each for each in code.lower() if each.isalnum()).encode()).hexdigest()
