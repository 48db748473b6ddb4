"""System checks of the configuration: each with an id and a fix. `bootstrap` stops on them.

dashboard.E001 SECRET_KEY missing · E002 credential keys missing or malformed · E003 registry address · E004 slug ·
E005 who people act with · E006 CA file · E007 storage root · E008 base URL · E009 webhook of alerts ·
E010 mail addresses of alerts · E011 program of collections · E012 bucket · E013 proxy that signs people in ·
E014 provider that signs people in · E015 groups of those who sign in with a registry's password · W001 no registry ·
W002 password file
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 (Django's name)
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

from dashboard.models import Registry
from dashboard.registry import webhook
from dashboard.services import proxy_signin, registries, registry_users, sign_in_groups
from dashboard.services.collection.ask import is_program

MIN_SECRET_LENGTH = 32


@register
def secrets_are_set(**_: Any) -> list[CheckMessage]:
    """SECRET_KEY and DASHBOARD_CREDENTIAL_KEYS."""
    found: list[CheckMessage] = []
    try:
        secret = str(settings.SECRET_KEY)
    except ImproperlyConfigured:  # Django's own answer to an empty key
        secret = ""
    if len(secret) < MIN_SECRET_LENGTH:
        found.append(
            Error(
                f"SECRET_KEY is missing or shorter than {MIN_SECRET_LENGTH} characters.",
                hint="Set SECRET_KEY or SECRET_KEY_FILE, for example to the output of: openssl rand -base64 48",
                id="dashboard.E001",
            )
        )
    if not settings.CREDENTIAL_KEYS or not all(_is_fernet_key(key) for key in settings.CREDENTIAL_KEYS):
        found.append(
            Error(
                "DASHBOARD_CREDENTIAL_KEYS is missing, or one of its keys is not 32 bytes in URL-safe base64.",
                hint="Set it, for example to the output of: openssl rand -base64 32 | tr '+/' '-_'",
                id="dashboard.E002",
            )
        )
    return found


@register
def registry_is_well_described(**_: Any) -> list[CheckMessage]:
    """The variables of the environment's registry."""
    if not settings.REGISTRY_URL:
        return [
            Warning(
                "No registry is configured.",
                hint="Set DASHBOARD_REGISTRY_URL to the registry's address, for example https://registry.example.com",
                id="dashboard.W001",
            )
        ]
    found: list[CheckMessage] = []
    if not registries.is_address(settings.REGISTRY_URL):
        found.append(
            Error(
                "DASHBOARD_REGISTRY_URL is not a plain http or https address.",
                hint=(
                    "Give the address before /v2/, without user name and password; "
                    "these go to DASHBOARD_REGISTRY_USERNAME and _PASSWORD."
                ),
                id="dashboard.E003",
            )
        )
    if not registries.is_slug(settings.REGISTRY_SLUG):
        found.append(
            Error(
                "DASHBOARD_REGISTRY_SLUG is not a slug.",
                hint="Lower-case letters and digits, parts joined by single hyphens.",
                id="dashboard.E004",
            )
        )
    if settings.REGISTRY_ACT_WITH not in Registry.ActWith.values:
        found.append(
            Error(
                "DASHBOARD_REGISTRY_ACT_WITH is neither own nor group nor default.",
                hint="Set it to own or default.",
                id="dashboard.E005",
            )
        )
    found += _ca_file() + _storage_root() + _storage_url() + _gc_command() + _htpasswd_file()
    return found


@register
def base_url_is_an_address(**_: Any) -> list[CheckMessage]:
    """DASHBOARD_BASE_URL."""
    try:
        parts = urlsplit(settings.BASE_URL)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme in {"http", "https"} and parts.hostname:
        return []
    return [
        Error(
            "DASHBOARD_BASE_URL is not an http or https address.",
            hint="For example https://strata.example.com",
            id="dashboard.E008",
        )
    ]


@register
def alerts_can_be_sent(**_: Any) -> list[CheckMessage]:
    """DASHBOARD_ALERT_WEBHOOK_URL, which is a secret and not repeated, and DASHBOARD_ALERT_EMAILS."""
    found: list[CheckMessage] = []
    if settings.ALERT_WEBHOOK_URL and not webhook.is_address(settings.ALERT_WEBHOOK_URL):
        found.append(
            Error(
                "DASHBOARD_ALERT_WEBHOOK_URL is not a plain http or https address.",
                hint="Leave out user name and password; a token goes to DASHBOARD_ALERT_WEBHOOK_TOKEN.",
                id="dashboard.E009",
            )
        )
    if not all(_is_mail_address(address) for address in settings.ALERT_EMAILS):
        found.append(
            Error(
                "DASHBOARD_ALERT_EMAILS holds something that is no mail address.",
                hint="Addresses such as ops@example.com, separated by commas.",
                id="dashboard.E010",
            )
        )
    return found


