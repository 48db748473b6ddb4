"""The order of names: as a person who reads versions would put them, and a total order whatever the names are."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.services.ordering import natural_key

IN_ORDER = [
    ["1.2", "1.9", "1.10", "1.10.1", "2"],
    ["v1.9", "v1.10"],
    ["1.0-alpha", "1.0-beta1", "1.0-beta2", "1.0-beta10", "1.0-rc1", "1.0-rc2", "1.0"],
    ["1.0.dev1", "1.0.rc1", "1.0"],
    ["3.19", "3.19-alpine", "3.19-bookworm"],
    ["1.2-rc1", "1.2", "1.2-alpine", "1.2.1"],
    ["8", "8-alpine", "8.1"],
    ["build-9", "build-10", "build-100"],
    ["2026-01-09", "2026-01-10"],
    ["Alpha", "beta", "Gamma"],
    ["", "a"],
]


@pytest.mark.parametrize("names", IN_ORDER, ids=lambda names: names[0] or "empty")
def test_order_of_people(names: list[str]) -> None:
    for shuffled in itertools.islice(itertools.permutations(names), 200):
        assert sorted(shuffled, key=natural_key) == names


@given(
    st.lists(
        st.text(st.characters(codec="utf-8"), max_size=20)
        | st.from_regex(r"v?[0-9.]{1,9}(-(rc|alpine)[0-9]?)?", fullmatch=True)
    )
)
def test_any_names_have_one_order(names: list[str]) -> None:
    once = sorted(names, key=natural_key)
    names.reverse()
    assert sorted(names, key=natural_key) == once
    assert sorted(names, key=natural_key, reverse=True) == once[::-1]


def test_names_that_differ_have_keys_that_differ() -> None:
    """Else their order would depend on the registry's."""
    assert natural_key("1.0") != natural_key("1.00")
    assert natural_key("A") != natural_key("a")


@pytest.mark.parametrize("name", ["9" * 5000, "1" * 29 + "a", "٣", "²", "\ud800", "x" * 100_000])
def test_strange_names_cost_nothing(name: str) -> None:
    assert natural_key(name) == natural_key(name)
