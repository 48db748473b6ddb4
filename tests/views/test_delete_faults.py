"""Whatever goes wrong at a change of a deletion, it ends in the old state or the planned one, or says it goes on.

The fault strikes the n-th changing request, before the registry carried it out or after: refused, 500, timed out, cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone

from dashboard.models import Deletion, DeletionItem
from dashboard.registry.client import RegistrySession
from dashboard.registry.errors import ConnectionFailed, Forbidden, RegistryError, ServerFault, TimedOut
from dashboard.registry.references import parse_repository
from dashboard.services.deletion.recover import recover_all
from tests.fake_registry import FakeRegistry
from tests.support.deleting import Desk, desk_at

pytestmark = pytest.mark.django_db

REPOSITORY = parse_repository("team/app")
CHANGES = ("upload_blob", "put_manifest", "delete_tag", "delete_manifest")
FAULTS = {"refused": Forbidden, "fault": ServerFault, "timed-out": TimedOut, "cut": ConnectionFailed}
STATUS = {"refused": 403, "fault": 500}


@pytest.fixture
def desk(fake: FakeRegistry) -> Iterator[Desk]:
    """A desk at the fake registry."""
    client = fake.client()
    with desk_at(client, fake.url, client.session()) as desk:
        yield desk


def strike(patch: pytest.MonkeyPatch, fault: str, at: int, *, carried_out: bool) -> list[str]:
    """The fault at the `at`-th change from now on; names of the changes that were asked for."""
    asked: list[str] = []

    def watched(name: str) -> Callable[..., Any]:
        real = getattr(RegistrySession, name)

        def change(session: RegistrySession, *arguments: Any) -> Any:
            asked.append(name)
            if len(asked) != at:
                return real(session, *arguments)
            if carried_out:
                real(session, *arguments)
            error: type[RegistryError] = FAULTS[fault]
            raise error(name, session.registry, status=STATUS.get(fault))

        return change

    for name in CHANGES:
        patch.setattr(RegistrySession, name, watched(name))
    return asked


@pytest.mark.parametrize(
    ("fault", "carried_out"),
    [("refused", False), ("fault", False), ("fault", True), ("timed-out", False), ("timed-out", True),
     ("cut", False), ("cut", True)],
    ids=["refused", "fault", "fault-after", "timed-out", "timed-out-after", "cut", "cut-after"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["untag", "remove"])
def test_a_fault_at_any_change_ends_in_the_old_state_or_the_planned_one(
    desk: Desk, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch, method: str, fault: str, carried_out: bool
) -> None:
    struck = 0
    for at in range(1, 12):
        child = fake.push_image(REPOSITORY, platform="linux/amd64", layers=[b"%d" % at])
        index = fake.push_index(REPOSITORY, "going", children=[child])
        other = fake.push_image(REPOSITORY, "staying", layers=[b"staying"])
        made = desk.plan(REPOSITORY, "going")
        with monkeypatch.context() as patch:
            asked = strike(patch, fault, at, carried_out=carried_out)
            row = desk.begin(made, method)
        if row.state == Deletion.State.IN_PROGRESS:
            assert row.outcome_code, "the page says what it waits for"
            Deletion.objects.filter(pk=row.pk).update(lease_until=timezone.now())
            assert recover_all() == 1
            row.refresh_from_db()
        item = row.items.get()
        tags = fake.tags(REPOSITORY)
        assert row.state == Deletion.State.DONE, (at, item.step, row.outcome_code)
        assert tags.pop("staying") == other.digest, at
        if item.state == DeletionItem.State.DONE:
            assert tags == {}, (at, item.outcome_code)
        else:
            assert tags == {"going": index.digest}, (at, item.state, item.outcome_code)
            assert fake.has_manifest(REPOSITORY, index.digest)
            assert fake.has_manifest(REPOSITORY, child.digest)
        if len(asked) < at:
            break
        struck += 1
    else:
        pytest.fail("the deletion never got through")
    assert struck >= {"untag": 1, "remove": 2}[method]
