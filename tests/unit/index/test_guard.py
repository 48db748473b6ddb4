"""What would vanish all at once stays until an administrator says that it is gone; our own deletions are no riddle."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import pytest
from django.utils import timezone

from dashboard.models import (
    Deletion,
    DeletionItem,
    DeletionPlan,
    IndexedRepository,
    IndexedTag,
    IndexState,
    Registry,
    TagPeriod,
    User,
)
from dashboard.services.index import update
from tests.fake_registry import FakeRegistry
from tests.unit.index.support import done, names, notices, tags_of

MANY = [f"1.{n}" for n in range(21)]


@pytest.fixture
def version() -> str:
    """One version: the guard looks at what was read."""
    return "3.1"


def deleted_by_us(
    registry: Registry, user: User, repository: str, tags: Iterable[str], state: str = DeletionItem.State.DONE
) -> None:
    now = timezone.now()
    for tag in tags:
        plan = DeletionPlan.objects.create(
            registry=registry,
            repository=repository,
            user=user,
            created_at=now,
            expires_at=now,
            effect={},
            fingerprint="",
        )
        deletion = Deletion.objects.create(
            plan=plan,
            registry=registry,
            repository=repository,
            user=user,
            user_name="maria",
            acted_with="default",
            state=Deletion.State.DONE,
            created_at=now,
            kept_until=now + dt.timedelta(days=30),
            finished_at=now,
        )
        DeletionItem.objects.create(
            deletion=deletion, position=0, digest="", tags=[tag], method="remove", state=state, finished_at=now
        )


def accept(registry: Registry) -> None:
    IndexState.objects.filter(registry=registry).update(shrink_accepted=True)


def vanish(fake: FakeRegistry, *repositories: str) -> None:
    for name in repositories:
        del fake.state.repositories[name]


def test_registry_whose_storage_is_gone_answers_200_and_nothing_is_removed(
    registry: Registry, fake: FakeRegistry
) -> None:
    for n in range(6):
        fake.push_image(f"app{n}", "1")
    done(registry)
    periods = list(TagPeriod.objects.values())
    fake.state.repositories.clear()
    done(registry)
    assert names(registry) == {f"app{n}" for n in range(6)}
    assert notices(registry) == [{"code": "shrink-of-repositories", "gone": 6, "known": 6}]
    assert list(TagPeriod.objects.values()) == periods, "no period is closed"


@pytest.mark.parametrize(("known", "gone", "removed"), [(5, 3, False), (5, 2, True), (6, 3, True), (4, 4, True)])
def test_more_than_half_of_at_least_five_are_held_back(
    registry: Registry, fake: FakeRegistry, known: int, gone: int, removed: bool
) -> None:
    for n in range(known):
        fake.push_image(f"app{n}", "1")
    done(registry)
    vanish(fake, *(f"app{n}" for n in range(gone)))
    job = done(registry)
    assert len(names(registry)) == (known - gone if removed else known)
    assert job.outcome["removed"] == (gone if removed else 0)
    assert bool(notices(registry)) is not removed
    assert TagPeriod.objects.filter(ended_at=None).count() == len(names(registry))


def test_administrator_accepts_once(registry: Registry, fake: FakeRegistry) -> None:
    for n in range(6):
        fake.push_image(f"app{n}", "1")
    done(registry)
    vanish(fake, *(f"app{n}" for n in range(5)))
    done(registry)
    accept(registry)
    done(registry)
    assert names(registry) == {"app5"}
    assert notices(registry) == []
    assert IndexState.objects.get().shrink_accepted is False


def test_what_is_accepted_during_a_refresh_counts_for_the_next(
    registry: Registry, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(6):
        fake.push_image(f"app{n}", "1")
    done(registry)
    fake.state.repositories.clear()
    from dashboard.services.index import write

    recount = write.recount_exclusive

    def meanwhile(*arguments: object) -> None:
        accept(registry)
        recount(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(write, "recount_exclusive", meanwhile)
    done(registry)
    monkeypatch.setattr(write, "recount_exclusive", recount)
    assert len(names(registry)) == 6
    done(registry)
    assert names(registry) == set()


@pytest.mark.parametrize("how", ["emptied", "gone"])
@pytest.mark.parametrize(("count", "stays"), [(21, True), (20, False)])
def test_all_tags_of_a_large_repository_are_held_back_and_the_rest_goes_on(
    registry: Registry, fake: FakeRegistry, how: str, count: int, stays: bool
) -> None:
    pushed = fake.push_image("large", *MANY[:count])
    fake.push_image("other", "1")
    done(registry)
    if how == "gone":
        vanish(fake, "large")
    else:
        fake.remove_manifest("large", pushed.digest)
    fake.push_image("other", "2", layers=(b"2",))
    done(registry)
    assert len(tags_of(registry, "large")) == (count if stays else 0)
    assert notices(registry) == ([{"code": "shrink-of-tags", "repository": "large"}] if stays else [])
    assert tags_of(registry, "other").keys() == {"1", "2"}
    assert TagPeriod.objects.filter(repository="large", ended_at=None).count() == (count if stays else 0)
    accept(registry)
    done(registry)
    assert tags_of(registry, "large") == {}


def test_a_large_repository_that_loses_some_tags_loses_them(registry: Registry, fake: FakeRegistry) -> None:
    fake.push_image("large", *MANY)
    kept = fake.push_image("large", "kept", layers=(b"kept",))
    done(registry)
    fake.state.repositories["large"].tags = {"kept": kept.digest}
    done(registry)
    assert (tags_of(registry, "large"), notices(registry)) == ({"kept": kept.digest}, [])


@pytest.mark.parametrize("explained", [True, False])
def test_what_we_deleted_ourselves_does_not_count(
    registry: Registry, fake: FakeRegistry, maria: User, explained: bool
) -> None:
    pushed = fake.push_image("large", *MANY)
    done(registry)
    fake.remove_manifest("large", pushed.digest)
    deleted_by_us(
        registry, maria, "large", MANY[:1], DeletionItem.State.DONE if explained else DeletionItem.State.REFUSED
    )
    done(registry)
    assert len(tags_of(registry, "large")) == (0 if explained else 21)


def test_what_we_deleted_before_it_was_read_explains_nothing(
    registry: Registry, fake: FakeRegistry, maria: User
) -> None:
    deleted_by_us(registry, maria, "large", MANY)
    pushed = fake.push_image("large", *MANY)
    done(registry)
    fake.remove_manifest("large", pushed.digest)
    done(registry)
    assert len(tags_of(registry, "large")) == 21


def test_repositories_that_we_emptied_do_not_count(registry: Registry, fake: FakeRegistry, maria: User) -> None:
    """Some registries drop a repository with its last tag."""
    for n in range(5):
        fake.push_image(f"app{n}", "1")
    done(registry)
    vanish(fake, "app0", "app1", "app2")
    deleted_by_us(registry, maria, "app0", ["1"])
    done(registry)
    assert names(registry) == {"app3", "app4"}


def test_a_notification_takes_away_no_more_than_a_refresh(registry: Registry, fake: FakeRegistry) -> None:
    pushed = fake.push_image("large", *MANY)
    small = fake.push_image("small", "1", "2")
    done(registry)
    fake.remove_manifest("large", pushed.digest)
    fake.remove_manifest("small", small.digest)
    assert update.read_again(registry=registry, names=["large", "small"]) == {"large": None, "small": None}
    assert (len(tags_of(registry, "large")), len(tags_of(registry, "small"))) == (21, 0)


def test_a_repository_that_is_gone_goes_from_the_index_and_not_from_the_history(
    registry: Registry, fake: FakeRegistry
) -> None:
    fake.push_image("a", "1")
    fake.push_image("b", "1")
    done(registry)
    vanish(fake, "a")
    assert done(registry).outcome["removed"] == 1
    assert not IndexedTag.objects.filter(repository__name="a").exists()
    assert not IndexedRepository.objects.filter(name="a").exists()
    assert TagPeriod.objects.get(repository="a").ended_at is not None
