"""What a token is read to allow: a claim of the token server's, bounded and never trusted to have a shape."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.registry.references import RepositoryName
from dashboard.registry.scopes import MAX_SCOPES_LENGTH, _parts, claimed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def token(claims: object) -> str:
    parts = [{"alg": "RS256"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmVk"])


def test_actions_are_listed_by_repository() -> None:
    listed = [
        {"type": "repository", "name": "team/app", "actions": ["pull", "push"]},
        {"type": "repository", "name": "team/all", "actions": ["*"]},
        {"type": "registry", "name": "catalog", "actions": ["*"]},
        {"type": "repository(plugin)", "name": "team/plugin", "actions": ["pull"]},
    ]
    assert claimed(token({"sub": "ada", "access": listed})) == {
        "team/app": frozenset({"pull", "push"}),
        "team/all": frozenset({"*"}),
    }


@pytest.mark.parametrize("nothing", [None, []])
def test_an_empty_list_allows_nothing(nothing: Any) -> None:
    assert claimed(token({"access": nothing})) == {}


@pytest.mark.parametrize("text", ["", "opaque", "a.b", "a.!.c", "a.bm90IGpzb24.c", token([]), token({"sub": "ada"})])
def test_what_is_no_list_tells_nothing(text: str) -> None:
    assert claimed(text) is None


@given(JSON)
def test_whatever_stands_there_never_raises(access: object) -> None:
    found = claimed(token({"access": access}))
    assert found is None or all(isinstance(name, str) for name in found)


@given(st.text(max_size=60))
def test_no_token_raises(text: str) -> None:
    claimed(text)


@given(st.lists(st.integers(1, 255), max_size=50))
def test_the_names_of_a_question_fit_into_an_address(lengths: list[int]) -> None:
    names = [RepositoryName("a" * length) for length in lengths]
    parts = list(_parts(names))
    assert [name for part in parts for name in part] == names
    assert all(sum(len(name) + 22 for name in part) <= MAX_SCOPES_LENGTH + 22 for part in parts)
    assert len(parts) <= 1 or all(part for part in parts)
