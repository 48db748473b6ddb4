"""Who may do what at the fake: nobody asked, passwords, or tokens from a token server at the same address."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs

from tests.support.token_server import TokenUser

from .answers import Answer, Dialect
from .requests import Request

SERVICE = "fake-registry"


@dataclass(frozen=True, slots=True)
class Right:
    """What a request needs: `repository:team/app` and its actions."""

    resource: str
    actions: tuple[str, ...]

    @property
    def scope(self) -> str:
        """As a challenge writes it."""
        return f"{self.resource}:{','.join(self.actions)}"


Rights = tuple[Right, ...]


def rights_for(request: Request) -> Rights:
    """The rights a request needs; none where being anybody known is enough. A mount reads its source, too."""
    if request.path == "/v2/_catalog":
        return (Right("registry:catalog", ("*",)),)
    match = re.fullmatch(r"/v2/(.+)/(?:manifests|blobs|tags|referrers)/.*", request.path)
    if match is None:
        return ()
    actions = {"GET": ("pull",), "HEAD": ("pull",), "DELETE": ("delete",)}.get(request.method, ("pull", "push"))
    own, source = Right(f"repository:{match[1]}", actions), request.parameter("from")
    return (own, Right(f"repository:{source}", ("pull",))) if request.method == "POST" and source else (own,)


@dataclass
class Basic:
    """A password file."""

    passwords: Mapping[str, str]

    def refusal(self, authorization: str, _rights: Rights, dialect: Dialect) -> Answer | None:
        """The 401, or None if the request may go on."""
        name, password = decode_basic(authorization)
        if name and self.passwords.get(name) == password:
            return None
        answer = dialect.error(401, "UNAUTHORIZED", detail=None)
        return answer.with_headers(WWW_Authenticate='Basic realm="Tests"')


@dataclass
class Tokens:
    """A token server at `realm`, and what its tokens allow. `asked`: (user or "", scopes) of each request for one.

    Its tokens are JWTs that list what they allow, signed by nobody; `opaque` ones tell nothing.
    """

    realm: str
    users: Mapping[str, TokenUser]
    anonymous: Mapping[str, frozenset[str]] = field(default_factory=dict)
    issued: dict[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    seconds: int = 300
    opaque: bool = False

    def issue(self, query: str, authorization: str, dialect: Dialect) -> Answer:
        """The token server's answer."""
        name, password = decode_basic(authorization)
        scopes = tuple(scope for value in parse_qs(query).get("scope", []) for scope in value.split())
        self.asked.append((name, scopes))
        user = self.users.get(name)
        if authorization and (user is None or user.password != password):
            return dialect.error(401, "UNAUTHORIZED")
        rights = user.rights if user else self.anonymous
        granted = {scope.rpartition(":")[0]: _allowed(scope, rights) for scope in scopes}
        token = secrets.token_urlsafe(24) if self.opaque else _listing(granted)
        self.issued[token] = granted
        return dialect.document({"token": token, "expires_in": self.seconds})

    def revoke(self) -> None:
        """Forget all tokens, as after a change of keys."""
        self.issued.clear()

    def refusal(self, authorization: str, needed: Rights, dialect: Dialect) -> Answer | None:
        """The 401, or None if the request may go on."""
        token = authorization.removeprefix("Bearer ") if authorization.startswith("Bearer ") else ""
        rights = self.issued.get(token)
        if rights is not None and all(set(r.actions) <= rights.get(r.resource, frozenset()) for r in needed):
            return None
        challenge = f'Bearer realm="{self.realm}",service="{SERVICE}"'
        detail: Any = None
        if needed:
            challenge += f',scope="{" ".join(right.scope for right in needed)}"'
            detail = [
                {"Type": kind, "Class": "", "Name": name, "Action": action}
                for right in needed
                for kind, _, name in [right.resource.partition(":")]
                for action in right.actions
            ]
        if token:
            challenge += f',error="{"invalid_token" if rights is None else "insufficient_scope"}"'
        return dialect.error(401, "UNAUTHORIZED", detail=detail).with_headers(WWW_Authenticate=challenge)


def _listing(granted: Mapping[str, frozenset[str]]) -> str:
    """A token that lists what it allows, as Distribution's do."""
    access = [
        {"type": kind, "name": name, "actions": sorted(actions)}
        for resource, actions in granted.items()
        for kind, _, name in [resource.partition(":")]
        if actions
    ]
    parts = [{"alg": "none"}, {"jti": secrets.token_urlsafe(12), "access": access}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, secrets.token_urlsafe(24)])


def decode_basic(authorization: str) -> tuple[str, str]:
    """Name and password of a Basic header; two empty texts for anything else."""
    if not authorization.startswith("Basic "):
        return "", ""
    name, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    return name, password


def _allowed(scope: str, rights: Mapping[str, frozenset[str]]) -> frozenset[str]:
    resource, _, wanted = scope.rpartition(":")
    allowed = frozenset[str]().union(
        *(actions for pattern, actions in rights.items() if fnmatchcase(resource, pattern))
    )
    return allowed & frozenset(wanted.split(","))
