"""`python -m benchmarks [storage] [collection] [index] [lists] [--small]`: these measurements, or all, in turn.

`--small` runs each on little data: to see that they run, not what they find.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ALL = {
    "storage": ["--inodes", "4000", "--runs", "1"],
    "collection": ["--inodes", "4000", "--runs", "1"],
    "index": ["--inodes", "3000", "--tags", "200", "--runs", "2"],
    "lists": ["--repositories", "100", "--tags", "200", "--runs", "2"],
}
"""Each measurement, and what makes it small."""


def main(arguments: list[str]) -> int:
    """0 if all bounds hold, 1 if one is missed, 2 for a word that is no measurement."""
    small = "--small" in arguments
    chosen = [word for word in arguments if word != "--small"] or list(ALL)
    if unknown := [word for word in chosen if word not in ALL]:
        print(f"Not a measurement: {', '.join(unknown)}; there are {', '.join(ALL)}.", file=sys.stderr)
        return 2
    missed = []
    for name in chosen:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *(ALL[name] if small else [])]
        if subprocess.run(command, check=False, cwd=Path(__file__).resolve().parents[1]).returncode:
            missed.append(name)
    if missed:
        print(f"Bounds missed by: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