@register
def proxy_can_be_told_from_others(**_: Any) -> list[CheckMessage]:
    """DASHBOARD_PROXY_USER_HEADER and DASHBOARD_PROXY_ADDRESSES: anybody can send a header."""
    if not settings.PROXY_USER_HEADER:
        return []
    if not settings.PROXY_ADDRESSES:
        text = "DASHBOARD_PROXY_USER_HEADER is set, and DASHBOARD_PROXY_ADDRESSES does not say from whom to believe it."
    elif not all(proxy_signin.network(address) for address in settings.PROXY_ADDRESSES):
        text = "DASHBOARD_PROXY_ADDRESSES holds something that is no address and no network."
    else:
        return []
    return [Error(text, hint="The addresses that the proxy connects from, such as 10.0.0.5.", id="dashboard.E013")]


@register
def provider_is_well_described(**_: Any) -> list[CheckMessage]:
    """The variables of OpenID Connect, and the extra that they need."""
    if not settings.OIDC_ISSUER:
        return []
    if not webhook.is_address(settings.OIDC_ISSUER):
        text, hint = "DASHBOARD_OIDC_ISSUER is not an http or https address.", "For example https://login.example.com"
    elif not settings.OIDC_CLIENT_ID or not settings.OIDC_CLIENT_SECRET:
        text = "DASHBOARD_OIDC_ISSUER is set without DASHBOARD_OIDC_CLIENT_ID or DASHBOARD_OIDC_CLIENT_SECRET."
        hint = "Both come from the provider, where the dashboard is entered as a client."
    elif find_spec("mozilla_django_oidc") is None:
        text = "DASHBOARD_OIDC_ISSUER is set, and what it needs is not installed."
        hint = "pip install --require-hashes -r requirements.txt -r requirements-oidc.txt"
    else:
        return []
    return [Error(text, hint=hint, id="dashboard.E014")]


@register
def sign_in_groups_can_be_read(**_: Any) -> list[CheckMessage]:
    """DASHBOARD_SIGN_IN_GROUPS."""
    if all(sign_in_groups.parsed(text) for text in settings.SIGN_IN_GROUPS):
        return []
    return [
        Error(
            "DASHBOARD_SIGN_IN_GROUPS holds something that is not a pattern, an equals sign and a group.",
            hint="For example ci-*=robots, *=registry-users",
            id="dashboard.E015",
        )
    ]


def _is_mail_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def _ca_file() -> list[CheckMessage]:
    if not settings.REGISTRY_CA_FILE or registries.is_ca_file(settings.REGISTRY_CA_FILE):
        return []
    return [
        Error(
            (
                "DASHBOARD_REGISTRY_CA_FILE names "
                f"{settings.REGISTRY_CA_FILE}, which cannot be read as PEM certificates."
            ),
            hint="Name a readable file with the certificate of the authority that signed the registry's certificate.",
            id="dashboard.E006",
        )
    ]


def _storage_root() -> list[CheckMessage]:
    if not settings.STORAGE_ROOT or registries.is_storage_root(settings.STORAGE_ROOT):
        return []
    return [
        Error(
            f"DASHBOARD_STORAGE_ROOT names {settings.STORAGE_ROOT}, which is not a directory.",
            hint="Mount the registry's storage there (read-only is enough), or leave the variable empty.",
            id="dashboard.E007",
        )
    ]


def _gc_command() -> list[CheckMessage]:
    if not settings.GC_COMMAND or is_program(settings.GC_COMMAND):
        return []
    return [
        Error(
            f"DASHBOARD_GC_COMMAND names {settings.GC_COMMAND}, which is not the absolute path of a program.",
            hint="Name an executable file, or leave the variable empty; see docs/garbage-collection.md.",
            id="dashboard.E011",
        )
    ]


def _htpasswd_file() -> list[CheckMessage]:
    """A warning: everything but the page of the registry's users goes on without it."""
    code = registry_users.problem() if settings.HTPASSWD_FILE else ""
    if not code:
        return []
    why = {
        registry_users.MISSING: "which is not there",
        registry_users.NOT_WRITABLE: "whose directory cannot be written to",
        registry_users.NO_FILE: "which is no plain file in its directory",
        registry_users.TOO_LARGE: "which is larger than any password file",
    }
    return [
        Warning(
            f"DASHBOARD_HTPASSWD_FILE names {settings.HTPASSWD_FILE}, {why.get(code, 'which cannot be read')}.",
            hint="Mount the directory that holds the registry's password file, writable; see docs/access.md.",
            id="dashboard.W002",
        )
    ]


def _storage_url() -> list[CheckMessage]:
    if not settings.STORAGE_URL:
        return []
    if settings.STORAGE_ROOT:
        text, hint = "DASHBOARD_STORAGE_ROOT and DASHBOARD_STORAGE_URL are both set.", "Leave one of them empty."
    elif not registries.is_storage_url(settings.STORAGE_URL):
        text, hint = "DASHBOARD_STORAGE_URL is not an address of a bucket.", "For example s3://bucket/prefix"
    elif urlsplit(settings.STORAGE_ENDPOINT).scheme not in {"", "http", "https"}:
        text, hint = "DASHBOARD_STORAGE_ENDPOINT is not an http or https address.", "Leave it empty for Amazon's S3."
    else:
        return []
    return [Error(text, hint=hint, id="dashboard.E012")]


def _is_fernet_key(key: str) -> bool:
    try:
        Fernet(key.strip())
    except ValueError:
        return False
    return True
