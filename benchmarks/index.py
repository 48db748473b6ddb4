"""`python -m benchmarks.index`: what the index costs, against the least that its readings could cost, in one run.

* from the storage: the whole first index, database writes included, at most 4 × `du -sb` on the same tree;
* over the API: requests per second of the first index, at least 0.8 of a bare loop of the same requests with the same
  client and concurrency, compared pair by pair, as the registry itself is not equally fast from minute to minute;
* the check of a repository's page: at most 2 × a bare loop of `os.stat` over the same links.

Makes its own tree and database; the registry is a real one. Fails where a ratio is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from benchmarks.trees import Storage

if TYPE_CHECKING:
    from dashboard.models import Registry

MAX_OF_DU = 4.0
MIN_OF_BARE = 0.8
MAX_OF_STAT = 2.0
T = TypeVar("T")


def main() -> int:
    """Runs the comparisons; 0 if everything holds."""
    parser = argparse.ArgumentParser(description="what the index costs")
    parser.add_argument("--inodes", type=int, default=100_000, help="size of the tree (default: 100000)")
    parser.add_argument("--tags", type=int, default=5000, help="of the repository that is checked (default: 5000)")
    parser.add_argument("--runs", type=int, default=3, help="how often each side runs (default: 3)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="strata-bench-") as made, _django(Path(made)):
        from tests.support.registries import KINDS, binary, start_registry

        kind = next((kind for kind in KINDS if binary(kind)), None)
        if kind is None:
            print("not run: no registry here (make setup fetches it)")
            return 0
        running = start_registry(kind, Path(made) / "registry")
        try:
            tree = Storage(running.root, arguments.inodes)
            tree.write()
            print(f"tree: {tree.entries:,} entries, {tree.revisions:,} revisions; registry {kind}")
            failures = [
                *_by_storage(running.url, running.root, arguments.runs),
                *_by_api(running.url, arguments.runs),
                *_check(running.url, running.root, arguments.tags, arguments.runs),
            ]
        finally:
            running.stop()
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _by_storage(url: str, root: Path, runs: int) -> list[str]:
    du: list[float] = []
    firsts: list[float] = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(["du", "-sb", str(root)], check=True, stdout=subprocess.DEVNULL)
        du.append(time.perf_counter() - start)
        registry = _registry(url, root)
        firsts.append(_seconds(partial(_refresh, registry)))
    ratio = min(firsts[1:]) / min(du[1:])
    print(f"du -sb {_list(du)} s; first index from the storage {_list(firsts)} s")
    print(f"first index of du: {ratio:.2f} (at most {MAX_OF_DU})")
    return [f"the first index took {ratio:.2f} of du"] if ratio > MAX_OF_DU else []


def _by_api(url: str, runs: int) -> list[str]:
    rates: list[float] = []
    bare: list[float] = []
    for _ in range(runs + 2):
        registry = _registry(url, None)
        with _recorded() as calls:
            took = _seconds(partial(_refresh, registry))
        rates.append(len(calls) / took)
        bare.append(len(calls) / _seconds(partial(_replay, url, calls)))
    ratio = statistics.median(ours / theirs for ours, theirs in zip(rates, bare, strict=True))
    print(f"requests per second: first index over the API {_list(rates)}, bare loop of the same {_list(bare)}")
    print(f"rate of the bare loop: {ratio:.2f}, the middle of the pairs (at least {MIN_OF_BARE})")
    return [f"the index over the API ran at {ratio:.2f} of a bare loop"] if ratio < MIN_OF_BARE else []


def _check(url: str, root: Path, tags: int, runs: int) -> list[str]:
    from dashboard.models import User
    from dashboard.registry.references import RepositoryName
    from dashboard.services import access
    from dashboard.services.index.check import check

    _large_repository(root, tags)
    registry = _registry(url, root)
    _refresh(registry)
    entered = access.access_to(user=User.objects.get_or_create(username="bench")[0], registry=registry, budget=None)
    directory = root / "docker/registry/v2/repositories/large/_manifests/tags"
    links = [f"{tag}/current/link" for tag in sorted(directory.iterdir())]

    def stats() -> None:
        for link in links:
            os.stat(link)  # noqa: PTH116 (what is compared with)

    check(entered, RepositoryName("large"), [])
    bare = min(_seconds(stats) for _ in range(runs * 3))
    checks = min(_seconds(lambda: check(entered, RepositoryName("large"), [])) for _ in range(runs * 3))
    print(f"check of {len(links):,} tags {checks * 1000:.1f} ms; os.stat of their links {bare * 1000:.1f} ms")
    print(f"check of os.stat: {checks / bare:.2f} (at most {MAX_OF_STAT})")
    return [f"the check took {checks / bare:.2f} of os.stat"] if checks / bare > MAX_OF_STAT else []


def _large_repository(root: Path, tags: int) -> None:
    """A repository of many tags of one image of its own."""
    storage = Storage(root, 0, seed=3)
    digest = storage.image("large", [])
    for number in range(tags):
        storage.tag("large", f"t{number}", digest)


def _registry(url: str, root: Path | None) -> Registry:
    """The registry's row, with an empty index and no content."""
    from dashboard.models import Content, IndexedBlob, IndexedManifest, Registry, TagPeriod
    from dashboard.services.index import refresh

    registry, _ = Registry.objects.update_or_create(
        slug="bench", defaults={"url": url, "public_host": "bench", "storage_root": str(root or "")}
    )
    refresh.empty(registry)
    for model in (TagPeriod, IndexedManifest, IndexedBlob, Content):
        model.objects.all().delete()
    return registry


