"""What tests of the index share: refreshes as the worker runs them, rows to compare, a fake registry's storage."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.forms.models import model_to_dict

from dashboard.models import (
    IndexedRepository,
    IndexedRevision,
    IndexedTag,
    IndexState,
    Job,
    Registry,
    RepositoryBlob,
    TagPeriod,
)
from dashboard.services import jobs
from dashboard.services.index import mount, refresh
from dashboard.services.index.mount import Verdict
from tests.fake_registry import FakeRegistry
from tests.unit.storage.trees import Tree

_NOT_COMPARED = {"id", "read_at", "repository", "manifest", "registry"}


def refreshed(registry: Registry) -> Job:
    """A refresh, run to its end."""
    job = jobs.claim(refresh.ask_for_refresh(registry=registry, user=None).pk)
    assert job is not None, "another refresh is running"
    refresh.run_refresh(job)
    job.refresh_from_db()
    return job


def done(registry: Registry) -> Job:
    """A refresh that must succeed."""
    job = refreshed(registry)
    assert job.state == Job.State.DONE, (job.outcome_code, job.outcome)
    return job


def notices(registry: Registry) -> list[dict[str, Any]]:
    """What the last refresh had to say."""
    return list(IndexState.objects.get(registry=registry).notices)


def index_of(registry: Registry, *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Everything the index says of a registry, comparable: without ids and the times of readings."""
    return {
        "repositories": {
            row.name: _fields(row, without) for row in IndexedRepository.objects.filter(registry=registry)
        },
        "tags": {
            f"{row.repository.name}:{row.name}": _fields(row, without)
            | {"target": row.manifest and row.manifest.digest}
            for row in IndexedTag.objects.filter(repository__registry=registry).select_related("repository", "manifest")
        },
        "revisions": set(
            IndexedRevision.objects.filter(repository__registry=registry).values_list(
                "repository__name", "manifest__digest", "tagged"
            )
        ),
        "blobs": set(
            RepositoryBlob.objects.filter(repository__registry=registry).values_list(
                "repository__name", "blob__digest", "blob__bytes", "tagged"
            )
        ),
    }


def tags_of(registry: Registry, repository: str) -> dict[str, str]:
    """What the index says that tags point at; an error's code in place of a digest that is not known."""
    rows = IndexedTag.objects.filter(repository__registry=registry, repository__name=repository)
    return {row.name: row.digest or row.error_code for row in rows}


def names(registry: Registry) -> set[str]:
    """The repositories that lists show."""
    return set(
        IndexedRepository.objects.filter(registry=registry, read_at__isnull=False).values_list("name", flat=True)
    )


def history_of(repository: str, tag: str) -> list[tuple[str, bool]]:
    """The digests that a tag pointed to, oldest first, and whether it still does."""
    rows = TagPeriod.objects.filter(repository=repository, tag=tag).order_by("began_at", "pk")
    return [(row.digest, row.ended_at is None) for row in rows]


def write_out(fake: FakeRegistry, root: Path) -> Tree:
    """The fake registry's state as a storage directory under `root`."""
    tree = Tree(root)
    for name, repository in fake.state.repositories.items():
        if repository.has_manifests:
            (tree.repository(name) / "_manifests" / "tags").mkdir(parents=True)
        for digest in repository.layers:
            tree.link(tree.repository(name) / "_layers" / digest.replace(":", "/") / "link", digest)
            tree.write(tree.data_path(digest), fake.state.blobs[digest])
        for digest in repository.revisions:
            tree.hold(name, digest)
            tree.write(tree.data_path(digest), fake.state.blobs[digest])
        for tag, digest in repository.tags.items():
            tree.tag(name, tag, digest)
    return tree


def read_from(tree: Tree, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the registry is read from this storage, which is taken to be its own."""
    registry.storage_root = str(tree.root)
    registry.save()
    monkeypatch.setattr(mount, "judge", lambda *_: Verdict(IndexState.Mount.BELONGS))
    mount.note(registry, mount.judge(registry, None))  # type: ignore[arg-type]


def _fields(row: IndexedRepository | IndexedTag, without: frozenset[str]) -> dict[str, Any]:
    found: Mapping[str, Any] = model_to_dict(row) | {"sort_key": bytes(row.sort_key)}
    return {
        name: bytes(value) if isinstance(value, memoryview) else value
        for name, value in found.items()
        if name not in _NOT_COMPARED | without
    }


def moment(minutes: float = 0) -> dt.datetime:
    """A time that no clock of the tests shows."""
    return dt.datetime(2026, 5, 3, 12, 0, tzinfo=dt.UTC) + dt.timedelta(minutes=minutes)
