"""Writes that a page may do without: left out when the database is busy, and the wait is as it was afterwards."""

from __future__ import annotations

import time
from threading import Event, Thread

import pytest
from django.db import OperationalError, connection, transaction

from dashboard.models import Content
from dashboard.services.quick_writes import write_within

pytestmark = pytest.mark.django_db


def wait() -> object:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout" if connection.vendor == "sqlite" else "SHOW lock_timeout")
        return cursor.fetchone()[0]


def test_written_within_the_wait_which_is_restored() -> None:
    before, within = wait(), []
    assert write_within(200, lambda: within.append(wait()) or Content.objects.create(digest="d", raw=b"x"))  # type: ignore[func-returns-value]
    assert Content.objects.get().digest == "d"
    assert within == [200 if connection.vendor == "sqlite" else "200ms"]
    assert wait() == before


def test_left_out_as_a_whole_when_the_database_is_busy() -> None:
    before = wait()

    def write() -> None:
        Content.objects.create(digest="d", raw=b"x")
        raise OperationalError("database is locked")

    assert write_within(200, write) is False
    assert not Content.objects.exists()
    assert wait() == before


def test_fault_of_our_own_is_not_hidden() -> None:
    before = wait()
    with pytest.raises(ZeroDivisionError):
        write_within(200, lambda: 1 // 0)
    assert wait() == before


@pytest.mark.django_db(transaction=True)
def test_waits_no_longer_than_it_was_told_for_somebody_who_writes() -> None:
    """Somebody else holds the write lock (SQLite) or a row of the same key (PostgreSQL) for as long as we try."""
    writing, tried = Event(), Event()

    def somebody() -> None:
        try:
            with transaction.atomic():
                Content.objects.create(digest="d", raw=b"theirs")
                writing.set()
                tried.wait(10)
        finally:
            connection.close()

    other = Thread(target=somebody)
    other.start()
    assert writing.wait(10)
    began = time.monotonic()
    written = write_within(100, lambda: Content.objects.create(digest="d", raw=b"ours"))
    waited = time.monotonic() - began
    tried.set()
    other.join()
    assert not written
    assert waited < 5
    assert bytes(Content.objects.get().raw) == b"theirs"