def _refresh(registry: Registry) -> None:
    from django.utils import timezone

    from dashboard.services.index import refresh

    outcome = refresh.refresh(registry, since=timezone.now(), beat=lambda _done, _total: None)
    assert not outcome.notices, outcome.notices


@contextmanager
def _recorded() -> Iterator[list[tuple[str, str, dict[str, str]]]]:
    """Within it, what the client asks of registries is noted: method, path, headers."""
    from dashboard.registry import exchange

    calls: list[tuple[str, str, dict[str, str]]] = []
    kept = exchange.Exchange.ask

    def ask(self: exchange.Exchange, call: exchange.Call) -> exchange.Answer:
        calls.append((call.method, call.path, dict(call.headers)))
        return kept(self, call)

    exchange.Exchange.ask = ask  # type: ignore[method-assign]
    try:
        yield calls
    finally:
        exchange.Exchange.ask = kept  # type: ignore[method-assign]


def _replay(url: str, calls: list[tuple[str, str, dict[str, str]]]) -> None:
    """The same requests by the same client, eight at a time, and nothing besides."""
    from dashboard.registry import errors
    from dashboard.registry.calls import Call
    from dashboard.registry.client import RegistryClient
    from dashboard.services.parallel import CONCURRENCY

    with closing(RegistryClient(url)) as client, ThreadPoolExecutor(CONCURRENCY) as pool:
        exchange = client.session()._exchange

        def one(call: tuple[str, str, dict[str, str]]) -> None:
            try:
                exchange.ask(Call("bench", call[0], call[1], headers=call[2], redirects=True))
            except errors.RegistryError:
                return

        list(pool.map(one, calls))


@contextmanager
def _django(directory: Path) -> Iterator[None]:
    """The dashboard in this process, with a database of its own."""
    os.environ.update(
        DJANGO_SETTINGS_MODULE="registryui.settings",
        SECRET_KEY="a key for measurements alone, of sixty-four characters or more",
        DASHBOARD_STATE_DIR=str(directory),
        DATABASE_URL="",
    )
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    yield


def _seconds(work: Callable[[], T]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _list(figures: list[float]) -> str:
    return " ".join(f"{each:.3g}" for each in figures)


if __name__ == "__main__":
    sys.exit(main())
