"""A registry just after noon, a record of what was read again, and a repository in the index."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import pytest
from django.utils import timezone

from dashboard.models import (
    IndexedManifest,
    IndexedRepository,
    IndexedRevision,
    ManifestEntry,
    Registry,
)
from dashboard.services.notifications import process

from .steps import CHILD, IMAGE, INDEX, NOON, point


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry; it is just after noon there, and here."""
    monkeypatch.setattr(timezone, "now", lambda: NOON + dt.timedelta(minutes=30))
    return Registry.objects.create(slug="default", url="http://r", public_host="r")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The names that were read again, call by call."""
    calls: list[list[str]] = []

    def read_again(*, registry: Registry, names: Iterable[str]) -> dict[str, Exception | None]:
        assert registry.slug == "default"
        calls.append(list(names))
        return dict.fromkeys(calls[-1])

    monkeypatch.setattr(process, "read_again", read_again)
    return calls


@pytest.fixture
def app(registry: Registry, read: list[list[str]]) -> IndexedRepository:
    """`app` in the index: tags 1.0 and latest name an index with one child; `plain` names an image."""
    repository = IndexedRepository.objects.create(registry=registry, name="app", sort_key=b"app", tree_key=b"app")
    for digest, child in ((INDEX, CHILD), (CHILD, ""), (IMAGE, "")):
        manifest = IndexedManifest.objects.create(digest=digest, kind="image", document_bytes=1, bytes=1)
        IndexedRevision.objects.create(repository=repository, manifest=manifest)
        if child:
            ManifestEntry.objects.create(manifest=manifest, position=0, digest=child)
    for name, digest in (("1.0", INDEX), ("latest", INDEX), ("plain", IMAGE)):
        point(repository, name, digest)
    return repository
