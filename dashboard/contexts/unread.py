"""Rows that could not be read, and refreshes that failed: sentences from the codes that the index and jobs keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dashboard.registry.errors import RegistryError

from .errors import Problem, problem_of, storage_problem

_TITLES = {
    "not-read-yet": _("Not read yet"),
    "storage-link-missing": _("Its link is not in the storage"),
    "storage-link-corrupt": _("Its link in the storage holds no digest"),
    "storage-blob-missing": _("Its manifest is not in the storage"),
    "storage-not-readable": _("Its files in the storage cannot be read"),
    "manifest-unknown": _("What it points at is not there"),
}
_SENTENCES = {
    "not-read-yet": _("The next refresh of the index reads it."),
    "manifest-unknown": _("The tag is there; the manifest that it names is not, or no longer."),
}


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a row tells nothing but its name."""

    title: str
    sentence: str


def unread(code: str, host: str) -> Unread:
    """The reason behind a code of the index."""
    sentence = str(_SENTENCES.get(code, _("It was tried when the index was last brought up to date.")))
    if code in _TITLES:
        return Unread(str(_TITLES[code]), sentence)
    kind = _KINDS.get(code)
    return Unread(problem_of(kind("tags", host)).title if kind else gettext("Could not be read"), sentence)


def failure(code: str, parameters: Mapping[str, Any]) -> Problem | None:
    """The problem that ended a job, from what its row keeps; None for what is no error of registry or storage."""
    if code.startswith("storage-"):
        return storage_problem(code, {name: str(value) for name, value in parameters.items()})
    kind = _KINDS.get(code)
    if kind is None:
        return None
    told = {name: str(parameters.get(name) or "") for name in ("operation", "registry", "user", "reason", "subject")}
    status = parameters.get("status")
    error = kind(
        told["operation"],
        told["registry"],
        user=told["user"],
        status=status,
        reason=told["reason"],
        subject=told["subject"],
    )
    return problem_of(error)


def _kinds(kind: type[RegistryError]) -> dict[str, type[RegistryError]]:
    found = {kind.code: kind}
    for below in kind.__subclasses__():
        found |= _kinds(below)
    return found


_KINDS = _kinds(RegistryError)
