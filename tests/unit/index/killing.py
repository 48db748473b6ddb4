"""`python -m tests.unit.index.killing DIRECTORY ROUNDS`: refreshes over DIRECTORY/storage that are killed, for a test.

Each round begins with an empty index in a database file of its own. A process that refreshes is killed (SIGKILL) at a
random moment, another one runs to the end, and its rows are compared with those of a refresh that nobody disturbed.
The processes are forks of one that has Django set up and no database open: twenty starts would take half a minute.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

REPOSITORIES, TAGS = 16, 2
SEED = 20261124


def grow(root: Path) -> None:
    """A storage of some repositories that share layers, with their past."""
    from tests.unit.storage.trees import Tree

    tree = Tree(root)
    base = tree.blob("base", 1000)
    for n in range(REPOSITORIES):
        name = f"team{n % 5}/app{n}"
        images = [tree.image(name, [base, tree.blob(f"{n} {t}", 10 + t)], note=f"{n} {t}") for t in range(TAGS)]
        index = tree.index(name, images[:2], note=f"{n}")
        for t, image in enumerate(images):
            tree.tag(name, f"1.{t}", images[0])
            tree.tag(name, f"1.{t}", image)
        tree.tag(name, "latest", index)


def main(directory: Path, rounds: int) -> int:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registryui.settings")
    django.setup()
    # Before there are other processes, so that none spends its life on imports.
    import dashboard.management.commands.refresh_index
    import dashboard.services.index.mount  # noqa: F401

    database = directory / "db.sqlite3"
    _in_a_process(lambda: _prepare(directory))
    empty = directory / "empty.sqlite3"
    shutil.copy(database, empty)
    began = time.monotonic()
    _in_a_process(_refresh)
    seconds = time.monotonic() - began
    undisturbed = rows(database)
    chance, different, killed = random.Random(SEED), [], 0
    for number in range(rounds):
        for suffix in ("", "-wal", "-shm"):
            Path(f"{database}{suffix}").unlink(missing_ok=True)
        shutil.copy(empty, database)
        killed += _killed_after(chance.uniform(0, 0.8 * seconds))
        with contextlib.closing(sqlite3.connect(database)) as opened:
            opened.execute("UPDATE dashboard_job SET lease_until = '2000-01-01'")
            opened.commit()
        _in_a_process(_refresh)
        if rows(database) != undisturbed:
            different.append(number)
    print(json.dumps({"killed": killed, "different": different, "tags": undisturbed["tags"]}))
    return 0


def _prepare(directory: Path) -> None:
    from django.core.management import call_command

    from dashboard.models import Registry

    call_command("migrate", verbosity=0)
    Registry.objects.create(
        slug="default", url="http://127.0.0.1:1", public_host="r", storage_root=str(directory / "storage")
    )


def _refresh() -> None:
    from django.core.management import call_command

    from dashboard.models import IndexState
    from dashboard.services.index import mount, refresh

    mount.judge = lambda *_: mount.Verdict(IndexState.Mount.BELONGS)
    refresh.AT_ONCE = 2  # as many transactions as a larger registry has
    with contextlib.redirect_stdout(io.StringIO()):
        call_command("refresh_index")


def _in_a_process(work: Callable[[], None]) -> None:
    if os.waitpid(_fork(work), 0)[1]:
        raise SystemExit("a process that nobody killed failed")


def _killed_after(seconds: float) -> bool:
    pid = _fork(_refresh)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def _fork(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 (the process ends below, whatever it was)
        traceback.print_exc()
    finally:
        from django.db import connection

        connection.close()
        sys.stderr.flush()
        os._exit(code)


_COMPARED = {
    "dashboard_indexedrepository": ("id", "read_at"),
    "dashboard_indexedtag": ("id", "read_at", "repository_id", "manifest_id"),
    "dashboard_tagperiod": ("id",),
    "dashboard_indexedmanifest": ("id",),
    "dashboard_indexedblob": ("id",),
    "dashboard_content": (),
}
_COUNTED = ("indexedrevision", "repositoryblob", "manifestblob", "manifestentry", "manifestlabel")


def rows(database: Path) -> dict[str, object]:
    """Everything that a refresh writes, without ids and the times of readings; the rows that join them are counted."""
    found: dict[str, object] = {}
    with contextlib.closing(sqlite3.connect(database)) as opened:
        for table, left_out in _COMPARED.items():
            columns = [row[1] for row in opened.execute(f"PRAGMA table_info({table})") if row[1] not in left_out]
            rows = opened.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
            found[table] = sorted(hashlib.sha256(repr(row).encode()).hexdigest() for row in rows)
        for table in _COUNTED:
            found[table] = opened.execute(f"SELECT count(*) FROM dashboard_{table}").fetchone()[0]
        found["tags"] = opened.execute("SELECT count(*) FROM dashboard_indexedtag").fetchone()[0]
    return found


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), int(sys.argv[2])))
