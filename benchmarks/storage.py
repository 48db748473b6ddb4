"""`python -m benchmarks.storage`: reading a storage directory, against `du -sb` on the same tree in the same run.

Makes its own tree (about 100,000 entries; `--inodes 1000000` for the large one) in a temporary directory. All sides
run several times in turn on a warm cache, and the best of each is compared. Fails where the ratio is above 0.5, where a
scan with the manifests of the one before remembered takes more than 0.8 of one without, where the memory of the scan
(both processes) is above 400 MiB, or where the sums do not match what was written.
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

MAX_RATIO = 0.5
MAX_REPEATED = 0.8
MAX_MEBIBYTES = 400

# In a process of its own, so that the memory is that of the scan; it remembers after the time is taken.
_MEASURE = """
import json, resource, sys, time
from pathlib import Path
from dashboard.storage import memory
from dashboard.storage.usage import account, take
kept = Path(sys.argv[2])
start = time.perf_counter()
remembered = memory.load(kept)
reading = take(Path(sys.argv[1]), now=time.time(), remembered=remembered)
usage = account(reading).to_json()
seconds = time.perf_counter() - start
if not remembered:
    memory.save(kept, reading.facts)
del usage["by_repository"], usage["by_namespace"], usage["problems"]
own, other = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps(usage | {"whole": seconds, "known": len(remembered), "mebibytes": (own + other) / 1024}))
"""


def main() -> int:
    """Runs the comparison; 0 if everything holds."""
    parser = argparse.ArgumentParser(description="reading a storage directory, against du -sb")
    parser.add_argument("--inodes", type=int, default=100_000, help="size of the tree (default: 100000)")
    parser.add_argument("--runs", type=int, default=7, help="how often each side runs (default: 7)")
    parser.add_argument("--in", dest="directory", help="where the tree is made (default: the temporary directory)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="strata-bench-", dir=arguments.directory) as made:
        root = Path(made)
        start = time.perf_counter()
        tree = Storage(root, arguments.inodes)
        tree.write()
        print(
            f"tree: {tree.entries:,} entries, {tree.revisions:,} revisions, made in {time.perf_counter() - start:.1f} s"
        )
        return _compare(root, tree, arguments.runs)


def _compare(root: Path, tree: Storage, runs: int) -> int:
    kept = root / "manifests"
    _du(root)
    _measure(root, kept)
    du, scans, repeated = [], [], []
    for _ in range(runs):
        kept.unlink()
        du.append(_du(root))
        scans.append(_measure(root, kept))
        repeated.append(_measure(root, kept))
    assert all(scan["known"] for scan in repeated)
    seconds = [scan["seconds"] for scan in scans]
    again = [scan["whole"] for scan in repeated]
    mebibytes = max(scan["mebibytes"] for scan in scans + repeated)
    ratio = min(seconds) / min(du)
    repeat = min(again) / min(scan["whole"] for scan in scans)
    print(f"du -sb:  {_list(du)} s")
    print(f"measure: {_list(seconds)} s")
    print(f"again:   {_list(again)} s, remembered manifests; {repeat:.3f} (at most {MAX_REPEATED})")
    print(f"ratio of the best: {ratio:.3f} (at most {MAX_RATIO}); memory {mebibytes:.0f} MiB (at most {MAX_MEBIBYTES})")
    last = scans[-1]
    total = sum(last[part]["bytes"] for part in ("tagged", "untagged", "orphans", "uploads"))
    failures = [
        *([f"the ratio is {ratio:.3f}"] if ratio > MAX_RATIO else []),
        *([f"a repeated scan is {repeat:.3f} of the first"] if repeat > MAX_REPEATED else []),
        *([f"{mebibytes:.0f} MiB of memory"] if mebibytes > MAX_MEBIBYTES else []),
        *([f"the parts sum to {total}, not to {tree.data_bytes}"] if total != tree.data_bytes else []),
    ]
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _du(root: Path) -> float:
    start = time.perf_counter()
    subprocess.run(["du", "-sb", str(root)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _measure(root: Path, kept: Path) -> dict[str, Any]:
    project = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(root), str(kept)],
        check=True,
        stdout=subprocess.PIPE,
        cwd=project,
        text=True,
    )
    usage: dict[str, Any] = json.loads(done.stdout)
    return usage


def _list(seconds: list[float]) -> str:
    return " ".join(f"{each:.3f}" for each in seconds)


if __name__ == "__main__":
    sys.exit(main())
