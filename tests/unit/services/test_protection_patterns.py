"""Patterns of rules: what they are like, whatever is in them, and that none makes the server work for long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.models import TagRule
from dashboard.services import protection
from dashboard.services.protection import matches, rule_for

SLOW = 0.2
"""Seconds; a thousand times what it takes, and nothing to what trying again and again would take."""


@pytest.mark.parametrize(
    ("pattern", "like", "unlike"),
    [
        ("latest", ["latest"], ["Latest", "latest2", "xlatest", ""]),
        ("v*", ["v", "v1", "v1.2.3"], ["V1", "xv1"]),
        ("release-*", ["release-", "release-7"], ["release", "prerelease-7"]),
        ("v[0-9].?", ["v1.x", "v0.0"], ["v10.x", "vx.1", "v1."]),
        ("v[!0-9]*", ["vx", "v-1"], ["v1"]),
        ("*", ["", "anything", "team/web/api"], []),
        ("team/*", ["team/app", "team/web/api", "team/"], ["team", "other/team/app"]),
        ("*/app", ["team/app", "a/b/app"], ["app", "team/apps"]),
        ("1.0", ["1.0"], ["1x0"]),
        ("v*+(1)", ["v+(1)"], ["v1"]),
        ("[", ["["], [""]),
    ],
)
def test_globs(pattern: str, like: list[str], unlike: list[str]) -> None:
    assert [name for name in like if not matches(pattern, name)] == []
    assert [name for name in unlike if matches(pattern, name)] == []


def test_the_first_rule_that_is_like_both_protects() -> None:
    rules = [
        TagRule(repository_pattern="team/*", tag_pattern="v*"),
        TagRule(repository_pattern="*", tag_pattern="latest"),
        TagRule(repository_pattern="*", tag_pattern="*"),
    ]
    asked = [("team/app", "v1"), ("other", "v1"), ("other", "latest"), ("team/app", "V1")]
    found = [rule_for(rules, *names) for names in asked]
    assert [str(rule) for rule in found] == ["team/*:v*", "*", "latest", "*"]
    assert rule_for(rules[:2], "other", "v1") is None
    assert rule_for([], "team/app", "latest") is None


def _seconds(pattern: str, name: str) -> float:
    began = time.thread_time()
    matches(pattern, name)
    return time.thread_time() - began


@pytest.mark.parametrize("unit", ["*a", "a*", "*?a", "*[ab]", "*a*b", "**a", "*aa"])
@pytest.mark.parametrize("end", ["", "b", "!"])
def test_hostile_patterns_take_no_time(unit: str, end: str) -> None:
    pattern = (unit * TagRule.MAX_PATTERN)[: TagRule.MAX_PATTERN - 1] + "c"
    matches(pattern, "")  # made ready
    assert _seconds(pattern, "a" * 255 + end) < SLOW
    assert not matches(pattern, "a" * 255 + end)


_PIECES = st.sampled_from(
    ["*", "?", "a", "b", "[ab]", "[!a]", "[", "]", "-", "/", ".", "\\", "(", "+", "{2}", "^", "$"]
)


@given(st.lists(_PIECES, max_size=60).map("".join), st.text(alphabet="ab/.-", max_size=255))
def test_any_pattern_is_decided_at_once(pattern: str, name: str) -> None:
    pattern = pattern[: TagRule.MAX_PATTERN]
    matches(pattern, "")
    assert _seconds(pattern, name) < SLOW


@given(st.text(max_size=TagRule.MAX_PATTERN), st.text(max_size=128))
def test_any_text_can_be_held_against_a_name(pattern: str, name: str) -> None:
    assert matches(pattern, name) in (True, False)


def _like(pattern: str, name: str) -> bool:
    """What a glob of `*`, `?` and letters means, spelled out."""
    rows = [True] + [False] * len(name)
    for sign in pattern:
        if sign == "*":
            for i in range(1, len(name) + 1):
                rows[i] = rows[i] or rows[i - 1]
        else:
            rows = [False] + [rows[i] and sign in ("?", name[i]) for i in range(len(name))]
    return rows[-1]


@given(st.text(alphabet="ab*?", max_size=12), st.text(alphabet="ab", max_size=12))
def test_a_glob_means_what_it_says(pattern: str, name: str) -> None:
    """Not giving back what a star has matched loses nothing."""
    assert matches(pattern, name) == _like(pattern, name)


@pytest.mark.parametrize("text", ["", "a b", "v*/x", "repo:tag", "v{1,2}", "é", "v" * 201, "a\n", "v*\x00"])
def test_no_tag_can_be_like_that(text: str) -> None:
    assert not protection.is_tag_pattern(text)


@pytest.mark.parametrize("text", ["", "Team/*", "a b", "a:b", "r" * 201, "team/*\n"])
def test_no_repository_can_be_like_that(text: str) -> None:
    assert not protection.is_repository_pattern(text)


def test_what_tags_and_repositories_can_be_like() -> None:
    assert all(map(protection.is_tag_pattern, ["latest", "v*", "V1.?", "[0-9]*", "[!a]_-."]))
    assert all(map(protection.is_repository_pattern, ["*", "team/*", "*/app", "a.b_c-d/[ab]?"]))
