"""`python -m tests.unit.index.crowding SECONDS`: eight threads look at a registry that moves meanwhile.

On a database file, as a web process and a worker share it: each thread checks pages and reads lists, one more refreshes
without end, and tags move all the while. Prints what happened; any error of the database is told by its text.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dashboard.registry.references import Digest, RepositoryName
    from tests.fake_registry import FakeRegistry

THREADS = 8
REPOSITORIES = 12
IMAGES = 8


def main(seconds: float) -> int:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registryui.settings")
    django.setup()
    from django.core.management import call_command

    from dashboard.models import IndexedTag, Registry, User
    from dashboard.registry.references import RepositoryName
    from dashboard.services import access, connections, jobs
    from dashboard.services.index import check, refresh
    from tests.fake_registry import FakeRegistry

    call_command("migrate", verbosity=0)
    registry = Registry.objects.create(slug="default", url="http://registry.test:5000", public_host="r")
    user = User.objects.create_user("jonas", password="p")
    fake = FakeRegistry("3.1")
    names = [RepositoryName(f"team/app{n}") for n in range(REPOSITORIES)]
    moved = itertools.count()
    images = {name: _fill(fake, name) for name in names}
    until = time.monotonic() + seconds
    told: Counter[str] = Counter()
    errors: list[str] = []

    def looks(number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < until:
            name = chance.choice(names)
            if chance.random() < 0.3:
                fake.move_tag(name, f"1.{chance.randrange(5)}", images[name][next(moved) % IMAGES])
            found = check.check(access.access_to(user=user, registry=registry), name, ["1.0", "1.1", "1.2"])
            told["unwritten" if found.unwritten else "checked"] += 1
            told["tags"] += len(IndexedTag.objects.filter(repository__name=name).order_by("sort_key"))

    def refreshes(_number: int) -> None:
        while time.monotonic() < until:
            job = jobs.claim(refresh.ask_for_refresh(registry=registry, user=None).pk)
            assert job is not None
            refresh.run_refresh(job)
            job.refresh_from_db()
            told[f"refresh {job.state} {job.outcome_code}".strip()] += 1

    with connections.clients_made_by(lambda row: fake.client(name=row.public_host)):
        works = [refreshes, *[looks] * THREADS]
        threads = [threading.Thread(target=_watched, args=(work, n, errors)) for n, work in enumerate(works)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refreshes_left = jobs.claim(refresh.ask_for_refresh(registry=registry, user=None).pk)
        assert refreshes_left is not None
        refresh.run_refresh(refreshes_left)
    rows = IndexedTag.objects.values_list("repository__name", "name", "digest")
    same = {(name, tag): digest for name in names for tag, digest in fake.tags(name).items()}
    true = {(name, tag): digest for name, tag, digest in rows} == same
    print(json.dumps({"errors": errors, "told": told, "true": true}))
    return 0


def _fill(fake: FakeRegistry, name: RepositoryName) -> list[Digest]:
    """Five tags, and images that they will be moved to."""
    for tag in range(5):
        fake.push_image(name, f"1.{tag}", layers=(f"{name} {tag}".encode(),))
    return [fake.push_image(name, layers=(f"{name} {n}".encode(),)).digest for n in range(IMAGES)]


def _watched(work: Callable[[int], None], number: int, errors: list[str]) -> None:
    from django.db import connection

    try:
        work(number)
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}")
        raise
    finally:
        connection.close()


if __name__ == "__main__":
    raise SystemExit(main(float(sys.argv[1])))
