"""Debian packages fetched and unpacked without root and without installing them. Standard library only.

Where the system has no package lists (or old ones), lists of our own are fetched under `var/apt/`. An unpacked program
is started through a wrapper that points the loader at the libraries that came with it.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

from .common import BIN, LOGS, VAR, SetupProblem, say, tail

APT = VAR / "apt"
QUIET = ("-o", "Debug::NoLocking=1", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20", "-q", "-y")
OWN_LISTS = (
    "-o",
    f"Dir::State={APT / 'state'}",
    "-o",
    "Dir::State::status=/var/lib/dpkg/status",
    "-o",
    f"Dir::Cache={APT / 'cache'}",
    "-o",
    "APT::Sandbox::User=root",
)
TRIED_LISTS: set[str] = set()


def is_debian() -> bool:
    return all(shutil.which(name) for name in ("apt-get", "dpkg-deb"))


def unpack(package: str, *more: str, dependencies: bool) -> Path:
    """Unpack a package under `var/tools/<package>/` and return that directory.

    With `dependencies`, whatever it needs and the system lacks is unpacked beside it. Raises SetupProblem.
    """
    archives = APT / "archives" / package
    shutil.rmtree(archives, ignore_errors=True)
    (archives / "partial").mkdir(parents=True)
    say(f"Fetching Debian's {' '.join((package, *more))} …")
    try:
        if TRIED_LISTS or not _download(archives, package, *more, lists=(), dependencies=dependencies):
            _update_own_lists()
            if not _download(archives, package, *more, lists=OWN_LISTS, dependencies=dependencies):
                raise SetupProblem(
                    f"Debian's package {package} could not be fetched; see {_log().relative_to(VAR.parent)}."
                )
        target = VAR / "tools" / package
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for archive in sorted(archives.glob("*.deb")):
            if _run(["dpkg-deb", "-x", str(archive), str(target)]):
                raise SetupProblem(f"{archive.name} could not be unpacked; see {_log().relative_to(VAR.parent)}.")
    finally:
        shutil.rmtree(archives, ignore_errors=True)
    return target


def install(*packages: str) -> None:
    """Install packages system-wide as root, with a guard against started services. Raises SetupProblem."""
    command = ["apt-get", "install", *QUIET, "--no-install-recommends", *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with NoServices():
        if _run(command, environment) and (
            _run(["apt-get", "update", "-q"], environment) or _run(command, environment)
        ):
            last = tail(_log(), 1)
            raise SetupProblem(f"apt-get could not install {' '.join(packages)}: {last}")


def link(name: str, program: Path) -> None:
    """`var/tools/bin/<name>` for a program that needs nothing but itself."""
    BIN.mkdir(parents=True, exist_ok=True)
    place = BIN / name
    place.unlink(missing_ok=True)
    place.symlink_to(os.path.relpath(program, BIN))


def wrap(name: str, root: Path, program: str, *options: str) -> None:
    """`var/tools/bin/<name>`: starts `program` of the tree `root` with that tree's libraries and fonts."""
    libraries = sorted({str(found.parent) for found in root.glob("**/lib*.so*")})
    fonts = root / "fonts.conf"
    fonts.write_text(
        f"<fontconfig><dir>{root}/usr/share/fonts</dir><dir>/usr/share/fonts</dir>"
        f"<cachedir>{root}/fontconfig-cache</cachedir></fontconfig>\n"
    )
    BIN.mkdir(parents=True, exist_ok=True)
    place = BIN / name
    place.unlink(missing_ok=True)
    place.write_text(
        "#!/bin/sh\n"
        f'export LD_LIBRARY_PATH="{":".join(libraries)}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"\n'
        f'export FONTCONFIG_FILE="{fonts}"\n'
        f'exec "{root / program}" {" ".join(options)} "$@"\n'
    )
    place.chmod(0o755)


def _download(archives: Path, *packages: str, lists: tuple[str, ...], dependencies: bool) -> bool:
    if dependencies:
        place = ("-o", f"Dir::Cache::archives={archives}")
        command = [
            "apt-get",
            "install",
            *QUIET,
            *lists,
            *place,
            "--no-install-recommends",
            "--download-only",
            *packages,
        ]
    else:
        command = ["apt-get", "download", *QUIET, *lists, *packages]
    return not _run(command, cwd=archives) and any(archives.glob("*.deb"))


def _update_own_lists() -> None:
    if TRIED_LISTS:
        return
    TRIED_LISTS.add("update")
    (APT / "state" / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (APT / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    say("Fetching Debian's package lists …")
    _run(["apt-get", "update", *QUIET, *OWN_LISTS])


class NoServices:
    """A policy-rc.d that forbids starting services while packages are installed; puts back what was there before."""

    POLICY = Path("/usr/sbin/policy-rc.d")
    KEPT = Path("/usr/sbin/policy-rc.d.before-strata")

    def __enter__(self) -> None:
        if self.POLICY.exists() and not self.KEPT.exists():
            self.POLICY.rename(self.KEPT)
        self.POLICY.write_text("#!/bin/sh\nexit 101\n")
        self.POLICY.chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)

    def __exit__(self, *_: object) -> None:
        self.POLICY.unlink(missing_ok=True)
        if self.KEPT.exists():
            self.KEPT.rename(self.POLICY)


def _run(command: list[str], environment: dict[str, str] | None = None, cwd: Path | None = None) -> int:
    LOGS.mkdir(parents=True, exist_ok=True)
    with _log().open("a") as log:
        log.write(f"$ {' '.join(command)}\n")
        log.flush()
        done = subprocess.run(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            cwd=cwd,
            check=False,
        )
    return done.returncode


def _log() -> Path:
    return LOGS / "packages.log"
