"""Who pushed what a tag pointed to."""

from __future__ import annotations

import datetime as dt

import pytest

from dashboard.models import Registry
from dashboard.services.activity.pushers import Push, began, pushers, pushes

from .making import NOON, digest, done, hours, notified

pytestmark = pytest.mark.django_db
PAIR = ("1.0", digest(1))


@pytest.fixture
def registry() -> Registry:
    """A registry that nobody asks."""
    return Registry.objects.create(slug="default", url="http://r", public_host="r")


def test_pushes_come_from_notifications_and_from_the_audit(registry: Registry) -> None:
    notified(registry, at=hours(0))
    notified(registry, at=hours(3), actor="")
    done("default", "move", at=hours(2), tags=["1.0", "other"], digest_after=digest(1))
    notified(registry, at=hours(4), tag="2.0")
    notified(registry, at=hours(4), tag="")
    notified(registry, "delete", at=hours(4))
    notified(registry, at=hours(4), repository="team/web")
    done("default", "move", at=hours(4), tags=["1.0"], digest_after=digest(1), outcome="refused")
    done("default", "untag", at=hours(4), tags=["1.0"], digest_after=digest(1))
    done("elsewhere", "move", at=hours(4), tags=["1.0"], digest_after=digest(1))
    expected = [Push("ci-runner", hours(0)), Push("maria", hours(2), here=True), Push("", hours(3))]
    pairs = [PAIR, ("none", digest(1))]
    assert pushes(registry=registry, repository="team/app", pairs=pairs) == {PAIR: expected}
    assert pushers(registry=registry, repository="team/app", pairs=pairs) == {PAIR: expected[-1]}


def test_the_push_that_began_a_period_lies_near_its_beginning() -> None:
    """A digest that comes back after months was not put there by who pushed it first."""
    found = [Push("first", hours(-1000)), Push("again", hours(-0.5)), Push("later", hours(5))]
    assert began(found, NOON) == found[1]
    assert began(found, hours(-1000) - dt.timedelta(minutes=2)) == found[0], "clocks differ"
    assert began(found, hours(-500)) is None
    assert began(found, hours(-500), patience=dt.timedelta(hours=600)) == found[0]
    assert began([], NOON) is None
