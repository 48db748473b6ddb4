"""Who asks, and how a registry wants to be told: Basic, or tokens from a token server.

A credential goes to the registry's own origin. To a token server it goes only if that is reached by https or is on the
registry's own host; a token server that is neither is asked nothing at all. Which scheme a registry uses is learned
once per client; tokens are cached by realm, service, scopes and credential, so that two people never share one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlencode, urlsplit

from .wire import Challenge, TokenAnswer, format_scopes, parse_scopes

MAX_TOKENS = 2048
CLIENT_ID = "strata"
PASSWORD_REFUSED = frozenset({"credential-refused", "token-server-refused"})
"""Reasons of an Unauthorized that speak of the password; a token server may mean a right by the second one."""


class AuthScheme(StrEnum):
    """What `/v2/` asks for. OTHER: a challenge of a scheme that is not spoken here, or a 401 without any."""

    NONE = "none"
    BASIC = "basic"
    BEARER = "bearer"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Credential:
    """A registry user's name and password. `unusable`: why nothing may be asked in this name (its password is gone)."""

    username: str
    password: str = field(repr=False)
    unusable: str = ""

    def basic(self) -> str:
        """The Authorization header of HTTP Basic, UTF-8."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


class Denied(Exception):
    """No authorization can be had. `reason` is a stable short text: see the client's Unauthorized errors."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Fetch = Callable[[str, str], TokenAnswer]
"""Asks a token server: address, Authorization header or "". Raises RegistryError."""


@dataclass(slots=True)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    token: str = field(default="", repr=False)
    until: float = 0.0


class TokenCache:
    """Tokens until shortly before they expire; the oldest is dropped beyond MAX_TOKENS. Safe across threads."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[str, ...], _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, ...], fetch: Callable[[], TokenAnswer], *, wait: float) -> str:
        """The cached token, or a fetched one. Threads that want the same one wait `wait` seconds for the first.

        Raises what `fetch` raises, and TimeoutError.
        """
        entry = self._entry(key)
        if not entry.lock.acquire(timeout=max(wait, 0.0)):
            raise TimeoutError
        try:
            if entry.token and time.monotonic() < entry.until:
                return entry.token
            answer = fetch()
            early = min(10.0, answer.seconds / 10)
            entry.token, entry.until = answer.token, time.monotonic() + answer.seconds - early
            return entry.token
        finally:
            entry.lock.release()

    def drop(self, token: str) -> None:
        """Forget this token wherever it is cached: the registry refused it."""
        with self._lock:
            for entry in self._entries.values():
                if entry.token == token:
                    entry.until = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    def _entry(self, key: tuple[str, ...]) -> _Entry:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                entry = self._entries[key] = _Entry()
                while len(self._entries) > MAX_TOKENS:
                    self._entries.popitem(last=False)
            self._entries.move_to_end(key)
            return entry


class Authorizer:
    """What one registry was seen to ask for, and its tokens. One per client, safe across threads and people."""

    def __init__(self, host: str) -> None:
        self._host = host.lower()
        self._challenge: Challenge | None = None
        self._salt = secrets.token_bytes(16)
        self._tokens = TokenCache()
        self.learning = threading.Lock()
        self.known = False

    def learn(self, challenges: tuple[Challenge, ...]) -> AuthScheme:
        """Keep what the registry asks for. Where it offers both, tokens: they are what it was set up with."""
        self.known = True
        for scheme in (AuthScheme.BEARER, AuthScheme.BASIC):
            for challenge in challenges:
                if challenge.scheme == scheme and (scheme == AuthScheme.BASIC or challenge.parameters.get("realm")):
                    self._challenge = challenge
                    return scheme
        return AuthScheme.OTHER

    def forget(self) -> None:
        """The registry was seen to ask for nothing."""
        self.known = True
        self._challenge = None

    @property
    def challenge(self) -> Challenge | None:
        """What the registry asked for when it was last heard."""
        return self._challenge

    def header(
        self, credential: Credential | None, scopes: tuple[str, ...], fetch: Fetch, *, wait: float = 60.0
    ) -> str:
        """The Authorization header to send now, "" for none. Raises Denied, TimeoutError and what `fetch` raises."""
        challenge = self._challenge
        if challenge is None:
            return ""
        if challenge.scheme == AuthScheme.BASIC:
            return credential.basic() if credential else ""
        return "Bearer " + self._token(challenge, credential, scopes, fetch, wait)

    def header_after(
        self,
        refusal: tuple[Challenge, ...],
        used: str,
        credential: Credential | None,
        scopes: tuple[str, ...],
        fetch: Fetch,
        *,
        wait: float = 60.0,
    ) -> str:
        """The header for the one retry after a 401 that came in spite of `used` ("" = nothing was sent).

        Raises Denied when asking again is pointless: a refused password (registries lock accounts), a token that
        lists too few rights, nobody to ask as.
        """
        scheme = self.learn(refusal)
        challenge = self._challenge
        if scheme == AuthScheme.OTHER or challenge is None:
            raise Denied("credential-refused" if used else "unknown-scheme" if refusal else "no-challenge")
        if scheme == AuthScheme.BASIC:
            if credential is None:
                raise Denied("no-credential")
            if used == credential.basic():
                raise Denied("credential-refused")
            return credential.basic()
        asked, wanted = parse_scopes(" ".join(scopes)), parse_scopes(challenge.parameters.get("scope", ""))
        if used.startswith("Bearer "):
            covered = all(actions <= asked.get(resource, frozenset()) for resource, actions in wanted.items())
            if covered and challenge.parameters.get("error", "") == "insufficient_scope":
                raise Denied("insufficient_scope")
            self._tokens.drop(used.removeprefix("Bearer "))
        both = {name: asked.get(name, frozenset()) | wanted.get(name, frozenset()) for name in asked | wanted}
        return "Bearer " + self._token(challenge, credential, format_scopes(both), fetch, wait)

    def _token(
        self, challenge: Challenge, credential: Credential | None, scopes: tuple[str, ...], fetch: Fetch, wait: float
    ) -> str:
        realm, service = challenge.parameters.get("realm", ""), challenge.parameters.get("service", "")
        if not self.trusts(realm):
            raise Denied("untrusted-realm")
        address = token_address(realm, service, scopes, credential.username if credential else "")
        key = (realm, service, " ".join(scopes), self._identity(credential))
        return self._tokens.get(key, lambda: fetch(address, credential.basic() if credential else ""), wait=wait)

    def trusts(self, realm: str) -> bool:
        """Whether a token server at `realm` may be asked, and given a credential."""
        try:
            parts = urlsplit(realm)
            host = (parts.hostname or "").lower()
        except ValueError:
            return False
        if parts.username or parts.password or not host:
            return False
        return parts.scheme == "https" or (parts.scheme == "http" and host == self._host)

    def _identity(self, credential: Credential | None) -> str:
        if credential is None:
            return ""
        text = f"{len(credential.username)}:{credential.username}:{credential.password}"
        return hmac.new(self._salt, text.encode(), hashlib.sha256).hexdigest()


def token_address(realm: str, service: str, scopes: tuple[str, ...], account: str) -> str:
    """Where to ask for a token: the realm with its own query kept and ours appended, one `scope` per resource."""
    query: list[tuple[str, str]] = [("service", service)] if service else []
    query += [("scope", scope) for scope in scopes]
    if account:
        query.append(("account", account))
    query.append(("client_id", CLIENT_ID))
    base = realm.partition("#")[0]
    separator = "" if base.endswith(("?", "&")) else "&" if "?" in base else "?"
    return base + separator + urlencode(query)
