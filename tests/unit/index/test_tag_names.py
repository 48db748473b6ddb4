"""Names of tags in memory: what is found, and that nothing is found that is gone or missed that came."""

from __future__ import annotations

from array import array

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from dashboard.models import IndexedRepository, IndexedTag, Registry
from dashboard.services.index import tag_names
from dashboard.services.index.tag_names import TagNames


def names_of(*names: str) -> TagNames:
    """Names with ids 1, 2, 3 …, of repository 10 and 20 by turns."""
    starts = [sum(len(name) + 1 for name in names[:n]) for n in range(len(names))]
    count = range(len(names))
    return TagNames(
        "".join(f"{name.lower()}\n" for name in names),
        array("q", starts),
        array("q", [n + 1 for n in count]),
        array("q", [10 + 10 * (n % 2) for n in count]),
    )


@given(st.lists(st.text("ab.-", min_size=1, max_size=6), max_size=12), st.text("ab.-", min_size=1, max_size=3))
def test_every_name_that_contains_it_is_found_once(names: list[str], part: str) -> None:
    found = list(names_of(*names).containing(part, None))
    assert found == [n for n, name in enumerate(names) if part in name]
    assert [names_of(*names).name(row) for row in found] == [name for name in names if part in name]


def test_case_does_not_matter_and_repositories_do() -> None:
    names = names_of("Main", "main-1", "other")
    assert list(names.containing("MAIN", None)) == [0, 1]
    assert list(names.containing("main", {20})) == [1]
    assert list(names.containing("", None)) == []
    assert list(names.containing("n\nm", None)) == [], "no name spans two"


@pytest.fixture
def repository(db: None) -> IndexedRepository:
    registry = Registry.objects.create(slug="default", url="http://r.test", public_host="r.test")
    return IndexedRepository.objects.create(
        registry=registry, name="a", sort_key=b"a", tree_key=b"a", read_at=timezone.now()
    )


def tag(repository: IndexedRepository, name: str) -> IndexedTag:
    """A tag, counted as a reading counts it."""
    now = timezone.now()
    made = IndexedTag.objects.create(repository=repository, name=name, sort_key=b"x", digest="", read_at=now, since=now)
    count(repository)
    return made


def count(repository: IndexedRepository) -> None:
    IndexedRepository.objects.filter(pk=repository.pk).update(tags=repository.tag_rows.count())


def found(part: str) -> list[int]:
    """Ids of the tags that contain it now."""
    names = tag_names.tag_names()
    return [names.ids[row] for row in names.containing(part, None)]


def test_what_came_is_found_and_what_went_is_not(repository: IndexedRepository) -> None:
    first = tag(repository, "first")
    assert found("fir") == [first.pk]
    second = tag(repository, "first-again")
    assert found("fir") == [first.pk, second.pk]
    first.delete()
    count(repository)
    assert found("fir") == [second.pk]
    second.delete()
    third = tag(repository, "first")
    assert found("fir") == [third.pk], "as many as before, but others"
