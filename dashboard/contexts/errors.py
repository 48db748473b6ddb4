"""Problems as sentences: what happened, to which registry, as which user, and what to change.

Made here from the stable code and the parameters of an error, so that every sentence can be translated. What the
registry itself said (code, message, detail) is untrusted and stands apart, as details.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from dashboard.registry.auth import PASSWORD_REFUSED
from dashboard.registry.errors import Diagnostic, Forbidden, NotFound, RegistryError, Unauthorized, Unsupported
from dashboard.services.connections import CREDENTIAL_MISSING, CREDENTIAL_UNREADABLE
from dashboard.storage.errors import StorageError

Sentence = tuple[object, object, object]

_REGISTRY: dict[str, Sentence] = {
    # code: (title, what happened, what to change)
    "connection-failed": (
        _("%(registry)s cannot be reached"),
        _("No connection could be made (%(reason)s)."),
        _("Check that the registry runs and that its address is right."),
    ),
    "tls-failed": (
        _("%(registry)s could not be trusted"),
        _("The TLS connection failed: %(reason)s. Nothing was sent, no password either."),
        _(
            "If a private authority signed the certificate, name its file in "
            "DASHBOARD_REGISTRY_CA_FILE; if the certificate is for another name, use that name."
        ),
    ),
    "timed-out": (
        _("%(registry)s did not answer in time"),
        _("The request was given up (%(operation)s)."),
        _("Try again; if it stays so, look at the registry's load and its storage."),
    ),
    "unauthorized": (
        _("%(registry)s refused the credential"),
        _("It answered 401 to %(operation)s as %(user)s: the name or password is wrong, or the right is missing."),
        _("Check the credential and what it may do on the registry."),
    ),
    "forbidden": (
        _("%(registry)s does not permit that"),
        _("It answered 403 to %(operation)s as %(user)s."),
        _("Ask who runs the registry for the right, or act as somebody who has it."),
    ),
    "not-found": (_("Not found on %(registry)s"), _("%(subject)s does not exist."), ""),
    "repository-unknown": (
        _("No such repository on %(registry)s"),
        _("%(registry)s has no repository %(subject)s."),
        "",
    ),
    "manifest-unknown": (_("No such tag or image on %(registry)s"), _("%(subject)s does not exist, or no longer."), ""),
    "blob-unknown": (_("No such blob on %(registry)s"), _("%(subject)s does not exist in this repository."), ""),
    "unsupported": (_("%(registry)s does not do that"), _("It answered 405 to %(operation)s."), ""),
    "deletion-disabled": (
        _("Deletion is switched off on %(registry)s"),
        _("It answered 405 UNSUPPORTED. Nothing was changed."),
        _("Set REGISTRY_STORAGE_DELETE_ENABLED=true (storage.delete.enabled: true) on the registry and restart it."),
    ),
    "read-only": (
        _("%(registry)s is in read-only mode"),
        _("It answered 405 to %(operation)s. Nothing was changed."),
        _("Switch storage.maintenance.readonly off on the registry and restart it."),
    ),
    "rejected": (_("%(registry)s rejected the request"), _("It answered 400 to %(operation)s."), ""),
    "rate-limited": (
        _("%(registry)s asks for fewer requests"),
        _("It answered 429 to %(operation)s."),
        _("Wait a little and try again."),
    ),
    "server-fault": (
        _("%(registry)s has a fault"),
        _("It answered %(status)s to %(operation)s."),
        _("Try again; if it stays so, the registry's log says more."),
    ),
    "bad-answer": (_("%(registry)s gave an answer that makes no sense"), _("%(reason)s"), ""),
    "not-a-registry": (
        _("There is no registry at %(registry)s"),
        _("The address answers, but not as a registry (%(reason)s)."),
        _("Check the address: it is the one before /v2/."),
    ),
    "malformed": (
        _("%(registry)s gave an answer that cannot be read"),
        _("The answer to %(operation)s is not what a registry sends (%(reason)s)."),
        _("Check whether a proxy or a login page stands in between."),
    ),
    "too-large": (
        _("%(registry)s sent more than is allowed"),
        _("The answer to %(operation)s was cut off at the bound."),
        "",
    ),
    "digest-mismatch": (
        _("%(registry)s sent content that is not what was asked for"),
        _("The bytes of %(subject)s do not have that digest. They are not shown."),
        _("The stored content may be damaged, or something in between changes it."),
    ),
    "registry-error": (_("%(registry)s could not be used"), _("%(operation)s failed."), ""),
}

_UNLISTED: Sentence = (
    _("%(registry)s does not list its repositories"),
    _("It keeps the list from %(user)s. A repository that %(user)s may read opens by its name."),
    "",
)

_CREDENTIAL: dict[str, Sentence] = {
    # reason of an Unauthorized for which nothing was asked
    CREDENTIAL_UNREADABLE: (
        _("The default credential of %(registry)s cannot be read"),
        _("The password of %(user)s can no longer be decrypted: its key is gone. Nothing was asked without it either."),
        _("Enter the password again under Registries, or bring its key back to DASHBOARD_CREDENTIAL_KEYS."),
    ),
    CREDENTIAL_MISSING: (
        _("The default credential of %(registry)s has to be entered again"),
        _("There is no password of %(user)s for this address. Nothing was asked without it either."),
        _("Enter the password under Registries."),
    ),
}

_STORAGE: dict[str, Sentence] = {
    "storage-root-missing": (
        _("The storage directory is not there"),
        _("%(path)s does not exist or cannot be entered."),
        _("Mount the registry's storage there, read-only is enough, or change DASHBOARD_STORAGE_ROOT."),
    ),
    "storage-not-a-registry": (
        _("That directory is not a registry's storage"),
        _("%(path)s does not hold docker/registry/v2."),
        _("Set DASHBOARD_STORAGE_ROOT to the directory that holds docker/registry/v2."),
    ),
    "storage-address": (
        _("That is no address of a bucket"),
        _("%(path)s is not an address such as s3://bucket/prefix."),
        _("Mend DASHBOARD_STORAGE_URL, or the registry's field under Registries."),
    ),
    "storage-client-missing": (
        _("The client of object storage is not installed"),
        _("%(path)s cannot be read without it."),
        _("Install it beside the dashboard: pip install --require-hashes -r requirements-s3.txt"),
    ),
    "storage-bucket-empty": (
        _("The bucket holds no registry's storage"),
        _("%(path)s does not hold docker/registry/v2."),
        _("Name what the registry has as its rootdirectory after the bucket: s3://bucket/rootdirectory"),
    ),
    "storage-bucket-unreadable": (
        _("The bucket cannot be read"),
        _("%(path)s: %(reason)s."),
        _(
            "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the machine's role, AWS_REGION and "
            "DASHBOARD_STORAGE_ENDPOINT in the dashboard's environment, and that the bucket may be listed and read."
        ),
    ),
    "storage-root-unreadable": (
        _("The storage directory cannot be read"),
        _("%(path)s: %(reason)s."),
        _("Give the dashboard's user read access to it."),
    ),
}

_STATUS = {
    "repository-unknown": 404,
    "manifest-unknown": 404,
    "blob-unknown": 404,
    "not-found": 404,
    "forbidden": 403,
    "unauthorized": 403,
    "deletion-disabled": 409,
    "read-only": 409,
    "unsupported": 409,
    "rejected": 409,
    "timed-out": 504,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem as a page or a row shows it. `status` is the page's HTTP status; `details` are the registry's words."""

    code: str
    title: str
    sentence: str
    advice: str
    status: int
    user: str
    opens_by_name: bool = False
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def is_missing(self) -> bool:
        """Whether it only says that something is not there."""
        return self.status == 404


