"""Compile requirements*.in into requirements*.txt with versions and hashes (`make lock`)."""

from __future__ import annotations

import subprocess
import sys

from .common import ROOT
from .environment import VENV

OPTIONS = (
    "--allow-unsafe",
    "--generate-hashes",
    "--no-annotate",
    "--no-emit-find-links",
    "--no-emit-index-url",
    "--no-emit-trusted-host",
    "--strip-extras",
)

NAMES = ("requirements", "requirements-postgresql", "requirements-s3", "requirements-oidc", "requirements-dev")
"""In this order: each is constrained by those before it, so that all of them can be installed together."""


def main(arguments: list[str]) -> int:
    for name in NAMES:
        command = [str(VENV / "bin" / "pip-compile"), "--quiet", *OPTIONS, *arguments]
        done = subprocess.run([*command, f"--output-file={name}.txt", f"{name}.in"], cwd=ROOT, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
