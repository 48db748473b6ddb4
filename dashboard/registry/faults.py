"""From an answer to the error it means: status, error codes and the kind of body, decided in one place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from . import errors
from ._http import Failure, HttpFailure
from .errors import Diagnostic, RegistryError
from .wire import parse_errors, plain

_BY_CODE: dict[str, type[errors.NotFound]] = {
    "NAME_UNKNOWN": errors.RepositoryUnknown,
    "MANIFEST_UNKNOWN": errors.ManifestUnknown,
    "BLOB_UNKNOWN": errors.BlobUnknown,
}
_FAILURES: dict[Failure, type[RegistryError]] = {
    Failure.REFUSED: errors.ConnectionFailed,
    Failure.BROKEN_OFF: errors.ConnectionFailed,
    Failure.TLS: errors.TlsFailed,
    Failure.TIMEOUT: errors.TimedOut,
    Failure.BUDGET: errors.TimedOut,
    Failure.INVALID: errors.Malformed,
}
MAX_RETRY_AFTER = 3600.0


@dataclass(frozen=True, slots=True)
class Context:
    """What was asked, of whom, as whom: the parameters of every error."""

    operation: str
    registry: str
    user: str
    method: str = "GET"
    subject: str = ""
    missing: type[errors.RegistryError] = errors.NotFound

    def error(self, kind: type[RegistryError], **parameters: Any) -> RegistryError:
        """An error of this kind about what was asked."""
        return kind(self.operation, self.registry, user=self.user, subject=self.subject, **parameters)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is not the one hoped for; `body` cut to the bound of error bodies."""

    status: int
    content_type: str
    body: bytes
    location: str = ""
    retry_after: str = ""


def from_failure(context: Context, failure: HttpFailure) -> RegistryError:
    """The error for a request that got no answer."""
    return context.error(_FAILURES[failure.failure], reason=failure.reason)


def from_refusal(context: Context, refusal: Refusal, secrets: Iterable[str] = ()) -> RegistryError:
    """The error for an answer. Texts of the registry that repeat one of `secrets` are blanked."""
    status = refusal.status
    entries = parse_errors(refusal.body, secrets)
    diagnostics = entries or ()
    common: dict[str, Any] = {"status": status, "diagnostics": diagnostics}
    if status == 401:
        return context.error(errors.Unauthorized, **common)
    if status == 403 or (status == 405 and _has(diagnostics, "DENIED")):
        return context.error(errors.Forbidden, **common)
    if status == 404:
        return _missing(context, refusal, entries is not None, common)
    if status == 405:
        return context.error(_unsupported(context.method, entries is not None), **common)
    if status == 429:
        return context.error(errors.RateLimited, retry_after=_seconds(refusal.retry_after), **common)
    if status >= 500:
        return context.error(errors.ServerFault, **common)
    if 300 <= status < 400:
        return context.error(errors.NotARegistry, reason=f"redirects to {_origin(refusal.location)}", **common)
    if status >= 400:
        if entries is None and b"HTTP request to an HTTPS server" in refusal.body:
            return context.error(errors.NotARegistry, reason="the server expects https", **common)
        return context.error(errors.Rejected, **common)
    return context.error(errors.Malformed, reason="a status that no registry gives here", **common)


def _missing(context: Context, refusal: Refusal, is_json: bool, common: dict[str, Any]) -> RegistryError:
    for diagnostic in common["diagnostics"]:
        if diagnostic.code in _BY_CODE:
            return context.error(_BY_CODE[diagnostic.code], **common)
    if is_json or (not refusal.body and refusal.content_type != "text/html"):
        return context.error(context.missing, **common)
    return context.error(errors.NotARegistry, reason="no registry answers at this address", **common)


def _unsupported(method: str, is_json: bool) -> type[RegistryError]:
    if method == "DELETE" and is_json:
        return errors.DeletionDisabled
    if method not in ("GET", "HEAD") and not is_json:
        return errors.ReadOnly
    return errors.Unsupported


def _has(diagnostics: tuple[Diagnostic, ...], code: str) -> bool:
    return any(diagnostic.code == code for diagnostic in diagnostics)


def _seconds(retry_after: str) -> float:
    return min(float(retry_after), MAX_RETRY_AFTER) if retry_after.isascii() and retry_after.isdigit() else 0.0


def _origin(location: str) -> str:
    """Scheme and host of an address, without user or query: what may be shown of a redirect."""
    scheme, separator, rest = plain(location).partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return "another path"
    return f"{scheme.lower()}://{rest.split('/')[0].split('?')[0].rpartition('@')[2]}"[:200]
