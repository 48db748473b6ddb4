"""Signing in at an OpenID Connect provider: the backend that checks what came back, and whom it means.

mozilla_django_oidc does the exchange; what the token says is verified here: signature (RS256 by the provider's keys),
issuer, audience, times, nonce. Who it is is decided by issuer and subject alone.
"""

from __future__ import annotations

import logging
from typing import Any

import jwt
import requests
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from dashboard.models import User

from . import external_people, oidc

logger = logging.getLogger(__name__)

NOT_PROVED = "not-proved"
NOT_CONFIGURED = "not-configured"
LEEWAY = 60
"""Seconds by which the provider's clock and ours may differ."""


class NotProved(Exception):
    """What the provider sent proves nothing. The text says why, without what was sent."""


class OidcBackend(OIDCAuthenticationBackend):
    """Tells in `request.refusal` why somebody does not come in, in `request.auth_time` when they signed in there."""

    get_settings = staticmethod(oidc.setting)

    def __init__(self) -> None:
        """Asks the provider nothing: Django makes a backend for every request of a session."""

    def authenticate(self, request: HttpRequest, *, nonce: str, code_verifier: str) -> User | None:
        """The person whom the provider vouches for. A sign-in with a password never comes here: it has no nonce."""
        code = NOT_PROVED
        try:
            super().__init__()
            found: User | None = super().authenticate(request, nonce=nonce, code_verifier=code_verifier)
        except external_people.NotLetIn as refused:
            code = refused.code
        except oidc.Unreachable as error:
            code = NOT_CONFIGURED
            logger.warning("OpenID Connect: %s", error)
        except (NotProved, jwt.PyJWTError) as error:
            logger.warning("OpenID Connect: %s", error)
        except (SuspiciousOperation, requests.RequestException, ValueError, LookupError, TypeError) as error:
            # Its text may hold what the provider answered.
            logger.warning("OpenID Connect: the exchange failed with %s", type(error).__name__)
        else:
            return found
        request.refusal = code  # type: ignore[attr-defined]  # read by the audit and the page
        return None

    def get_user(self, user_id: int) -> User | None:
        """The person of a session."""
        return User.objects.filter(pk=user_id, is_active=True).first()

    def verify_token(self, token: Any, **kwargs: Any) -> dict[str, Any]:
        """The claims of an ID token. Raises NotProved, or an error of jwt."""
        nonce = kwargs.get("nonce")
        claims: dict[str, Any] = jwt.decode(
            token,
            self._key_of(token),
            algorithms=[oidc.ALGORITHM],
            audience=settings.OIDC_CLIENT_ID,
            issuer=oidc.provider().issuer,
            leeway=LEEWAY,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
        if not nonce or not constant_time_compare(str(claims.get("nonce", "")), nonce):
            raise NotProved("the nonce is not the one that was sent")
        if claims.get("azp", settings.OIDC_CLIENT_ID) != settings.OIDC_CLIENT_ID:
            raise NotProved("it was issued to another client")
        return claims

    def _key_of(self, token: str) -> jwt.PyJWK:
        """The provider's key that the token names; one that names none has to be signed by the only one there is."""
        kid = jwt.get_unverified_header(token).get("kid")
        keys = [key for key in jwt.PyJWKSet.from_dict(oidc.signing_keys()).keys if key.key_type == "RSA"]
        found = [key for key in keys if key.key_id == kid] if kid is not None else keys
        if len(found) != 1:
            raise NotProved("it is not signed by a key of the provider")
        return found[0]

    def get_or_create_user(self, access_token: str, id_token: str, payload: dict[str, Any]) -> User:
        """The user of the token's subject, with the groups that are taken over. Raises NotLetIn."""
        claims = self._claims(access_token, id_token, payload)
        name = claims.get(settings.OIDC_USERNAME_CLAIM)
        identity = external_people.welcome(
            issuer=oidc.provider().issuer,
            subject=str(payload["sub"]),
            username=name if isinstance(name, str) else "",
        )
        if settings.OIDC_GROUPS_CLAIM:
            told = claims.get(settings.OIDC_GROUPS_CLAIM)
            names = external_people.only(settings.OIDC_GROUPS or ["*"], told if isinstance(told, list) else [told])
            external_people.follow_groups(identity, names)
        self.request.auth_time = payload.get("auth_time")
        return identity.user

    def _claims(self, access_token: str, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        """What the token says, and where it lacks something that is wanted, what the provider tells of its subject."""
        wanted = {settings.OIDC_USERNAME_CLAIM, settings.OIDC_GROUPS_CLAIM} - {""}
        if wanted <= payload.keys() or not oidc.provider().userinfo:
            return payload
        told = self.get_userinfo(access_token, id_token, payload)
        if not isinstance(told, dict) or told.get("sub") != payload["sub"]:
            raise NotProved("the provider told of somebody else")
        return told | payload
