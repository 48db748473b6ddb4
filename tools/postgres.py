"""The tests that use a database, once more on a PostgreSQL of their own (`python3 -m tools.postgres`).

Its cluster lies in a temporary directory, listens on a socket in there and nowhere else, and is removed afterwards.
PostgreSQL refuses to serve as root; root starts it as an ordinary user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote

from .common import ROOT, SetupProblem, is_root, say, tail
from .packages import UNPACKED_POSTGRESQL, postgresql
from .supervisor import die_with_parent

TESTS = ("-n", "3", "--dist", "loadgroup", "-m", "database", "tests/unit", "tests/views")
USER = "nobody"
SECONDS_TO_START = 30.0
HASTE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "jit=off", "max_connections=40")
"""Nothing in here outlives the tests, so nothing has to survive a crash."""


def main(arguments: list[str]) -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        with cluster() as url:
            return _pytest([*TESTS, *arguments], {**os.environ, "TEST_DATABASE_URL": url})
    except SetupProblem as problem:
        say(f"\n{' tests of each kind '.center(80, '=')}\n{'on PostgreSQL':22} {0:5} (not run: {problem})")
        return 0


@contextmanager
def cluster() -> Iterator[str]:
    """A PostgreSQL with nothing in it; yields its DATABASE_URL. Raises SetupProblem if there is none to be had."""
    programs = postgresql()
    if programs is None:
        raise SetupProblem("PostgreSQL is not here; `make setup` says why. On Debian: apt install postgresql")
    with tempfile.TemporaryDirectory(prefix="strata-postgres-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        server = _Server(directory, *_reachable(programs, directory), _other_user(directory))
        server.initialise()
        try:
            server.start()
            yield f"postgres://strata@{quote(name, safe='')}/strata"
        finally:
            server.end()


@dataclass(slots=True)
class _Server:
    """The programs at work in one directory, as one user."""

    directory: Path
    programs: Path
    libraries: str
    user: Mapping[str, Any]
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def initialise(self) -> None:
        how = ("--username=strata", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        if self._spawn("initdb", f"--pgdata={self.directory / 'data'}", *how).wait():
            raise SetupProblem(f"PostgreSQL's initdb failed: {self._last_words()}")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = ["listen_addresses=", f"unix_socket_directories={self.directory}", *HASTE]
        options = [option for setting in settings for option in ("-c", setting)]
        self.process = self._spawn("postgres", "-D", str(self.directory / "data"), *options)
        end = time.monotonic() + SECONDS_TO_START
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise SetupProblem(f"PostgreSQL did not start: {self._last_words()}")
            time.sleep(0.05)

    def end(self) -> None:
        """End it at once: its files are thrown away."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGQUIT)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _is_ready(self) -> bool:
        """The last line of this file is what pg_ctl waits for."""
        try:
            return (self.directory / "data" / "postmaster.pid").read_text().splitlines()[-1].strip() == "ready"
        except (OSError, IndexError):
            return False

    def _last_words(self) -> str:
        return " ".join(tail(self.log, 3).split())

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [self.programs / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env={"PATH": os.defpath, "LC_ALL": "C", "LD_LIBRARY_PATH": self.libraries},
                process_group=0,  # Ctrl-C is for the tests; this is ended after them
                preexec_fn=die_with_parent,  # no threads here, so it is safe
                **self.user,
            )


def _reachable(programs: Path, directory: Path) -> tuple[Path, str]:
    """The programs where the other user can run them, and the directories of the libraries unpacked with them."""
    if not programs.is_relative_to(UNPACKED_POSTGRESQL):
        return programs, ""
    root = UNPACKED_POSTGRESQL
    if is_root() and not all(place.stat().st_mode & stat.S_IXOTH for place in (root, *root.parents)):
        root = directory / "programs"
        left = shutil.ignore_patterns("libLLVM*", "bitcode", "doc", "man", "locale", "perl*")
        shutil.copytree(UNPACKED_POSTGRESQL, root, symlinks=True, ignore=left)
    libraries = sorted({str(found.parent) for found in root.glob("**/lib*.so*")})
    return root / programs.relative_to(UNPACKED_POSTGRESQL), ":".join(libraries)


def _other_user(directory: Path) -> Mapping[str, Any]:
    """As root: the user that the server runs as, who now owns the directory. Else nothing."""
    if not is_root():
        return {}
    entry = pwd.getpwnam(USER)
    os.chown(directory, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _pytest(arguments: list[str], environment: Mapping[str, str]) -> int:
    tests = subprocess.Popen([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, env=environment)
    signal.signal(signal.SIGINT, lambda *_: None)  # the terminal tells pytest too, which ends in its own manner
    try:
        return tests.wait()
    finally:
        tests.terminate()
        tests.wait()


def _stop(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
