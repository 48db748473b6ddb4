"""`.venv` with the locked requirements: made when missing, brought up to date when the lock files changed.

Runs before anything is installed, so standard library only. A start with nothing to do reads three small files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import venv
from pathlib import Path

from .common import LOGS, ROOT, SetupProblem, exclusively, fail, say, tail

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
OLDEST_PYTHON = (3, 11)
REQUIREMENTS = {
    "run": ("requirements.txt",),
    "development": (
        "requirements.txt",
        "requirements-postgresql.txt",
        "requirements-s3.txt",
        "requirements-oidc.txt",
        "requirements-dev.txt",
    ),
}


def main(arguments: list[str]) -> int:
    kind = arguments[0] if arguments else "run"
    if kind not in REQUIREMENTS:
        return fail(f"Not a kind of environment: {kind!r}; there are {', '.join(REQUIREMENTS)}.", 2)
    try:
        ensure(kind)
    except SetupProblem as problem:
        return fail(problem)
    return 0


def ensure(kind: str) -> None:
    """Bring `.venv` to what the lock files of this kind say. Raises SetupProblem."""
    if _is_current(kind):
        return
    with exclusively("environment"):
        if _is_current(kind):
            return
        _make()
        _install(kind)
        for done, files in REQUIREMENTS.items():
            if set(files) <= set(REQUIREMENTS[kind]):
                _stamp(done).write_text(_fingerprint(done))


def _is_current(kind: str) -> bool:
    try:
        return PYTHON.exists() and _stamp(kind).read_text() == _fingerprint(kind)
    except OSError:
        return False


def _stamp(kind: str) -> Path:
    return VENV / f".installed-{kind}"


def _fingerprint(kind: str) -> str:
    """Hash of the lock files and of the place, so that a moved checkout is noticed."""
    digest = hashlib.sha256(str(VENV).encode())
    for name in REQUIREMENTS[kind]:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def _make() -> None:
    if sys.version_info < OLDEST_PYTHON:
        raise SetupProblem(
            f"Python {'.'.join(map(str, OLDEST_PYTHON))} or newer is needed, this is {sys.version.split()[0]}: "
            "name a newer one with `make … PYTHON=/path/to/python3`."
        )
    if _is_usable():
        return
    if VENV.is_symlink():
        raise SetupProblem(f".venv is a link to {VENV.resolve()}, which was not made here: remove the link.")
    if importlib.util.find_spec("ensurepip") is None:
        raise SetupProblem("Python's venv module is not complete here; install it with: apt install python3-venv")
    say("Making .venv …")
    try:
        venv.create(VENV, clear=True, symlinks=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupProblem(f".venv could not be made ({error}); on Debian: apt install python3-venv") from error


def _is_usable() -> bool:
    """Whether `.venv` was made here and its Python is still there: a moved one holds scripts with the old path."""
    try:
        return PYTHON.exists() and str(VENV) in (VENV / "bin" / "pip").read_text()
    except OSError:
        return False


def _install(kind: str) -> None:
    say(f"Installing the locked Python packages ({kind}) …")
    log = LOGS / "pip.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [str(PYTHON), "-m", "pip", "install", "--require-hashes", "--no-input", "--disable-pip-version-check"]
    for name in REQUIREMENTS[kind]:
        command += ["-r", str(ROOT / name)]
    with log.open("w") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        errors = [line for line in tail(log, 60).splitlines() if line.startswith("ERROR:")]
        reason = errors[-1].removeprefix("ERROR:").strip() if errors else f"exit code {done.returncode}"
        raise SetupProblem(
            f"pip could not install the Python packages: {reason}\nCheck the network (or PIP_INDEX_URL and the other "
            f"PIP_ variables) and repeat the command; pip's whole output is in {log.relative_to(ROOT)}."
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
