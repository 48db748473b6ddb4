"""The OpenID Connect provider: where it is asked what, from its discovery document; our settings of the code flow.

The document is read when somebody first signs in, and again every hour: a provider that is down keeps nothing else from
starting.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from urllib3.exceptions import HTTPError

SECONDS = 5.0
KEEP_SECONDS = 3600.0
MAX_DOCUMENT = 1024 * 1024
DOCUMENT = "/.well-known/openid-configuration"
ALGORITHM = "RS256"


class Unreachable(Exception):
    """The provider did not give a usable discovery document. The text says why, without secrets."""


@dataclass(frozen=True, slots=True)
class Provider:
    """What the document says. `issuer` is what its tokens carry; `by_form`: the client's secret goes in the form."""

    issuer: str
    authorization: str
    token: str
    userinfo: str
    keys: str
    by_form: bool


_lock = threading.Lock()
_known: dict[str, tuple[float, Provider]] = {}


def forget() -> None:
    """The document is read anew when it is needed next."""
    with _lock:
        _known.clear()


def provider() -> Provider:
    """The configured provider. Raises Unreachable."""
    issuer = settings.OIDC_ISSUER
    with _lock:
        read_at, found = _known.get(issuer, (0.0, None))
    if found is None or time.monotonic() - read_at > KEEP_SECONDS:
        found = _read(issuer)
        with _lock:
            _known[issuer] = (time.monotonic(), found)
    return found


def setting(name: str, *default: Any) -> Any:
    """A setting as mozilla_django_oidc asks for it. Raises Unreachable, and ImproperlyConfigured for none."""
    if name in _FROM_PROVIDER:
        return _FROM_PROVIDER[name](provider())
    if name in _OURS:
        return _OURS[name]()
    if default:
        return default[0]
    raise ImproperlyConfigured(f"there is no setting {name}")


_FROM_PROVIDER: Mapping[str, Callable[[Provider], Any]] = {
    "OIDC_OP_AUTHORIZATION_ENDPOINT": lambda found: found.authorization,
    "OIDC_OP_TOKEN_ENDPOINT": lambda found: found.token,
    "OIDC_OP_USER_ENDPOINT": lambda found: found.userinfo,
    "OIDC_OP_JWKS_ENDPOINT": lambda found: found.keys,
    "OIDC_TOKEN_USE_BASIC_AUTH": lambda found: not found.by_form,
}
_OURS: Mapping[str, Callable[[], Any]] = {
    "OIDC_RP_CLIENT_ID": lambda: settings.OIDC_CLIENT_ID,
    "OIDC_RP_CLIENT_SECRET": lambda: settings.OIDC_CLIENT_SECRET,
    "OIDC_RP_SIGN_ALGO": lambda: ALGORITHM,
    "OIDC_RP_SCOPES": lambda: settings.OIDC_SCOPES,
    "OIDC_USE_NONCE": lambda: True,
    "OIDC_USE_PKCE": lambda: True,
    "OIDC_TIMEOUT": lambda: SECONDS,
    "OIDC_AUTHENTICATION_CALLBACK_URL": lambda: "oidc-callback",
    "LOGIN_REDIRECT_URL": lambda: settings.LOGIN_REDIRECT_URL,
}


def signing_keys() -> dict[str, Any]:
    """The keys that the provider signs with now, as a JSON Web Key Set. Raises Unreachable."""
    return _document(provider().keys, "its set of keys")


def _document(url: str, what: str) -> dict[str, Any]:
    """A JSON object of bounded size; no redirect is followed. Raises Unreachable, which names `what`."""
    try:
        with requests.get(url, timeout=SECONDS, allow_redirects=False, stream=True) as answer:
            if answer.status_code != HTTPStatus.OK:
                raise Unreachable(f"{what} answered {answer.status_code}")
            document = json.loads(answer.raw.read(MAX_DOCUMENT, decode_content=True))
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        raise Unreachable(f"{what} could not be read: {type(error).__name__}") from None
    if not isinstance(document, dict):
        raise Unreachable(f"{what} is no object")
    return document


def _read(issuer: str) -> Provider:
    document = _document(issuer.rstrip("/") + DOCUMENT, "its discovery document")
    if str(document.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):
        raise Unreachable("its discovery document names another issuer")
    methods = document.get("token_endpoint_auth_methods_supported") or []
    return Provider(
        issuer=str(document["issuer"]),
        authorization=_address(document, "authorization_endpoint", issuer),
        token=_address(document, "token_endpoint", issuer),
        userinfo=_address(document, "userinfo_endpoint", issuer) if "userinfo_endpoint" in document else "",
        keys=_address(document, "jwks_uri", issuer),
        by_form=isinstance(methods, list) and "client_secret_post" in methods,
    )


def _address(document: dict[str, Any], name: str, issuer: str) -> str:
    """An endpoint; never in the clear where the issuer is not."""
    text = str(document.get(name, ""))
    scheme = urlsplit(text).scheme
    if scheme != "https" and not (scheme == "http" and urlsplit(issuer).scheme == "http"):
        raise Unreachable(f"its discovery document has no usable {name}")
    return text
