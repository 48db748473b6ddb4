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
    "--no-emit-index-url",
    "--no-emit-trusted-host",
    "--strip-extras",
)


def main(arguments: list[str]) -> int:
    for name in ("requirements", "requirements-dev"):
        command = [str(VENV / "bin" / "pip-compile"), "--quiet", *OPTIONS, *arguments]
        done = subprocess.run([*command, f"--output-file={name}.txt", f"{name}.in"], cwd=ROOT, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
