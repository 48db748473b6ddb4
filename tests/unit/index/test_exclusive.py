"""What a repository alone holds stays true for its neighbours, too, whichever of them is read again."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard.models import IndexedRepository, Registry
from dashboard.services.index import write
from dashboard.services.index.update import read_again
from tests.fake_registry import FakeRegistry

SHARED, OWN = b"s" * 1000, b"o" * 10


@pytest.fixture
def version() -> str:
    """The index is the same whichever registry filled it."""
    return "3.1"


def exclusive() -> dict[str, int]:
    """Bytes of layers alone: configs are a little more."""
    rows = IndexedRepository.objects.values_list("name", "exclusive_bytes")
    return {name: size // 1000 * 1000 for name, size in rows}


def true_for(registry: Registry) -> bool:
    """Whether counting everything anew changes nothing."""
    before = dict(IndexedRepository.objects.values_list("name", "exclusive_bytes"))
    write.recount_exclusive(registry)
    return before == dict(IndexedRepository.objects.values_list("name", "exclusive_bytes"))


def test_who_begins_to_share_takes_it_from_the_other_and_who_ends_gives_it_back(
    registry: Registry, fake: FakeRegistry
) -> None:
    fake.push_image("a", "1", layers=[SHARED])
    read_again(registry=registry, names=["a"])
    assert exclusive() == {"a": 1000}
    shared = fake.push_image("b", "1", layers=[SHARED, OWN])
    read_again(registry=registry, names=["b"])
    assert exclusive() == {"a": 0, "b": 0}
    assert true_for(registry)
    fake.remove_manifest("b", shared.digest)
    read_again(registry=registry, names=["b"])
    assert exclusive()["a"] == 1000, "nobody read it again, and it is its own once more"
    assert true_for(registry)


def test_several_that_are_read_together_count_right(registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("a", "1", layers=[SHARED])
    read_again(registry=registry, names=["a"])
    for name in ("b", "c", "d"):
        fake.push_image(name, "1", layers=[SHARED, name.encode() * 500])
    read_again(registry=registry, names=["b", "c", "d"])
    assert exclusive()["a"] == 0
    assert true_for(registry)


def test_what_all_share_is_not_counted_again_for_all(registry: Registry, fake: FakeRegistry) -> None:
    """A base that thousands are built on is exclusive to nobody before and after."""
    counts = []
    for number in (3, 30):
        for n in range(number):
            fake.push_image(f"many/r{n}", "1", layers=[SHARED, b"%d" % n])
        read_again(registry=registry, names=[f"many/r{n}" for n in range(number)])
        fake.push_image("many/r0", f"new-{number}", layers=[SHARED, b"new %d" % number])
        with CaptureQueriesContext(connection) as queries:
            read_again(registry=registry, names=["many/r0"])
        counts.append(len(queries))
        assert true_for(registry)
    assert counts[0] == counts[1]
