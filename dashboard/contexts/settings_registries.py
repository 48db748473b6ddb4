"""The pages where administrators add, edit and remove registries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.models import Registry, encryption
from dashboard.registry.client import Ping
from dashboard.registry.errors import RegistryError
from dashboard.services import connections, registry_users
from dashboard.services.registries import Saved
from dashboard.services.registry_health import Standing
from dashboard.services.registry_removal import Belongings

from . import links
from .errors import problem_of
from .formats import count
from .registries import RegistryState, state_of
from .status import endpoint, family_name

KEPT, MISSING, UNREADABLE, NONE = "kept", "missing", "unreadable", "none"
_OK = 200


@dataclass(frozen=True, slots=True)
class SettingsLine:
    """A registry in the list, and where it is edited."""

    state: RegistryState
    edit_url: str


@dataclass(frozen=True, slots=True)
class Fact:
    """What the environment says of a registry, and by which variable."""

    name: str
    value: str
    variable: str


@dataclass(frozen=True, slots=True)
class SettingsPage:
    """A registry that is there. `password` and `token`: kept, missing, unreadable or none; neither is ever shown.

    `facts` stand in place of the form for the registry of the environment. `users_url` is "" where its password file is
    not mounted.
    """

    slug: str
    host: str
    username: str
    password: str
    token: str
    facts: Sequence[Fact]
    home_url: str
    edit_url: str
    remove_url: str
    users_url: str


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made, to be shown this once, and what the registry's configuration needs."""

    token: str
    yaml: str


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence about what happened; `level` as in django.contrib.messages."""

    level: str
    text: str


def settings_list(standings: Sequence[Standing]) -> list[SettingsLine]:
    """The view model of the list."""
    return [SettingsLine(state_of(standing), edit_url(standing.registry)) for standing in standings]


def settings_page(registry: Registry) -> SettingsPage:
    """The view model of one registry."""
    return SettingsPage(
        slug=registry.slug,
        host=registry.public_host,
        username=registry.default_username,
        password=_password(registry),
        token=_token(registry),
        facts=_facts(registry) if registry.from_environment else (),
        home_url=links.repositories(registry),
        edit_url=edit_url(registry),
        remove_url=reverse("remove-registry", args=[registry.slug]),
        users_url=reverse("registry-users", args=[registry.slug]) if registry_users.are_of(registry) else "",
    )


def new_token(registry: Registry, token: str) -> NewToken:
    """What is shown once."""
    return NewToken(token, endpoint(registry, token))


def edit_url(registry: Registry) -> str:
    """Where a registry is edited."""
    return reverse("edit-registry", args=[registry.slug])


def sentences(registry: Registry, saved: Saved) -> list[Said]:
    """What is to be said of a registry that was kept."""
    found = [Said("success", _("%(registry)s was saved.") % {"registry": registry})]
    if saved.verdict is not None and saved.verdict.needless:
        text = _("%(registry)s asks nobody for a password, so none was kept.")
        found.append(Said("warning", text % {"registry": registry}))
    elif saved.verdict is not None and saved.verdict.error is not None:
        found.append(Said("warning", _("The password was not kept: the registry could not be asked about it.")))
    elif saved.verdict is not None:
        text = _("It accepts %(name)s; the password is kept encrypted.") % {"name": registry.default_username}
        found.append(Said("success", text))
    found.append(_answer(registry, saved.answer))
    return found


def goes(found: Belongings) -> list[str]:
    """What goes with a registry, as short phrases; what there is none of is left out."""
    phrases = [
        ngettext("%(n)s repository of the index", "%(n)s repositories of the index", found.repositories),
        ngettext("%(n)s tag of the index", "%(n)s tags of the index", found.tags),
        ngettext("%(n)s period of the tags' history", "%(n)s periods of the tags' history", found.periods),
        ngettext("%(n)s snapshot of the storage", "%(n)s snapshots of the storage", found.snapshots),
        ngettext("%(n)s manifest that could be restored", "%(n)s manifests that could be restored", found.trashed),
        ngettext("%(n)s person's own credential", "%(n)s people's own credentials", found.credentials),
        ngettext(
            "%(n)s person can no longer sign in with a password of it",
            "%(n)s people can no longer sign in with a password of it",
            found.people,
        ),
    ]
    numbers = (
        found.repositories, found.tags, found.periods, found.snapshots, found.trashed, found.credentials, found.people,
    )  # fmt: skip
    return [text % {"n": count(n)} for text, n in zip(phrases, numbers, strict=True) if n]


def _answer(registry: Registry, answer: Ping | RegistryError | None) -> Said:
    if not isinstance(answer, Ping):
        problem = problem_of(answer) if answer else None
        return Said("warning", f"{problem.title}. {problem.sentence} {problem.advice}" if problem else "")
    if answer.status != _OK:
        who = registry.default_username or _("nobody")
        return Said("warning", _("It answers, and wants another credential than %(name)s's (401).") % {"name": who})
    milliseconds = max(1, round(answer.seconds * 1000))
    values = {"family": family_name(answer.family), "ms": milliseconds}
    return Said("success", _("It answers in %(ms)s ms: %(family)s.") % values)


def _password(registry: Registry) -> str:
    credential = connections.default_credential(registry)
    if credential is None:
        return NONE
    return {"": KEPT, connections.CREDENTIAL_UNREADABLE: UNREADABLE}.get(credential.unusable, MISSING)


def _token(registry: Registry) -> str:
    if not registry.encrypted_events_token:
        return NONE
    try:
        encryption.decrypt(registry.encrypted_events_token)
    except encryption.SecretUnreadable:
        return UNREADABLE
    return KEPT


def _facts(registry: Registry) -> list[Fact]:
    secret = _("set, shown to nobody")
    return [
        Fact(_("Name in addresses"), registry.slug, "DASHBOARD_REGISTRY_SLUG"),
        Fact(_("Address"), registry.url, "DASHBOARD_REGISTRY_URL"),
        Fact(_("Host in pull commands"), registry.public_host, "DASHBOARD_REGISTRY_PUBLIC_HOST"),
        Fact(_("Certificate authority"), registry.ca_file, "DASHBOARD_REGISTRY_CA_FILE"),
        Fact(_("Storage"), registry.storage_root, "DASHBOARD_STORAGE_ROOT"),
        Fact(_("Bucket"), registry.storage_url, "DASHBOARD_STORAGE_URL"),
        Fact(_("People act with"), str(Registry.ActWith(registry.act_with).label), "DASHBOARD_REGISTRY_ACT_WITH"),
        Fact(_("Sign in with its passwords"), _("yes") if registry.sign_in else _("no"), "DASHBOARD_REGISTRY_SIGN_IN"),
        Fact(
            _("Directories of emptied repositories may be removed"),
            _("yes") if registry.allow_removal else _("no"),
            "DASHBOARD_ALLOW_DIRECTORY_REMOVAL",
        ),
        Fact(
            _("Abandoned uploads may be removed"),
            _("yes") if registry.allow_upload_removal else _("no"),
            "DASHBOARD_ALLOW_UPLOAD_REMOVAL",
        ),
        Fact(_("Password file"), settings.HTPASSWD_FILE, "DASHBOARD_HTPASSWD_FILE"),
        Fact(_("Default credential"), settings.REGISTRY_USERNAME, "DASHBOARD_REGISTRY_USERNAME"),
        Fact(_("Its password"), secret if settings.REGISTRY_PASSWORD else "", "DASHBOARD_REGISTRY_PASSWORD"),
        Fact(_("Token of notifications"), secret if settings.EVENTS_TOKEN else "", "DASHBOARD_EVENTS_TOKEN"),
    ]
