"""Which of many repositories somebody may pull: asked of the token server for some fifty of them at once.

A token server that grants less than it was asked for lists less in its token (Distribution, token.md). The registry is
shown that token too: what a token claims counts only if the registry takes it for one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .calls import Call
from .exchange import Exchange
from .references import RepositoryName
from .wire import WireError, parse_json

MAX_NAMES = 50
MAX_SCOPES_LENGTH = 6000
"""Letters of all scopes of one request: servers and proxies refuse addresses beyond 8 kB."""
_PULLS = frozenset({"pull", "*"})


def pullable(exchange: Exchange, names: Sequence[RepositoryName]) -> dict[RepositoryName, bool] | None:
    """Which of at most MAX_NAMES repositories may be pulled; None where tokens do not tell. Raises RegistryError."""
    found: dict[RepositoryName, bool] = {}
    for some in _parts(names[:MAX_NAMES]):
        scopes = tuple(f"repository:{name}:pull" for name in some)
        token = exchange.fresh_token(Call("ask for rights", "GET", "/v2/", scopes=scopes))
        granted = claimed(token)
        if granted is None:
            return None
        found |= {name: not _PULLS.isdisjoint(granted.get(name, ())) for name in some}
    return found


def claimed(token: str) -> Mapping[str, frozenset[str]] | None:
    """Actions by repository that a token lists (claim `access` of a JWT); None for a token that tells nothing."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = parse_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), "")
    except (WireError, binascii.Error, ValueError):
        return None
    if not isinstance(claims, dict) or "access" not in claims:
        return None
    listed = claims["access"] or ()  # Go writes an empty list as null
    return dict(_grants(listed)) if isinstance(listed, list | tuple) else None


def _grants(listed: Sequence[Any]) -> Iterator[tuple[str, frozenset[str]]]:
    for each in listed:
        if not isinstance(each, dict) or each.get("type") != "repository":
            continue
        name, actions = each.get("name"), each.get("actions")
        if isinstance(name, str) and isinstance(actions, list):
            yield name, frozenset(action for action in actions if isinstance(action, str))


def _parts(names: Sequence[RepositoryName]) -> Iterator[list[RepositoryName]]:
    """The names in parts whose scopes fit into an address."""
    part: list[RepositoryName] = []
    length = 0
    for name in names:
        added = len(f"repository:{name}:pull&scope=")
        if part and length + added > MAX_SCOPES_LENGTH:
            yield part
            part, length = [], 0
        part.append(name)
        length += added
    if part:
        yield part
