"""What a registry writes, turned into values: pure functions over headers and bodies, every one of them bounded.

Challenges: RFC 9110 section 11.6.1. Links: RFC 8288. Error bodies: OCI distribution spec 1.1, "Error Codes".
Tokens: Distribution's token authentication specification.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from . import media_types
from .errors import Diagnostic

MAX_HEADER_LENGTH = 8 * 1024
MAX_CHALLENGES = 16
MAX_DIAGNOSTICS = 10
MAX_DIAGNOSTIC_LENGTH = 600
MIN_SECRET_LENGTH = 4  # a shorter one would blank ordinary words
MAX_TOKEN_LENGTH = 64 * 1024
DEFAULT_TOKEN_SECONDS = 60
MAX_TOKEN_SECONDS = 3600

_UNSPECIFIC_TYPES = frozenset({"application/json", "application/octet-stream", "text/plain"})


class WireError(ValueError):
    """A registry wrote something that means nothing; the message says what, without quoting it."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate that a server offers. Scheme and parameter names in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NextPage:
    """What a `Link` with rel="next" asks for: `last` and `n` only, whatever host and path it names."""

    last: str = ""
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of something an answer holds: its first and last byte, and the size of the whole if it is said."""

    first: int
    last: int
    size: int | None


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A token server's answer; `seconds` it is good for."""

    token: str = field(repr=False)
    seconds: int


_SKIP = re.compile(r"[\s,]*")
_SPACE = re.compile(r"[ \t]*")
_WORD = re.compile(r"[^\s,=\"]+")
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))")
_PARAMETER = re.compile(r"([^\s,=\"]+)[ \t]*=[ \t]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)(?:"|$)', re.DOTALL)
_UNQUOTED = re.compile(r"[^\s,]*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def parse_challenges(lines: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges of all WWW-Authenticate lines, in order. Never raises; what cannot be read is passed over."""
    found: list[Challenge] = []
    for line in lines:
        found += _challenges_of(line[:MAX_HEADER_LENGTH])
    return tuple(found[:MAX_CHALLENGES])


def _challenges_of(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    at = _end(_SKIP, text, 0)
    while at < len(text) and len(found) < MAX_CHALLENGES:
        word = _WORD.match(text, at)
        if word is None:
            at = _end(_SKIP, text, at + 1)
            continue
        parameters, at = _parameters_of(text, _end(_SPACE, text, word.end()))
        found.append(Challenge(word[0].lower(), parameters))
    return found


def _parameters_of(text: str, at: int) -> tuple[dict[str, str], int]:
    parameters: dict[str, str] = {}
    if _PARAMETER.match(text, at) is None or _is_token68(text, at):
        token68 = _TOKEN68.match(text, at)
        return parameters, _end(_SKIP, text, token68.end() if token68 and _is_token68(text, at) else at)
    while (parameter := _PARAMETER.match(text, at)) is not None:
        quoted = _QUOTED.match(text, parameter.end())
        value = quoted or _UNQUOTED.match(text, parameter.end())
        if value is None:  # not reachable: an unquoted value may be empty
            break
        parameters.setdefault(parameter[1].lower(), _ESCAPE.sub(r"\1", quoted[1]) if quoted else value[0])
        at = _end(_SKIP, text, value.end())
    return parameters, at


def _is_token68(text: str, at: int) -> bool:
    """Whether one opaque text stands where parameters would: `Negotiate YII=`, not `Basic realm=`."""
    match = _TOKEN68.match(text, at)
    return match is not None and match[0].endswith("=")


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_REL_NEXT = re.compile(r";\s*rel\s*=\s*(?:\"[^\"]*\bnext\b[^\"]*\"|next\b)", re.IGNORECASE)


def parse_next(lines: Iterable[str]) -> NextPage | None:
    """The next page that Link headers name, or None if there is none. Never raises."""
    for line in lines:
        for address, parameters in _LINK.findall(line[:MAX_HEADER_LENGTH]):
            if _REL_NEXT.search(parameters):
                return _next_of(address)
    return None


def _next_of(address: str) -> NextPage:
    try:
        query = dict(parse_qsl(urlsplit(address).query, keep_blank_values=True, max_num_fields=20))
    except ValueError:
        return NextPage()
    last, n = query.get("last", ""), query.get("n", "")
    if len(last) > 512 or not last.isprintable():
        last = ""
    return NextPage(last, int(n) if re.fullmatch(r"[1-9][0-9]{0,5}", n, re.ASCII) else None)


_LENGTH = re.compile(r"[0-9]{1,15}", re.ASCII)
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15}|\*)", re.ASCII)


