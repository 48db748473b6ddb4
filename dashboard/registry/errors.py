"""What can go wrong between us and a registry: one tree.

    RegistryError
    ├── Unavailable                 no usable connection
    │   ├── ConnectionFailed        refused, unreachable, name not found, broken off
    │   ├── TlsFailed               certificate not trusted or for another name, handshake failed
    │   └── TimedOut                no answer within the timeout, or the page's budget is spent
    ├── Unauthorized                401: the credential is missing or wrong, or the token server gave no right
    ├── Forbidden                   403: known, and not permitted
    ├── NotFound
    │   ├── RepositoryUnknown
    │   ├── ManifestUnknown
    │   └── BlobUnknown
    ├── Unsupported                 405: this registry does not do that
    │   ├── DeletionDisabled        405 with a JSON error on DELETE
    │   └── ReadOnly                405 in plain text: maintenance mode
    ├── Rejected                    400: the request was understood and refused (see `diagnostics`)
    ├── RateLimited                 429; `retry_after` in seconds
    ├── ServerFault                 5xx
    └── BadAnswer                   an answer that no registry may give
        ├── NotARegistry            no v2 API at this address
        ├── Malformed               HTML, truncated or mistyped JSON, a missing header
        ├── TooLarge                more bytes than the bound; `limit` in bytes
        └── DigestMismatch          content does not have the digest it was asked by

Every error has a stable `code` (for translation and tests) and parameters; `str()` is English, for logs, and holds no
secret. The sentence for a person is made elsewhere, from the code and the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One entry of a registry's error body: its code, message and detail as text. Untrusted, cut to a bound."""

    code: str
    message: str = ""
    detail: str = ""


class RegistryError(Exception):
    """The root. `operation` is ours ("tags", "delete manifest"); `registry` its name; `user` asked ("" = nobody)."""

    code: ClassVar[str] = "registry-error"

    def __init__(
        self,
        operation: str,
        registry: str,
        *,
        user: str = "",
        status: int | None = None,
        diagnostics: tuple[Diagnostic, ...] = (),
        reason: str = "",
        subject: str = "",
    ) -> None:
        super().__init__(operation, registry)
        self.operation = operation
        self.registry = registry
        self.user = user
        self.status = status
        self.diagnostics = diagnostics
        self.reason = reason
        self.subject = subject

    @property
    def parameters(self) -> dict[str, Any]:
        """What the sentence for a person may name."""
        return {
            "operation": self.operation,
            "registry": self.registry,
            "user": self.user,
            "status": self.status,
            "reason": self.reason,
            "subject": self.subject,
        }

    def __str__(self) -> str:
        parts = [f"{self.code}: {self.operation} at {self.registry}"]
        if self.subject:
            parts.append(f"of {self.subject}")
        parts.append(f"as {self.user or 'nobody'}")
        if self.status is not None:
            parts.append(f"status {self.status}")
        if self.diagnostics:
            parts.append(", ".join(d.code for d in self.diagnostics))
        if self.reason:
            parts.append(self.reason)
        return "; ".join(parts)


class Unavailable(RegistryError):
    code = "unavailable"


class ConnectionFailed(Unavailable):
    code = "connection-failed"


class TlsFailed(Unavailable):
    code = "tls-failed"


class TimedOut(Unavailable):
    code = "timed-out"


class Unauthorized(RegistryError):
    code = "unauthorized"


class Forbidden(RegistryError):
    code = "forbidden"


class NotFound(RegistryError):
    code = "not-found"


class RepositoryUnknown(NotFound):
    code = "repository-unknown"


class ManifestUnknown(NotFound):
    code = "manifest-unknown"


class BlobUnknown(NotFound):
    code = "blob-unknown"


class Unsupported(RegistryError):
    code = "unsupported"


class DeletionDisabled(Unsupported):
    code = "deletion-disabled"


class ReadOnly(Unsupported):
    code = "read-only"


class Rejected(RegistryError):
    code = "rejected"


class RateLimited(RegistryError):
    code = "rate-limited"

    def __init__(self, *args: Any, retry_after: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.retry_after = retry_after


class ServerFault(RegistryError):
    code = "server-fault"


class BadAnswer(RegistryError):
    code = "bad-answer"


class NotARegistry(BadAnswer):
    code = "not-a-registry"


class Malformed(BadAnswer):
    code = "malformed"


class TooLarge(BadAnswer):
    code = "too-large"

    def __init__(self, *args: Any, limit: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limit = limit


class DigestMismatch(BadAnswer):
    code = "digest-mismatch"
