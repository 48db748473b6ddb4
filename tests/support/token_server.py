"""A token server of the tests' own: Distribution's protocol, users with a table of rights, tokens by x5c and RS256.

One such token is accepted by 2.8 and 3.x alike.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .tls import self_signed

ISSUER = "tests-token-server"
SERVICE = "tests-registry"


@dataclass(frozen=True, slots=True)
class TokenUser:
    """A password and the rights: pattern of a resource (`repository:team/*`) → actions."""

    password: str
    rights: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class TokenAuth:
    """What a registry's configuration needs of a token server."""

    realm: str
    service: str
    issuer: str
    certificate: Path


@dataclass
class TokenServer:
    """Issues tokens. `asked` lists what was asked for: (user or "", scopes). Use as a context manager."""

    directory: Path
    users: Mapping[str, TokenUser]
    anonymous: Mapping[str, frozenset[str]] = field(default_factory=dict)
    seconds: int = 300
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        certificate = self_signed("tests' token server", self._key)
        self._x5c = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
        path = self.directory / "token.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        realm = f"http://127.0.0.1:{self._server.server_address[1]}/token"
        self.auth = TokenAuth(realm, SERVICE, ISSUER, path)

    def __enter__(self) -> TokenServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, query: str, authorization: str) -> tuple[int, dict[str, Any]]:
        """Status and body for a request of this query and Authorization header."""
        asked = parse_qs(query)
        user = self._user(authorization)
        scopes = tuple(scope for value in asked.get("scope", []) for scope in value.split())
        self.asked.append((user or "", scopes))
        if user is None:
            return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong name or password"}]}
        rights = self.users[user].rights if user else self.anonymous
        access = [granted for scope in scopes if (granted := _grant(scope, rights)) is not None]
        return 200, {"token": self.token(user, access), "expires_in": self.seconds}

    def token(self, user: str, access: list[dict[str, Any]]) -> str:
        """A signed token for `user` that lists `access`."""
        now = int(time.time())
        claims = {
            "iss": ISSUER, "aud": SERVICE, "sub": user, "exp": now + self.seconds, "nbf": now - 5, "iat": now,
            "access": access,
        }  # fmt: skip
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"x5c": [self._x5c]})

    def _user(self, authorization: str) -> str | None:
        """The user's name, "" for nobody, None for a wrong password."""
        if not authorization:
            return ""
        name, _, password = base64.b64decode(authorization.partition(" ")[2]).decode().partition(":")
        known = self.users.get(name)
        return name if known is not None and known.password == password else None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, document = server.answer(urlsplit(self.path).query, self.headers.get("Authorization", ""))
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep the test run quiet."""

        return Handler


def _grant(scope: str, rights: Mapping[str, frozenset[str]]) -> dict[str, Any] | None:
    resource, _, wanted = scope.rpartition(":")
    kind, _, name = resource.partition(":")
    allowed = frozenset[str]().union(
        *(actions for pattern, actions in rights.items() if fnmatchcase(resource, pattern))
    )
    actions = sorted(allowed & frozenset(wanted.split(",")))
    return {"type": kind, "name": name, "actions": actions} if actions else None