def problem_of(error: RegistryError | StorageError) -> Problem:
    """The sentence for a person."""
    if isinstance(error, StorageError):
        return storage_problem(error.code, error.parameters)
    unlisted = keeps_its_list(error)
    title, sentence, advice = _UNLISTED if unlisted else _REGISTRY.get(error.code, _REGISTRY["registry-error"])
    parameters = error.parameters | {
        "operation": operation_name(error.operation),
        "user": error.user or pgettext_lazy("acting as", "nobody"),
        "reason": error.reason or "—",
        "subject": error.subject or "—",
    }
    if isinstance(error, Unauthorized) and not error.user and not unlisted:
        sentence = _("It answered 401 to %(operation)s: it wants a name and password, and none was sent.")
        advice = _("Set a credential for it.")
    if isinstance(error, Unauthorized) and error.user and error.reason in PASSWORD_REFUSED:
        advice = _(
            "If the password was changed, enter the new one: your own on the account page, the default one under "
            "Registries or in DASHBOARD_REGISTRY_PASSWORD."
        )
    if isinstance(error, Unauthorized) and error.reason in _CREDENTIAL:
        title, sentence, advice = _CREDENTIAL[error.reason]
    return Problem(
        error.code,
        str(title) % parameters,
        str(sentence) % parameters,
        str(advice),
        _STATUS.get(error.code, 502),
        error.user,
        unlisted,
        error.diagnostics,
    )


def failure_title(code: str, parameters: Mapping[str, object], host: str) -> str:
    """What hindered a job, in a few words, from its row's code and parameters."""
    if code in _STORAGE:
        return str(_STORAGE[code][0])
    title = _CREDENTIAL.get(str(parameters.get("reason")), _REGISTRY.get(code, _REGISTRY["registry-error"]))[0]
    return str(title) % {"registry": host}


def keeps_its_list(error: RegistryError) -> bool:
    """Whether the registry is there and only its list of repositories is not for this person."""
    if error.operation != "repositories":
        return False
    refused = isinstance(error, Unauthorized) and error.reason == "insufficient_scope"
    return refused or isinstance(error, (Forbidden, NotFound, Unsupported))


def storage_problem(code: str, parameters: Mapping[str, str]) -> Problem:
    """The sentence for a problem with the storage, from its code and parameters (as a job's row keeps them)."""
    title, sentence, advice = _STORAGE.get(code, _STORAGE["storage-root-unreadable"])
    known = {"path": parameters.get("path", ""), "reason": parameters.get("reason", "") or "—"}
    return Problem(code, str(title) % known, str(sentence) % known, str(advice), 503, "")


_OPERATIONS = {
    "begin upload": _("beginning an upload"),
    "cancel upload": _("cancelling an upload"),
    "delete manifest": _("deleting a manifest"),
    "delete tag": _("deleting a tag"),
    "get manifest": _("reading a manifest"),
    "has blob": _("asking for a blob"),
    "head manifest": _("asking for a manifest"),
    "mount blob": _("mounting a blob of another repository"),
    "ping": _("the first greeting"),
    "probe": _("asking what it can do"),
    "put manifest": _("writing a manifest"),
    "read blob": _("reading a blob"),
    "read range": _("reading a part of a blob"),
    "repositories": _("the list of repositories"),
    "stream blob": _("reading a blob"),
    "tags": _("the list of tags"),
    "upload blob": _("uploading a blob"),
}


def operation_name(operation: str) -> str:
    """The name of an operation of the client, for a person; the operation itself where there is none."""
    return str(_OPERATIONS.get(operation, operation))
