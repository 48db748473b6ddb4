"""Which digest a tag pointed to, from when to when: ours, closed only by what was read, never overlapping."""

from __future__ import annotations

import datetime as dt

import pytest

from dashboard.models import Registry, TagPeriod
from dashboard.registry.references import Digest
from dashboard.services.index import history
from dashboard.services.index.history import Move
from dashboard.services.index.readings import PastTarget
from tests.unit.index.support import moment

pytestmark = pytest.mark.django_db

ONE, TWO, THREE = (Digest(f"sha256:{letter * 64}") for letter in "123")
Learnt = TagPeriod.Learnt
Period = tuple[str, dt.datetime, dt.datetime | None, str]


@pytest.fixture
def registry() -> Registry:
    """A registry that nobody asks."""
    return Registry.objects.create(slug="default", url="http://r", public_host="r")


def note(registry: Registry, digest: Digest | None, minute: float, learnt: Learnt = Learnt.REFRESH) -> None:
    history.note(registry=registry, moves=[Move("app", "1", digest, moment(minute))], learnt=learnt)


def periods() -> list[Period]:
    return list(TagPeriod.objects.order_by("pk").values_list("digest", "began_at", "ended_at", "learnt"))


def test_moves_close_one_period_and_open_another(registry: Registry) -> None:
    note(registry, ONE, 0)
    note(registry, ONE, 1)
    note(registry, TWO, 2, Learnt.EVENT)
    note(registry, None, 3)
    note(registry, None, 4)
    note(registry, ONE, 5, Learnt.STORAGE)
    assert periods() == [
        (ONE, moment(0), moment(2), "refresh"),
        (TWO, moment(2), moment(3), "event"),
        (ONE, moment(5), None, "storage"),
    ]


def test_times_that_run_backwards_leave_no_overlap(registry: Registry) -> None:
    note(registry, ONE, 10)
    note(registry, TWO, 5)
    note(registry, THREE, 7)
    assert periods() == [
        (ONE, moment(10), moment(10), "refresh"),
        (TWO, moment(10), moment(10), "refresh"),
        (THREE, moment(10), None, "refresh"),
    ]


def test_many_tags_of_many_repositories_each_have_their_own(registry: Registry) -> None:
    """Small repositories are looked up together, large ones tag by tag: neither takes another's period for its own."""
    names = [("small", "1"), ("other", "2"), *(("large", f"{n}") for n in range(history.FEW_TAGS + 5))]
    history.note(registry=registry, moves=[Move(*name, ONE, moment(0)) for name in names], learnt=Learnt.REFRESH)
    history.note(registry=registry, moves=[Move(*name, ONE, moment(1)) for name in names], learnt=Learnt.REFRESH)
    assert TagPeriod.objects.count() == len(names)
    history.note(
        registry=registry,
        moves=[Move("small", "2", ONE, moment(2)), Move("large", "3", TWO, moment(2))],
        learnt=Learnt.REFRESH,
    )
    assert TagPeriod.objects.filter(ended_at=None).count() == len(names) + 1
    assert list(TagPeriod.objects.exclude(ended_at=None).values_list("repository", "tag")) == [("large", "3")]
    began = history.began(registry=registry, tags={("small", "1"): ONE, ("large", "3"): ONE, ("large", "4"): ONE})
    assert {key: period.began_at for key, period in began.items()} == {
        ("small", "1"): moment(0),
        ("large", "4"): moment(0),
    }


def test_the_past_is_added_to_tags_that_have_none(registry: Registry) -> None:
    past = [PastTarget("1", ONE, moment(0)), PastTarget("1", TWO, moment(1)), PastTarget("1", THREE, moment(2))]
    history.remember_past(registry=registry, repository="app", past=[*past, PastTarget("2", ONE, moment(0))])
    note(registry, THREE, 2, Learnt.STORAGE)
    assert periods() == [
        (ONE, moment(0), moment(1), "storage"),
        (TWO, moment(1), moment(2), "storage"),
        (THREE, moment(2), None, "storage"),
    ]


def test_what_we_noted_is_truer_than_what_files_tell(registry: Registry) -> None:
    note(registry, ONE, 0)
    before = periods()
    past = [PastTarget("1", TWO, moment(-5)), PastTarget("1", ONE, moment(-1))]
    history.remember_past(registry=registry, repository="app", past=past)
    assert periods() == before


def test_periods_of_one_registry_are_not_those_of_another(registry: Registry) -> None:
    other = Registry.objects.create(slug="other", url="http://o", public_host="o")
    note(registry, ONE, 0)
    note(other, TWO, 1)
    assert [(digest, ended) for digest, _, ended, _ in periods()] == [(ONE, None), (TWO, None)]
