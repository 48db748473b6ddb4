"""`python -m benchmarks.lists`: what lists cost in the server as the index grows; ratios within one run.

Makes indexes of its own in SQLite databases (10,000 repositories with 100,000 tags, and a tenth of it; shared base
layers, namespaces, a few indexes of two platforms), each in a process of its own, and asks Django's handler for pages
as a browser would: session, gate, queries, template. The check against the source is left out. Fails where a page at
full size costs more than 1.5 of that at a tenth, or a page of a repository of 10,000 tags more than 1.3 of that of one
of 100; prints the 95th percentiles, and what a page costs that is asked for the first time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

MAX_GROWTH = 1.5
MAX_TAGS = 1.3
WANTED_MILLISECONDS = 100.0
MAX_MEBIBYTES = 200
REPOSITORIES = 10_000
TAGS_EACH = 10
SORTS = ("name", "tags", "size", "exclusive", "pushed", "pulled")
STORAGE_SORTS = ("name", "tags", "size", "exclusive", "shared", "untagged")
SNAPSHOTS = 365
HOME = "/registries/default/"


def main() -> int:
    """Runs the comparison; 0 if everything holds."""
    parser = argparse.ArgumentParser(description="lists at full size against a tenth")
    parser.add_argument("--repositories", type=int, default=REPOSITORIES, help="at full size (default: 10000)")
    parser.add_argument("--tags", type=int, default=10_000, help="of the large repository (default: 10000)")
    parser.add_argument("--runs", type=int, default=30, help="how often each page is asked for (default: 30)")
    parser.add_argument(
        "--in", dest="directory", help="where the databases are made (default: the temporary directory)"
    )
    parser.add_argument("--make", type=int, metavar="REPOSITORIES", help=argparse.SUPPRESS)
    parser.add_argument("--ask", type=int, metavar="REPOSITORIES", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        print(json.dumps(_make(arguments.make, arguments.tags)))
        return 0
    if arguments.ask:
        print(json.dumps(_measure(arguments.ask, arguments.runs)))
        return 0
    with tempfile.TemporaryDirectory(prefix="strata-bench-", dir=arguments.directory) as made:
        large = _child(Path(made) / "large", arguments.repositories, arguments.tags, arguments.runs)
        small = _child(Path(made) / "small", arguments.repositories // 10, arguments.tags, arguments.runs)
    return _compare(large, small)


def _child(state: Path, repositories: int, tags: int, runs: int) -> dict[str, Any]:
    """Makes an index and asks for its pages, each in a process of its own: caches and memory are those of the pages."""
    state.mkdir()
    environment = os.environ | {
        "SECRET_KEY": "a key for measurements alone, of sixty-four characters or some more",
        "DASHBOARD_CREDENTIAL_KEYS": "bWVhc3VyZW1lbnRzIGFsb25lLCAzMiBieXRlcyBsbyE=",
        "DASHBOARD_STATE_DIR": str(state),
        "DATABASE_URL": f"sqlite:///{state / 'strata.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": "registryui.settings",
        "DEBUG": "false",
    }
    command = [sys.executable, "-m", "benchmarks.lists", "--runs", str(runs), "--tags", str(tags)]
    project = Path(__file__).resolve().parents[1]
    found: dict[str, Any] = {}
    for step in ("--make", "--ask"):
        done = subprocess.run(
            [*command, step, str(repositories)],
            check=True,
            stdout=subprocess.PIPE,
            cwd=project,
            env=environment,
            text=True,
        )
        found |= json.loads(done.stdout.splitlines()[-1])
    return found


def _compare(large: dict[str, Any], small: dict[str, Any]) -> int:
    """Prints the figures; the best of each side are compared, as others may be using the machine."""
    failures = []
    for name, it in (("full size", large), ("a tenth", small)):
        print(f"{name}: {it['repositories']:,} repositories, {it['tags']:,} tags, made in {it['seconds']:.1f} s")
    print(f"{'milliseconds':34}{'a tenth':>10}{'full size':>10}{'ratio':>7}{'95 %':>8}{'first':>8}")
    for name, times in large["pages"].items():
        before, now = min(small["pages"][name]), min(times)
        late, first = statistics.quantiles(times, n=20)[-1], large["first"][name]
        print(f"{name:34}{before:10.1f}{now:10.1f}{now / before:7.2f}{late:8.1f}{first:8.1f}")
        if now / before > MAX_GROWTH:
            failures.append(f"{name}: {now / before:.2f} times a tenth (at most {MAX_GROWTH})")
    for sort in large["tags_sorts"]:
        many, few = (min(large["pages"][f"{name} tags by {sort}"]) for name in ("10,000", "100"))
        print(f"10,000 tags by {sort} against 100: {many / few:.2f} (at most {MAX_TAGS})")
        if many / few > MAX_TAGS:
            failures.append(f"tags by {sort}: {many / few:.2f} (at most {MAX_TAGS})")
    late = statistics.quantiles([each for times in large["pages"].values() for each in times], n=20)[-1]
    print(f"95th percentile of all pages at full size: {late:.0f} ms (wanted: {WANTED_MILLISECONDS:.0f})")
    print(f"memory after all pages at full size: {large['mebibytes']:.0f} MiB (at most {MAX_MEBIBYTES})")
    if large["mebibytes"] > MAX_MEBIBYTES:
        failures.append(f"{large['mebibytes']:.0f} MiB of memory (at most {MAX_MEBIBYTES})")
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _make(repositories: int, tags: int) -> dict[str, Any]:
    """In a process of its own: an index of this size."""
    import django

    django.setup()
    from django.core.management import call_command

    from dashboard.services.index.write import keep_statistics

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    start = time.perf_counter()
    _generate(repositories, tags)
    _scan(repositories)
    keep_statistics()
    seconds = time.perf_counter() - start
    return {"repositories": repositories, "tags": repositories * TAGS_EACH + tags + 100, "seconds": seconds}


def _measure(repositories: int, runs: int) -> dict[str, Any]:
    """In a process of its own: milliseconds of each page, and the memory that browsing them all took."""
    import django

    django.setup()
    pages = {f"repositories by {sort}": f"?view=tree&sort={sort}" for sort in SORTS}
    pages |= {f"repositories flat by {sort}": f"?view=flat&sort={sort}" for sort in SORTS}
    pages |= {"repositories flat, middle page": f"?view=flat&page={repositories // 100}"}
    pages |= {"repositories with a filter": "?view=flat&name=service-1"}
    tags_sorts = ("size", "pushed", "name", "created", "pulled")
    names = {"10,000": "large/ten-thousand", "100": "large/hundred"}
    tags_pages = {
        f"{size} tags by {sort}": f"{name}/?sort={sort}" for size, name in names.items() for sort in tags_sorts
    }
    searches = {
        "search: part of a tag": "7.1",
        "search: part of a name": "service-77",
        "search: nothing": "zzz",
        "search: a digest": "sha256:006d616e",
    }
    found = {name: f"/search/?q={text}" for name, text in searches.items()}
    storage = {"storage": "-/storage/", "storage, gone into": "-/storage/?in=team-0"}
    storage |= {f"storage by {sort}": f"-/storage/repositories/?sort={sort}" for sort in STORAGE_SORTS}
    storage |= {"storage of a repository": "team-0/service-0/-/storage/"}
    first, times = _ask(pages | tags_pages | found | storage, runs)
    return {
        "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "first": first,
        "pages": times,
        "tags_sorts": tags_sorts,
    }


def _ask(pages: dict[str, str], runs: int) -> tuple[dict[str, float], dict[str, list[float]]]:
    from django.test import Client
    from django.utils import timezone

    from dashboard.models import User
    from dashboard.services import connections
    from dashboard.services.index.check import Checked
    from dashboard.views import tags
    from tests.fake_registry import FakeRegistry

    tags.check = lambda *_: Checked(timezone.now(), whole=True)  # type: ignore[assignment]
    browser = Client(SERVER_NAME="localhost")
    browser.force_login(User.objects.create_user("reader"))
    first: dict[str, float] = {}
    times: dict[str, list[float]] = {}
    with (
        FakeRegistry("3.1") as registry,
        connections.clients_made_by(lambda row: registry.client(name=row.public_host)),
    ):
        browser.get(HOME)
        for name, address in pages.items():
            first[name] = _time(browser, address)
            _time(browser, address)
            times[name] = [_time(browser, address) for _ in range(runs)]
    return first, times


def _time(browser: Any, address: str) -> float:
    start = time.perf_counter()
    response = browser.get(address if address.startswith("/") else HOME + address)
    spent = (time.perf_counter() - start) * 1000
    assert response.status_code == 200, response.status_code
    assert b"</table>" in response.content or address.startswith("/search/"), address
    return spent


def _generate(repositories: int, tags: int, seed: int = 7) -> None:
    """Fills the index of one registry."""
    from datetime import timedelta

    from django.utils import timezone

    from dashboard.models import (
        IndexedBlob,
        IndexedManifest,
        IndexedRepository,
        IndexedRevision,
        IndexedTag,
        IndexState,
        ManifestBlob,
        Registry,
        RepositoryBlob,
    )
    from dashboard.registry.media_types import OCI_MANIFEST
    from dashboard.registry.references import namespace_of
    from dashboard.services.index.sort_keys import name_key, tree_key
    from dashboard.services.index.write import recount_exclusive

    chance = random.Random(seed)
    now = timezone.now()
    registry = Registry.objects.create(
        slug="default", url="http://registry.test:5000", public_host="registry.test:5000"
    )
    IndexState.objects.create(registry=registry, refreshed_at=now, source=IndexState.Source.API)
    plan = [(f"team-{n % (max(1, repositories // 20))}/service-{n}", TAGS_EACH) for n in range(repositories)]
    plan += [("large/ten-thousand", tags), ("large/hundred", 100)]
    bases = [
        [(f"sha256:{n:032x}{layer:032x}", chance.randrange(10**5, 10**8)) for layer in range(4)] for n in range(50)
    ]

    def of(kind: str, number: int) -> str:
        return f"sha256:{kind.encode().hex():>010}{number:054x}"

    blobs: list[Any] = [IndexedBlob(digest=d, bytes=size) for base in bases for d, size in base]
    _insert(IndexedBlob, blobs)
    base_rows = list(IndexedBlob.objects.order_by("pk").values_list("pk", "bytes"))
    next_blob, next_manifest = base_rows[-1][0] + 1, 1
    rows: dict[type, list[Any]] = {
        m: [] for m in (IndexedBlob, IndexedManifest, ManifestBlob, IndexedRevision, RepositoryBlob, IndexedTag)
    }
    for pk, (name, count) in enumerate(plan, 1):
        base = base_rows[(start := 4 * chance.randrange(50)) : start + 4]
        pushed = [now - timedelta(seconds=chance.randrange(10**7)) for _ in range(count)]
        total = sum(size for _, size in base)
        for number in range(count):
            own = [(next_blob + k, chance.randrange(10**4, 10**7)) for k in range(3)]
            next_blob += 3
            size = sum(size for _, size in (*base, *own))
            total += sum(size for _, size in own)
            rows[IndexedBlob] += [IndexedBlob(pk=b, digest=of("blob", b), bytes=size) for b, size in own]
            manifest = IndexedManifest(
                pk=next_manifest, digest=of("man", next_manifest), media_type=OCI_MANIFEST,
                kind="image", document_bytes=1000, bytes=size, platform="linux/amd64", created_at=pushed[number],
            )  # fmt: skip
            next_manifest += 1
            rows[IndexedManifest].append(manifest)
            rows[ManifestBlob] += [
                ManifestBlob(manifest_id=manifest.pk, blob_id=b, position=k, is_layer=k < 6)
                for k, (b, _) in enumerate((*base, *own))
            ]
            rows[IndexedRevision].append(IndexedRevision(repository_id=pk, manifest_id=manifest.pk))
            rows[RepositoryBlob] += [RepositoryBlob(repository_id=pk, blob_id=b) for b, _ in own]
            tag = f"{number // 100}.{number % 100}.{pk % 7}"
            rows[IndexedTag].append(
                IndexedTag(
                    repository_id=pk, name=tag, sort_key=name_key(tag), digest=manifest.digest, manifest_id=manifest.pk,
                    read_at=now, since=pushed[number], since_is_push=True, created_at=pushed[number], bytes=size,
                    platforms="linux/amd64", pulled_at=chance.choice((None, now - timedelta(seconds=number))),
                )
            )  # fmt: skip
        rows[RepositoryBlob] += [RepositoryBlob(repository_id=pk, blob_id=b) for b, _ in base]
        rows.setdefault(IndexedRepository, []).append(
            IndexedRepository(
                pk=pk, registry=registry, name=name, namespace=namespace_of(name), sort_key=name_key(name),
                tree_key=tree_key(name), read_at=now, tags=count, bytes=total, platforms="linux/amd64", kinds="image",
                pushed_at=max(pushed), pulled_at=chance.choice((None, now - timedelta(seconds=pk))),
            )
        )  # fmt: skip
    for model in (
        IndexedRepository,
        IndexedBlob,
        IndexedManifest,
        ManifestBlob,
        IndexedRevision,
        RepositoryBlob,
        IndexedTag,
    ):
        _insert(model, rows.pop(model))
    recount_exclusive(registry)


def _scan(repositories: int, seed: int = 7) -> None:
    """What a scan of such a registry would have found, and a year of scans before it."""
    from datetime import timedelta
    from pathlib import Path

    from django.conf import settings
    from django.utils import timezone

    from dashboard.models import Registry, UsageSnapshot
    from dashboard.services.usage import rows
    from dashboard.storage.detail import Detail
    from dashboard.storage.facts import Facts, ManifestFacts, RepositoryFacts
    from dashboard.storage.garbage import Graph
    from dashboard.storage.usage import Reading, account

    chance, now = random.Random(seed), timezone.now()
    registry = Registry.objects.get()
    root = Path(settings.STATE_DIR) / "storage"
    for part in ("blobs", "repositories"):
        (root / "docker/registry/v2" / part).mkdir(parents=True)
    Registry.objects.filter(pk=registry.pk).update(storage_root=str(root))
    facts = Facts()

    def blob() -> str:
        digest = f"sha256:{len(facts.blobs):064x}"
        facts.blobs[digest] = int(chance.paretovariate(0.6) * 20_011) % 2_000_000_011
        return digest

    bases = [tuple(blob() for _ in range(4)) for _ in range(50)]
    for number in range(repositories):
        name = f"team-{number % (max(1, repositories // 20))}/service-{number}"
        repository = RepositoryFacts(name, f"repositories/{name}")
        base = chance.choice(bases)
        for tag in range(TAGS_EACH):
            manifest = blob()
            facts.manifests[manifest] = ManifestFacts((*base, blob(), blob()))
            repository.revisions.add(manifest)
            if tag % 5:
                repository.tags[f"1.{tag}"] = manifest
        facts.repositories.append(repository)
    UsageSnapshot.objects.bulk_create(
        UsageSnapshot(
            registry=registry, began_at=now - timedelta(days=days), seconds=1, root=str(root), disk_bytes=2**50,
            free_bytes=2**49, tagged_bytes=2**44 - days * 2**30, report={},
        )
        for days in range(1, SNAPSHOTS)
    )  # fmt: skip
    reading = Reading(facts, Graph(facts), None, time.perf_counter())
    rows.write(
        registry, account(reading), Detail(reading), began=now, root=str(root), disk_bytes=2**50, free_bytes=2**49,
        more={}, alive=lambda: None,
    )  # fmt: skip


def _insert(model: Any, rows: Iterable[Any]) -> None:
    for part in _chunks(iter(rows), 20_000):
        model.objects.bulk_create(part, batch_size=1000)


def _chunks(rows: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while part := list(islice(rows, size)):
        yield part


if __name__ == "__main__":
    sys.exit(main())
