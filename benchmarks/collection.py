"""`python -m benchmarks.collection`: the preview of a collection, against the registry's own dry run on the same tree.

The preview is a scan and the marking of one collector, layer links read where that collector reads them (3.x). Both run
in turn on a warm cache in processes of their own; the best of each is compared. Fails where the ratio is above 0.5 or
the two do not name the same number of blobs. Collectors that are not here are left out, and that is said.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.trees import Storage
from tests.support.collectors import collect
from tests.support.registries import KINDS, Kind, binary, missing

MAX_RATIO = 0.5

_PREVIEW = """
import json, sys, time
from dashboard.storage.collection import Family, preview
from dashboard.storage.garbage import Graph
from dashboard.storage.scan import Scan
v2, three, untagged = sys.argv[1], sys.argv[2] == "3.1", sys.argv[3] == "-m"
start = time.perf_counter()
facts = Scan(v2, young_after=0.0).run()
seen = preview(v2, facts, Graph(facts), links=three)
seconds = time.perf_counter() - start
outcome = seen.of(Family.THREE if three else Family.TWO, untagged=untagged)
print(json.dumps({"seconds": seconds, "blobs": outcome.freed.count}))
"""


def main() -> int:
    """Runs the comparison; 0 if everything holds."""
    parser = argparse.ArgumentParser(description="the preview of a collection, against the registry's dry run")
    parser.add_argument("--inodes", type=int, default=100_000, help="size of the tree (default: 100000)")
    parser.add_argument("--runs", type=int, default=3, help="how often each side runs (default: 3)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="strata-bench-") as made:
        root = Path(made) / "storage"
        root.mkdir()
        tree = Storage(root, arguments.inodes)
        tree.write()
        print(f"tree: {tree.entries:,} entries, {tree.revisions:,} revisions")
        failures: list[str] = []
        for kind in KINDS:
            if binary(kind) is None:
                print(f"left out: {missing(kind)}")
                continue
            for option in ("", "-m"):
                failures += _compare(root, kind, option, arguments.runs)
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _compare(root: Path, kind: Kind, option: str, runs: int) -> list[str]:
    what = f"{kind} {option}".strip()
    _preview(root, kind, option)
    theirs, ours = [], []
    for _ in range(runs):
        start = time.perf_counter()
        run = collect(kind, root, "--dry-run", *([option] if option else []))
        theirs.append(time.perf_counter() - start)
        ours.append(_preview(root, kind, option))
    ratio = min(each["seconds"] for each in ours) / min(theirs)
    best = f"{min(each['seconds'] for each in ours):.3f} s against {min(theirs):.3f} s"
    print(f"{what:<7} {best}: {ratio:.3f} (at most {MAX_RATIO})")
    counted = len(run.run.blobs) if run.run else None
    return [
        *([f"{what}: the ratio is {ratio:.3f}"] if ratio > MAX_RATIO else []),
        *([f"{what}: {ours[-1]['blobs']} blobs, not {counted}"] if ours[-1]["blobs"] != counted else []),
    ]


def _preview(root: Path, kind: Kind, option: str) -> dict[str, Any]:
    project = Path(__file__).resolve().parents[1]
    v2 = str(root / "docker" / "registry" / "v2")
    command = [sys.executable, "-c", _PREVIEW, v2, kind, option]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=project, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
