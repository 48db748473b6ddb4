"""Headers and bodies of a registry become values; whatever comes, nothing else does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.registry.wire import (
    MAX_DIAGNOSTIC_LENGTH,
    Challenge,
    NextPage,
    WireError,
    format_scopes,
    parse_challenges,
    parse_errors,
    parse_json,
    parse_names,
    parse_next,
    parse_scopes,
    parse_token,
    specific_type,
)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ['Bearer realm="https://a/token",service="reg",scope="repository:x/y:pull,push"'],
            [Challenge("bearer", {"realm": "https://a/token", "service": "reg", "scope": "repository:x/y:pull,push"})],
        ),
        (
            ['Bearer realm="https://a/token?x=1&y=a,b",service="r s"'],
            [Challenge("bearer", {"realm": "https://a/token?x=1&y=a,b", "service": "r s"})],
        ),
        (
            ['Bearer realm="https://a/token"', 'Basic realm="x"'],
            [Challenge("bearer", {"realm": "https://a/token"}), Challenge("basic", {"realm": "x"})],
        ),
        (
            ['Bearer realm="https://a/token", Basic realm="x"'],
            [Challenge("bearer", {"realm": "https://a/token"}), Challenge("basic", {"realm": "x"})],
        ),
        (["Basic"], [Challenge("basic")]),
        (['Basic, Bearer realm="r"'], [Challenge("basic"), Challenge("bearer", {"realm": "r"})]),
        (['BEARER Realm="r", SERVICE="s"'], [Challenge("bearer", {"realm": "r", "service": "s"})]),
        ([r'Basic realm="a \"quoted\" \\ word"'], [Challenge("basic", {"realm": r'a "quoted" \ word'})]),
        (
            ["bearer realm=https://a/token,service=reg"],
            [Challenge("bearer", {"realm": "https://a/token", "service": "reg"})],
        ),
        (['Bearer realm = "r" , service = "s"'], [Challenge("bearer", {"realm": "r", "service": "s"})]),
        (["Negotiate YIIabc=="], [Challenge("negotiate")]),
        (['Negotiate YIIabc==, Basic realm="x"'], [Challenge("negotiate"), Challenge("basic", {"realm": "x"})]),
        (['Bearer realm="never closed, service=x'], [Challenge("bearer", {"realm": "never closed, service=x"})]),
        (['Bearer realm="first",realm="second"'], [Challenge("bearer", {"realm": "first"})]),
        ([""], []),
        ([" , ,"], []),
    ],
)
def test_challenges(lines: list[str], expected: list[Challenge]) -> None:
    assert list(parse_challenges(lines)) == expected


_TOKEN = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12)


@given(st.lists(st.tuples(_TOKEN, st.dictionaries(_TOKEN, st.text(max_size=30), min_size=1, max_size=4)), max_size=5))
def test_any_quoted_challenges_are_read_back(challenges: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'

    line = ", ".join(f"{s} " + ",".join(f"{k}={quoted(v)}" for k, v in p.items()) for s, p in challenges)
    assert parse_challenges([line]) == tuple(Challenge(scheme, parameters) for scheme, parameters in challenges)


@given(st.lists(st.text(max_size=200), max_size=4))
def test_no_header_can_break_the_tokenizer(lines: list[str]) -> None:
    assert len(parse_challenges(lines)) <= 16
    parse_next(lines)


def test_a_header_of_any_length_is_bounded() -> None:
    assert len(parse_challenges(["Basic," * 100_000])) <= 16
    assert parse_next(["<" + "x" * 100_000]) is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('</v2/_catalog?last=a%2Fb&n=2>; rel="next"', NextPage("a/b", 2)),
        ("</v2/_catalog?n=2&last=a/b>; rel=next", NextPage("a/b", 2)),
        ('<https://elsewhere.test/evil?last=b&n=5&x=1>; rel="next"', NextPage("b", 5)),
        ('<https://quay.test/v2/_catalog?next_page=opaque>; rel="next"', NextPage()),
        ('</v2/x?last=a>; rel="prev", </v2/x?last=b>; rel="next"', NextPage("b")),
        ('</v2/x?last=a&n=-5>; rel="next"', NextPage("a")),
        ('</v2/x?last=a&n=99999999>; rel="next"', NextPage("a")),
        ('</v2/x?last=a%0d%0aX-Evil:1>; rel="next"', NextPage()),
        ("</v2/x?last=" + "a" * 600 + '>; rel="next"', NextPage()),
        ('</v2/x?last=a>; rel="prev"', None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_of_a_link_only_last_and_n_are_taken(line: str, expected: NextPage | None) -> None:
    assert parse_next([line]) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"tags": ["a", "b"]}', ("a", "b")),
        (b'{"name": "x", "tags": null}', ()),
        (b'{"tags": []}', ()),
        (b'{"name": "x"}', ()),
    ],
)
def test_names(body: bytes, expected: tuple[str, ...]) -> None:
    assert parse_names(body, "application/json", "tags") == expected


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"<html></html>", "text/html; charset=utf-8", "HTML instead of JSON"),
        (b"  <!DOCTYPE html>", "application/json", "HTML instead of JSON"),
        (b'{"tags": ["a', "application/json", "truncated or invalid JSON"),
        (b"", "application/json", "truncated or invalid JSON"),
        (b"\xff\xfe", "application/json", "truncated or invalid JSON"),
        (b"[" * 100_000, "application/json", "truncated or invalid JSON"),
        (b'["a"]', "application/json", "JSON, but not an object"),
        (b'{"tags": "a"}', "application/json", "tags is not a list of names"),
        (b'{"tags": ["a", 1]}', "application/json", "tags is not a list of names"),
    ],
)
def test_what_is_no_list_of_names_is_said(body: bytes, content_type: str, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        parse_names(body, content_type, "tags")


def test_error_entries_keep_code_message_and_detail_as_text() -> None:
    body = (
        b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no","detail":{"Tag":"x"}},{"code":"B","detail":null},"?"]}'
    )
    entries = parse_errors(body)
    assert entries is not None
    assert [(e.code, e.message, e.detail) for e in entries] == [
        ("MANIFEST_UNKNOWN", "no", '{"Tag": "x"}'),
        ("B", "", ""),
    ]


@pytest.mark.parametrize("body", [b"", b"404 page not found\n", b"<html>", b"[]", b'{"errors": {}}', b"{}"])
def test_a_body_without_error_entries_is_none(body: bytes) -> None:
    assert parse_errors(body) is None


def test_error_texts_are_cut_and_free_of_control_characters_and_secrets() -> None:
    body = json.dumps(
        {"errors": [{"code": "X" * 999, "message": "\x1b[31m" + "m" * 9999, "detail": ["hunter22"]}] * 50}
    )
    entries = parse_errors(body.encode(), ["hunter22"])
    assert entries is not None
    assert len(entries) == 10
    assert len(entries[0].code) == 100
    assert len(entries[0].message) == MAX_DIAGNOSTIC_LENGTH
    assert "\x1b" not in entries[0].message
    assert entries[0].detail == '["•••"]'


def test_token_answer() -> None:
    assert (parse_token(b'{"token":"abc"}').token, parse_token(b'{"token":"abc"}').seconds) == ("abc", 60)
    answer = parse_token(b'{"access_token":"xyz","expires_in":120,"issued_at":"2026-01-02T03:04:05Z"}')
    assert (answer.token, answer.seconds) == ("xyz", 120)
    assert parse_token(b'{"token":"a","expires_in":999999}').seconds == 3600
    assert parse_token(b'{"token":"a","expires_in":"soon"}').seconds == 60
    assert "abc" not in repr(parse_token(b'{"token":"abc"}'))


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"token":""}', b'{"token":7}', b'{"token":"a\\r\\nX-Evil: 1"}', b'{"token":"a b"}', b"[]", b"<html>"],
)
def test_unusable_token_answers_are_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        parse_token(body)


def test_scopes_are_ordered_whatever_order_a_server_writes() -> None:
    one = parse_scopes("repository:x/y:push,pull registry:catalog:*")
    other = parse_scopes("registry:catalog:* repository:x/y:pull,push")
    assert format_scopes(one) == format_scopes(other) == ("registry:catalog:*", "repository:x/y:pull,push")


def test_a_scope_is_split_at_its_first_and_last_colon() -> None:
    assert parse_scopes("repository:host:5000/x:pull") == {"repository:host:5000/x": frozenset({"pull"})}
    assert parse_scopes("nonsense also:this") == {}


@given(
    st.dictionaries(
        st.from_regex(r"repository:[a-z]{1,8}(/[a-z]{1,8})?", fullmatch=True),
        st.frozensets(st.sampled_from(["pull", "push", "delete", "*"]), min_size=1),
        max_size=4,
    )
)
def test_scopes_survive_being_written_and_read(scopes: dict[str, frozenset[str]]) -> None:
    assert parse_scopes(" ".join(format_scopes(scopes))) == scopes


def test_only_a_type_that_says_something_is_kept() -> None:
    assert specific_type("application/json; charset=utf-8") == ""
    assert specific_type("") == ""
    assert specific_type("application/vnd.oci.image.index.v1+json; x=y") == "application/vnd.oci.image.index.v1+json"


def test_deep_json_is_an_error_and_not_a_crash() -> None:
    with pytest.raises(WireError):
        parse_json(b'{"a":' * 50_000)
