"""Docker's config.json: what it tells, what it does not, and that nothing in it breaks the reader."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.registry.docker_config import (
    EMPTY,
    HELPER,
    MALFORMED,
    MAX_BYTES,
    TOKEN,
    Entry,
    NotAConfig,
    parse,
    snippet,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def entries(**document: Any) -> list[Entry]:
    return parse(json.dumps(document))


def test_an_inline_auth_tells_name_and_password_which_may_hold_a_colon() -> None:
    (entry,) = entries(auths={"registry.test:5000": auth("maria:pass:word")})
    assert entry == Entry("registry.test:5000", "maria", "pass:word")
    assert "pass:word" not in repr(entry)


def test_an_address_is_a_host() -> None:
    assert [e.host for e in entries(auths={"https://Index.Docker.io/v1/": auth("a:b")})] == ["index.docker.io"]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"auths": {"h": {}}, "credsStore": "desktop"}, HELPER),
        ({"auths": {"h": {}}, "credHelpers": {"h": "pass"}}, HELPER),
        ({"auths": {}, "credHelpers": {"h": "pass"}}, HELPER),
        ({"auths": {"h": {}}}, EMPTY),
        ({"auths": {"h": auth("maria:")}}, EMPTY),
        ({"auths": {"h": auth("maria:x") | {"identitytoken": "t"}}}, TOKEN),
        ({"auths": {"h": auth("<token>:x")}}, TOKEN),
        ({"auths": {"h": {"auth": "not base64!"}}}, MALFORMED),
        ({"auths": {"h": 7}}, MALFORMED),
    ],
)
def test_what_tells_no_password_says_why(document: dict[str, Any], why: str) -> None:
    (entry,) = parse(json.dumps(document))
    assert (entry.host, entry.password, entry.why_not) == ("h", "", why)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"auths": []}', '{"credHelpers": 1}', "[" * 100_000, " " * MAX_BYTES + "{}"]
)
def test_what_is_no_such_file_is_refused(text: str) -> None:
    with pytest.raises(NotAConfig):
        parse(text)


@given(st.dictionaries(st.text(max_size=12), JSON, max_size=4), st.dictionaries(st.text(max_size=12), JSON, max_size=3))
def test_whatever_stands_in_it_is_read_or_left(auths: dict[str, Any], helpers: dict[str, Any]) -> None:
    found = entries(auths=auths, credHelpers=helpers)
    assert all(entry.host and (entry.why_not or entry.password) for entry in found)


def test_the_command_is_quoted_for_a_shell() -> None:
    assert snippet("registry.test", "maria") == "docker login -u maria registry.test"
    assert snippet("registry.test", "a b;c") == "docker login -u 'a b;c' registry.test"
