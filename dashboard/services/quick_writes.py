"""Writes that a page may do without: they wait at most a moment for the write lock, and are left out otherwise."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import OperationalError, connection, transaction

logger = logging.getLogger(__name__)


def write_within(milliseconds: int, write: Callable[[], object]) -> bool:
    """Runs `write` in a transaction of its own that waits at most `milliseconds` for a lock; whether it was written."""
    try:
        with patience(milliseconds), transaction.atomic():
            write()
    except OperationalError:
        logger.info("a write was left out: the database was busy")
        return False
    return True


class patience:  # noqa: N801 (reads as a statement)
    """Shortens the wait for locks on this thread's connection to `milliseconds`, and restores it."""

    def __init__(self, milliseconds: int) -> None:
        self.milliseconds = milliseconds

    def __enter__(self) -> None:
        self._set(self.milliseconds)

    def __exit__(self, *exc: object) -> None:
        if connection.vendor == "sqlite":
            self._set(int(connection.settings_dict["OPTIONS"].get("timeout", 5) * 1000))
        else:
            self._set(0)

    def _set(self, milliseconds: int) -> None:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute(f"PRAGMA busy_timeout = {int(milliseconds)}")
            elif connection.vendor == "postgresql":
                cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{int(milliseconds)}ms"])
