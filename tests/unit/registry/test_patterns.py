"""Patterns of access rules: what they match, what is none, and that the database's way is the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.registry.patterns import InvalidPattern, covers, expression, literal, matches, parse_pattern

PARTS = st.from_regex(r"[a-c]{0,2}\*?[a-c]{0,2}", fullmatch=True).filter(bool)
PATTERNS = st.builds(
    lambda parts, end: "/".join([*parts, *end]), st.lists(PARTS, min_size=1, max_size=3), st.sampled_from([[], ["**"]])
)
NAMES = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    ("pattern", "like", "unlike"),
    [
        ("**", ["a", "a/b/c"], []),
        ("team-a/**", ["team-a/x", "team-a/x/y"], ["team-a", "team-ab/x", "x/team-a/y"]),
        ("team-a/*", ["team-a/x"], ["team-a/x/y", "team-a", "team-ab"]),
        ("team-*/api", ["team-a/api", "team-/api"], ["team-a/apis", "team-a/b/api"]),
        ("prod/api", ["prod/api"], ["prod/api2", "prod/api/x"]),
        ("a.b/*-x", ["a.b/1-x"], ["aab/1-x"]),
    ],
)
def test_what_it_matches(pattern: str, like: list[str], unlike: list[str]) -> None:
    assert all(matches(pattern, name) for name in like)
    assert not any(matches(pattern, name) for name in unlike)


@pytest.mark.parametrize(
    "text", ["", " ", "/", "a//b", "A/b", "a**", "**/a", "a/**/b", "a*b*c", "a?b", "[a]", "a" * 256]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(InvalidPattern):
        parse_pattern(text)


def test_it_is_kept_without_what_surrounds_it() -> None:
    assert parse_pattern(" /team-a/** ") == "team-a/**"


@given(PATTERNS, NAMES)
def test_the_database_finds_the_same(pattern: str, name: str) -> None:
    found = re.search(expression(parse_pattern(pattern)), name) is not None
    assert found == matches(pattern, name)
    assert not found or name.startswith(literal(pattern))


@given(PATTERNS, PATTERNS, NAMES)
def test_what_covers_another_matches_all_of_it(pattern: str, other: str, name: str) -> None:
    if covers(pattern, other) and matches(other, name):
        assert matches(pattern, name)


@given(st.data())
def test_what_is_cut_out_of_a_pattern_is_covered_by_it(data: st.DataObject) -> None:
    """The inner one is drawn from the outer one, and the name from the inner: so that they do cover each other."""
    outer = data.draw(PATTERNS)
    inner = narrowed(data, outer)
    name = narrowed(data, inner).replace("**", "y/z").replace("*", "z")
    assert covers(outer, inner), (outer, inner)
    if matches(inner, name):
        assert matches(outer, name)


def narrowed(data: st.DataObject, pattern: str) -> str:
    """A pattern that is somewhere narrower: a star filled in, `**` replaced by a part or two."""
    parts: list[str] = []
    for part in pattern.split("/"):
        before, star, after = part.partition("*")
        if part == "**":
            parts += data.draw(st.sampled_from([["**"], ["a"], ["b*", "**"], ["*"], ["a-1", "b"]]))
        elif star:
            parts.append(before + data.draw(st.sampled_from(["*", "x", "x*", "*y", "x*y"])) + after)
        else:
            parts.append(part)
    return "/".join(parts)


def test_no_pattern_makes_it_try_for_ever() -> None:
    assert not matches("/".join(["a*a"] * 60), "/".join(["a" * 3] * 59 + ["b"]))
