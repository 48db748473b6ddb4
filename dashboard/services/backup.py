"""Backup: what is ours as lines of JSON, compressed; and back into an empty database, of either kind.

The index is left out, it is read again; so are sessions, and the queue's messages, which job rows make superfluous.
Secrets stay encrypted under the keys of the environment.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from django.contrib.auth.models import Group
from django.core import serializers
from django.core.management.color import no_style
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction

from dashboard.models import (
    AccessRule,
    Alert,
    AuditEntry,
    Collection,
    Credential,
    Deletion,
    DeletionItem,
    DeletionPlan,
    ExternalIdentity,
    NotificationState,
    ProtectedMove,
    PullDay,
    Registry,
    RegistryEvent,
    RepositoryGrowth,
    TagPeriod,
    TagRule,
    Thresholds,
    TrashedManifest,
    UsageSnapshot,
    User,
)

FORMAT = "strata-backup-1"
AT_ONCE = 500
KEPT: tuple[type[models.Model], ...] = (
    Registry,
    Group,
    User,
    AccessRule,
    ExternalIdentity,
    Credential,
    UsageSnapshot,
    RepositoryGrowth,
    Collection,
    DeletionPlan,
    Deletion,
    DeletionItem,
    TrashedManifest,
    TagPeriod,
    TagRule,
    ProtectedMove,
    Thresholds,
    Alert,
    NotificationState,
    PullDay,
    RegistryEvent,
    AuditEntry,
)
"""In an order in which each row's references are there before it."""


class _Exact(DjangoJSONEncoder):
    """Django's own cuts times to milliseconds; pages compare them with the files of a storage."""

    def default(self, o: object) -> object:
        return o.isoformat() if isinstance(o, dt.datetime) else super().default(o)


class NotABackup(Exception):
    """The file cannot be read as a backup; the text says why."""


class NotEmpty(Exception):
    """The database holds something of its own already."""


def backup(file: Path) -> int:
    """Writes everything of ours to `file` (gzip, mode 0600) from one moment; how many rows. Raises OSError."""
    rows = 0
    file.touch(mode=0o600)
    with gzip.open(file, "wt", encoding="utf-8") as out, transaction.atomic():
        out.write(json.dumps({"format": FORMAT}) + "\n")
        for model in KEPT:
            for row in model._default_manager.order_by("pk").iterator(AT_ONCE):
                out.write(serializers.serialize("jsonl", [row], use_natural_foreign_keys=True, cls=_Exact))
                rows += 1
    return rows


def restore(file: Path) -> int:
    """Reads `file` into this database; how many rows. All or nothing.

    Raises NotEmpty where somebody has signed in or something was deleted here already; people and registries that
    `bootstrap` made give way. Raises NotABackup, OSError.
    """
    if Deletion.objects.exists() or TagPeriod.objects.exists() or User.objects.exclude(last_login=None).exists():
        raise NotEmpty
    rows = 0
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines, transaction.atomic():
            if json.loads(next(lines, "{}")).get("format") != FORMAT:
                raise NotABackup("it does not begin as one")
            for model in reversed(KEPT):
                model._default_manager.all().delete()
            for rows, found in enumerate(_objects(lines), start=1):  # noqa: B007 (counted)
                found.save()
            _mend_sequences()
    except (serializers.base.DeserializationError, ValueError, EOFError, gzip.BadGzipFile) as error:
        raise NotABackup(str(error)[:200]) from error
    return rows


def _objects(lines: Iterator[str]) -> Iterator[serializers.base.DeserializedObject]:
    allowed = {model._meta.label_lower for model in KEPT}
    for found in serializers.deserialize("jsonl", lines):
        if found.object._meta.label_lower not in allowed:
            raise NotABackup(f"{found.object._meta.label_lower} does not belong in it")
        yield found


def _mend_sequences() -> None:
    """Rows came with their ids; PostgreSQL has to count on from the highest."""
    statements = connection.ops.sequence_reset_sql(no_style(), list(KEPT))
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