def parse_length(text: str) -> int | None:
    """A Content-Length, or None if it is none."""
    return int(text) if _LENGTH.fullmatch(text) else None


def parse_content_range(text: str) -> Part | None:
    """The Content-Range of a 206 (RFC 9110 section 14.4), or None if it is none or contradicts itself."""
    match = _CONTENT_RANGE.fullmatch(text)
    if match is None:
        return None
    first, last, size = int(match[1]), int(match[2]), None if match[3] == "*" else int(match[3])
    if last < first or (size is not None and last >= size):
        return None
    return Part(first, last, size)


def parse_json(body: bytes, content_type: str = "") -> Any:
    """`body` as JSON. Raises WireError, naming HTML where that is what came."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    if media_types.bare(content_type) == "text/html" or body.lstrip()[:1] == b"<":
        raise WireError("HTML instead of JSON")
    raise WireError("truncated or invalid JSON")


def parse_names(body: bytes, content_type: str, key: str) -> tuple[str, ...]:
    """The list of names under `key` (`repositories`, `tags`); null or missing means none. Raises WireError."""
    document = parse_json(body, content_type)
    if not isinstance(document, dict):
        raise WireError("JSON, but not an object")
    names = document.get(key)
    if names is None:
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise WireError(f"{key} is not a list of names")
    return tuple(names)


def parse_errors(body: bytes, secrets: Iterable[str] = ()) -> tuple[Diagnostic, ...] | None:
    """The entries of an error body, or None if it is not one.

    Texts are cut and freed of control characters; where a registry repeats one of `secrets`, it is blanked.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    entries = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return None
    hidden = tuple(secrets)
    return tuple(
        Diagnostic(
            code=plain(entry.get("code"), hidden)[:100],
            message=plain(entry.get("message"), hidden),
            detail=plain(entry.get("detail"), hidden),
        )
        for entry in entries[:MAX_DIAGNOSTICS]
        if isinstance(entry, dict)
    )


def plain(value: Any, secrets: Iterable[str] = ()) -> str:
    """Anything as one short printable line, without any of `secrets`."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    for secret in secrets:
        if len(secret) >= MIN_SECRET_LENGTH:
            text = text.replace(secret, "•••")
    text = text[:MAX_DIAGNOSTIC_LENGTH]
    return "".join(c if c.isprintable() else " " for c in text)


def parse_token(body: bytes, content_type: str = "") -> TokenAnswer:
    """A token server's answer (`token` or `access_token`, `expires_in`). Raises WireError."""
    document = parse_json(body, content_type)
    if not isinstance(document, dict):
        raise WireError("JSON, but not an object")
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token) or len(token) > MAX_TOKEN_LENGTH:
        raise WireError("no usable token")
    seconds = document.get("expires_in")
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not 0 < seconds < 10**9:
        seconds = DEFAULT_TOKEN_SECONDS
    return TokenAnswer(token, min(int(seconds) or 1, MAX_TOKEN_SECONDS))


def specific_type(content_type: str) -> str:
    """A Content-Type that says which manifest it is, bare; empty for `application/json` and the like."""
    bare = media_types.bare(content_type)
    return "" if bare in _UNSPECIFIC_TYPES else bare


def parse_scopes(text: str) -> dict[str, frozenset[str]]:
    """Resource → actions of a `scope` value: split on spaces, then at the last colon (a name may hold a port)."""
    scopes: dict[str, frozenset[str]] = {}
    for scope in text[:MAX_HEADER_LENGTH].split():
        resource, colon, actions = scope.rpartition(":")
        if colon and ":" in resource:
            scopes[resource] = scopes.get(resource, frozenset()) | frozenset(filter(None, actions.split(",")))
    return scopes


def format_scopes(scopes: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Scopes in one stable order, as a token server is asked: servers write the actions in any order."""
    return tuple(f"{resource}:{','.join(sorted(actions))}" for resource, actions in sorted(scopes.items()))
