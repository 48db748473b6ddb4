"""A place in the stream, as it stands in addresses."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.services.activity.asked import Place

MOMENTS = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(9999, 12, 31), timezones=st.just(dt.UTC))  # noqa: DTZ001


@given(st.builds(Place, MOMENTS, st.integers(0, 9), st.integers(0, 2**59)))
def test_a_place_survives_its_address(place: Place) -> None:
    assert Place.read(str(place)) == place


@pytest.mark.parametrize(
    "text", ["", "x", "1-2", "1-2-3-4", "-1-2-3", "1-22-3", "99999999999999999999-1-1", "٣-1-1", "1-1-1\n", "1' OR 1"]
)
def test_what_is_none_is_none(text: str) -> None:
    assert Place.read(text) is None
