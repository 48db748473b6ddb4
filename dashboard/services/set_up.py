"""The first start: while there is nobody, one code, printed by `bootstrap`, makes the administrator."""

from __future__ import annotations

import base64
import secrets

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from dashboard.models import AuditEntry, SetUpCode, User

from . import audit, tokens
from .audit import Actor

MAX_TRIES = 10
BYTES, GROUP = 10, 4
SET_UP = "set-up"
"""The code in the audit."""


class WrongCode(Exception):
    """It is not the code. `left`: how many more may be tried."""

    def __init__(self, left: int) -> None:
        super().__init__(left)
        self.left = left


class OutOfCodes(Exception):
    """There is no code, or too many wrong ones were tried: `bootstrap` prints a new one."""


class Taken(Exception):
    """There is somebody already."""


def is_needed() -> bool:
    """Whether there is nobody yet."""
    return not User.objects.exists()


def new_code() -> str:
    """A code in place of an earlier one, to be printed; only its hash is kept."""
    text = base64.b32encode(secrets.token_bytes(BYTES)).decode()
    with transaction.atomic():
        SetUpCode.objects.all().delete()
        SetUpCode.objects.create(code_hash=tokens.hashed(text), created_at=timezone.now())
    return "-".join(text[i : i + GROUP] for i in range(0, len(text), GROUP))


def make_administrator(*, code: str, username: str, password: str, address: str) -> User:
    """Makes the administrator of everything, if the code is right; the code is void then.

    Raises WrongCode, OutOfCodes, Taken. Name and password were checked before.
    """
    row = SetUpCode.objects.order_by("-pk").first()
    # Counted before it is compared, so that many at once are not more tries.
    if row is None or not SetUpCode.objects.filter(pk=row.pk, tries__lt=MAX_TRIES).update(tries=F("tries") + 1):
        raise OutOfCodes
    row = SetUpCode.objects.filter(pk=row.pk).first()
    if row is None:
        raise Taken
    if not tokens.same(row.code_hash, tokens.hashed("".join(code.upper().replace("-", " ").split()))):
        raise WrongCode(MAX_TRIES - row.tries)
    with transaction.atomic():
        if not SetUpCode.objects.filter(pk=row.pk).delete()[0] or not is_needed():
            raise Taken
        user = User.objects.create_superuser(username=username, password=password)
        audit.record(
            actor=Actor(username, address),
            action=AuditEntry.Action.PERSON,
            outcome=AuditEntry.Outcome.DONE,
            code=SET_UP,
        )
    return user
