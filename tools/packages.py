"""Programs that the demo and the tests need, found on PATH or fetched under `var/tools/bin/`. Standard library only.

`python3 -m tools.packages tests` fetches what the tests use. What cannot be had is named in one sentence with the
command that installs it, and the rest goes on: the tests that need it are skipped and say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from . import debian
from .common import BIN, LOGS, VAR, SetupProblem, exclusively, fail, is_root, say

REGISTRY_3 = "github.com/distribution/distribution/v3/cmd/registry@v3.1.1"
UNPACKED_POSTGRESQL = VAR / "tools" / "postgresql"
OLDEST_GO = (1, 21)  # from here on Go fetches by itself the newer toolchain that a module asks for


def main(arguments: list[str]) -> int:
    if arguments != ["tests"]:
        return fail("Usage: python3 -m tools.packages tests", 2)
    missing = for_tests()
    for sentence in missing:
        say(f"Not here: {sentence}")
    return 0


def for_tests() -> list[str]:
    """Fetch every program that the tests use; returns one sentence for each that could not be had."""
    wanted: dict[str, Callable[[], None]] = {
        "registry-2.8": _fetch_registry_2,
        "registry-3.1": _build_registry_3,
        "skopeo": lambda: _fetch_program("skopeo", "skopeo"),
        "chromium": lambda: _fetch_program("chromium", "chromium", "fonts-liberation"),
        "htpasswd": lambda: _fetch_program("htpasswd", "apache2-utils"),
        "postgresql": _fetch_postgresql,
    }
    missing = []
    for name, fetch in wanted.items():
        try:
            _unless_here(name, fetch)
        except SetupProblem as problem:
            missing.append(f"{name}: {problem}")
    return missing


def registry_for_demo() -> Path:
    """A registry to run: one on PATH, Debian's (fetched if need be), or a 3.1 built earlier. Raises SetupProblem."""
    for name in ("registry", "docker-registry"):
        found = shutil.which(name)
        if found and _is_distribution(found):
            return Path(found)
    try:
        _unless_here("registry-2.8", _fetch_registry_2)
    except SetupProblem as problem:
        if (BIN / "registry-3.1").exists():
            return BIN / "registry-3.1"
        raise SetupProblem(
            f"No registry to show: {problem} Put CNCF Distribution's `registry` on PATH, or name a running registry "
            "with DASHBOARD_REGISTRY_URL=http://…"
        ) from problem
    return BIN / "registry-2.8"


def postgresql() -> Path | None:
    """The directory of PostgreSQL's server programs: of the system, or unpacked here; the newest of several."""
    for root in (Path("/"), UNPACKED_POSTGRESQL):
        versions = [place.parent for place in root.glob("usr/lib/postgresql/*/bin/initdb")]
        if versions:
            return max(versions, key=lambda place: float(place.parent.name))
    elsewhere = shutil.which("initdb")
    return Path(elsewhere).resolve().parent if elsewhere else None


def _unless_here(name: str, fetch: Callable[[], None]) -> None:
    if (BIN / name).exists() or (not name.startswith("registry") and shutil.which(name)):
        return
    with exclusively("packages"):
        if not (BIN / name).exists():
            fetch()


def _is_distribution(program: str) -> bool:
    """Whether a program of that name is CNCF Distribution, and not something else called `registry`."""
    try:
        shown = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "distribution" in shown.stdout


def _fetch_registry_2() -> None:
    """Debian's docker-registry, unpacked and never installed: its package enables a service on port 5000."""
    if not debian.is_debian():
        raise SetupProblem("Debian's package docker-registry can be fetched on Debian and its relatives only.")
    root = debian.unpack("docker-registry", dependencies=False)
    debian.link("registry-2.8", root / "usr" / "bin" / "docker-registry")


def _fetch_postgresql() -> None:
    """Debian's PostgreSQL, unpacked and never installed: its package makes a cluster and starts it as a service."""
    if postgresql() is not None:
        return
    if not debian.is_debian():
        raise SetupProblem("install PostgreSQL's server with your system's package manager.")
    debian.unpack("postgresql", dependencies=True)
    if postgresql() is None:
        raise SetupProblem("not among what was fetched; install it with: apt install postgresql")


def _build_registry_3() -> None:
    go = shutil.which("go")
    if go is None or _go_version(go) < OLDEST_GO:
        wanted = ".".join(map(str, OLDEST_GO))
        raise SetupProblem(f"built with Go {wanted} or newer, which is not here; install it from https://go.dev/dl/")
    say("Building Distribution 3.1 with Go (once, some minutes) …")
    place = VAR / "tools" / "go-bin"
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / "go.log").open("w") as log:
        done = subprocess.run(
            [go, "install", REGISTRY_3],
            env={**os.environ, "GOBIN": str(place), "CGO_ENABLED": "0", "GOFLAGS": ""},
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise SetupProblem(f"could not be built, see var/log/go.log; repeat: GOBIN={place} go install {REGISTRY_3}")
    BIN.mkdir(parents=True, exist_ok=True)
    (place / "registry").replace(BIN / "registry-3.1")


def _go_version(go: str) -> tuple[int, ...]:
    shown = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout.strip()
    numbers = shown.removeprefix("go").split(".")[:2]
    return tuple(int(number) for number in numbers) if all(number.isdigit() for number in numbers) else (0,)


def _fetch_program(name: str, package: str, *more: str) -> None:
    """Install a program as root; without root unpack it, with what it needs and the system lacks."""
    if not debian.is_debian():
        raise SetupProblem(f"install it with your system's package manager (Debian's package is {package}).")
    if is_root():
        say(f"Installing Debian's {package} …")
        debian.install(package, *more)
        return
    try:
        root = debian.unpack(package, *more, dependencies=True)
    except SetupProblem as problem:
        raise SetupProblem(f"{problem} Install it with: apt install {' '.join((package, *more))}") from problem
    options = ("--policy", str(root / "etc/containers/policy.json")) if name == "skopeo" else ()
    program = "usr/lib/chromium/chromium" if name == "chromium" else f"usr/bin/{name}"
    debian.wrap(name, root, program, *options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
