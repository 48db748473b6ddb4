"""What a registry is and can do, found by requests that change nothing.

Deletion is asked by a digest nobody has, before any tag: some registries delete tags although deletion is disabled.
"""

from __future__ import annotations

import secrets
import time

from . import errors, media_types
from .auth import AuthScheme
from .calls import Call
from .exchange import Exchange
from .references import Digest, RepositoryName
from .results import DELETES_TAGS_ALTHOUGH_DISABLED, Capabilities, Deletion, Family, Ping
from .wire import Challenge, WireError, parse_json

PROBED_REPOSITORY = RepositoryName("strata-probe")


def ping(exchange: Exchange) -> Ping:
    """Whether the registry answers, what it asks for, and whether it accepts this person.

    Raises RegistryError if it does not answer or is no registry; never for a 401.
    """
    call = Call("ping", "GET", "/v2/", missing=errors.NotARegistry, limit=64 * 1024)
    began = time.monotonic()
    bare = exchange.bare(call)
    scheme = scheme_of(bare.challenges, bare.status)
    realm = next((c.parameters.get("realm", "") for c in bare.challenges), "")[:300]
    seconds = time.monotonic() - began
    status, refusal, family = bare.status, "", family_of(bare.content_type, bare.body, bare.api_version)
    if bare.status == 200 and not _is_v2(bare.content_type, bare.body, bare.api_version):
        raise exchange.error(call, errors.NotARegistry, status=200, reason="no registry answers at this address")
    if bare.status == 401 or exchange.credential is not None:
        began = time.monotonic()
        try:
            answer = exchange.ask(call)
        except errors.Unauthorized as error:
            status, refusal = 401, error.reason
        else:
            status, family = answer.status, family_of(answer.content_type, answer.body, answer.api_version)
        seconds = time.monotonic() - began
    return Ping(scheme, seconds, status, realm, bare.status, refusal, family)


def scheme_of(challenges: tuple[Challenge, ...], status: int) -> AuthScheme:
    """What the registry asks for, by its answer to somebody who said nothing."""
    for scheme in (AuthScheme.BEARER, AuthScheme.BASIC):
        if any(challenge.scheme == scheme for challenge in challenges):
            return scheme
    return AuthScheme.OTHER if status == 401 or challenges else AuthScheme.NONE


def family_of(content_type: str, body: bytes, api_version: str) -> Family:
    """Which registry answers `/v2/` like this. Distribution 2 says a charset, 3 does not; zot's body is empty."""
    if api_version == "registry/2.0" and body.lstrip()[:1] == b"{" and media_types.bare(content_type):
        has_charset = "charset=utf-8" in content_type.lower()
        if media_types.bare(content_type) == "application/json":
            return Family.DISTRIBUTION_2 if has_charset else Family.DISTRIBUTION_3
    return Family.OTHER


def _is_v2(content_type: str, body: bytes, api_version: str) -> bool:
    """Whether a 200 of `/v2/` is a registry's: its header, a JSON object or nothing at all; never a web page."""
    if media_types.bare(content_type) == "text/html" or body.lstrip()[:1] == b"<":
        return False
    return api_version == "registry/2.0" or body.strip() == b"" or body.lstrip()[:1] == b"{"


def probe(exchange: Exchange, repository: RepositoryName | None = None) -> Capabilities:
    """The registry's family, scheme, deletion and faults.

    `repository` is where deletion is asked about; with token authentication rights differ by repository, elsewhere
    any name does. Raises RegistryError if the registry does not answer.
    """
    answer = ping(exchange)
    name = repository or PROBED_REPOSITORY
    family = answer.family
    if family == Family.OTHER and _is_zot(exchange):
        family = Family.ZOT
    if answer.status == 401:
        return Capabilities(family, answer.scheme, Deletion.REFUSED, answer.seconds)
    deletion, faults = _deletion(exchange, name, family)
    return Capabilities(family, answer.scheme, deletion, answer.seconds, faults, _has_referrers(exchange, name))


def _deletion(exchange: Exchange, repository: RepositoryName, family: Family) -> tuple[Deletion, tuple[str, ...]]:
    by_digest = _delete(exchange, repository, _unused_digest())
    if isinstance(by_digest, errors.ReadOnly):
        return Deletion.READ_ONLY, ()
    if isinstance(by_digest, errors.Unsupported):
        if family != Family.DISTRIBUTION_3:
            return Deletion.DISABLED, ()
        ignored = isinstance(_delete(exchange, repository, _unused_tag()), errors.NotFound)
        return Deletion.DISABLED, (DELETES_TAGS_ALTHOUGH_DISABLED,) if ignored else ()
    if isinstance(by_digest, (errors.Unauthorized, errors.Forbidden)):
        return Deletion.REFUSED, ()
    if not _says_missing(by_digest):
        return Deletion.UNKNOWN, ()
    by_tag = _says_missing(_delete(exchange, repository, _unused_tag()))
    return (Deletion.BY_TAG if by_tag else Deletion.BY_DIGEST), ()


def _delete(exchange: Exchange, repository: RepositoryName, reference: str) -> errors.RegistryError | None:
    path, scopes = f"/v2/{repository}/manifests/{reference}", (f"repository:{repository}:delete,pull",)
    try:
        exchange.ask(Call("probe", "DELETE", path, scopes, missing=errors.ManifestUnknown, slow=True))
    except errors.Unavailable:
        raise
    except errors.RegistryError as error:
        return error
    return None


def _says_missing(error: errors.RegistryError | None) -> bool:
    """zot answers 400 NAME_UNKNOWN for a repository it does not have."""
    return isinstance(error, errors.NotFound) or (
        isinstance(error, errors.Rejected) and any(d.code == "NAME_UNKNOWN" for d in error.diagnostics)
    )


def _has_referrers(exchange: Exchange, repository: RepositoryName) -> bool:
    path, scopes = f"/v2/{repository}/referrers/{_unused_digest()}", (f"repository:{repository}:pull",)
    try:
        answer = exchange.ask(Call("probe", "GET", path, scopes, missing=errors.ManifestUnknown))
        return isinstance(parse_json(answer.body), dict)
    except WireError:
        return False
    except errors.Unavailable:
        raise
    except errors.RegistryError:
        return False


def _is_zot(exchange: Exchange) -> bool:
    try:
        answer = exchange.ask(Call("probe", "GET", "/v2/_oci/ext/discover"))
        return isinstance(parse_json(answer.body), dict)
    except WireError:
        return False
    except errors.Unavailable:
        raise
    except errors.RegistryError:
        return False


def _unused_digest() -> Digest:
    return Digest(f"sha256:{secrets.token_hex(32)}")


def _unused_tag() -> str:
    return f"strata-probe-{secrets.token_hex(16)}"
