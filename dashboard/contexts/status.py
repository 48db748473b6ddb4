"""The status of a registry as its page shows it: lines, green, amber or red, each with the fix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urljoin

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from dashboard.models import IndexState, Registry
from dashboard.registry.auth import AuthScheme
from dashboard.registry.client import Capabilities, Deletion, Family
from dashboard.registry.errors import RegistryError, Unauthorized
from dashboard.registry.results import DELETES_TAGS_ALTHOUGH_DISABLED
from dashboard.services.access import Access
from dashboard.services.connections import ActingWith
from dashboard.services.status import Notified, Status
from dashboard.services.storage_source import Source
from dashboard.storage.bucket import Bucket
from dashboard.storage.errors import StorageError

from .errors import problem_of
from .formats import count, legible, relative
from .storage_source import in_bucket

_OK = 200
_ENDPOINT = """\
notifications:
  endpoints:
    - name: strata
      url: %(url)s
      headers:
        Authorization: [Bearer %(token)s]
      timeout: 5s
      threshold: 3
      backoff: 5s
      ignore:
        mediatypes: [application/octet-stream]
"""


class Level(StrEnum):
    """How it stands."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the page: what, how it stands, what was found, and how to change it; `yaml` is to be copied."""

    name: str
    level: Level
    verdict: str
    found: str
    fix: str = ""
    yaml: str = ""


@dataclass(frozen=True, slots=True)
class StatusPage:
    """Everything that status.html shows."""

    host: str
    url: str
    from_environment: bool
    lines: Sequence[Line]
    worst: Level


def status_page(access: Access, status: Status, more: Sequence[Line] = ()) -> StatusPage:
    """The view model of the status page; `more` lines stand at its end."""
    registry = access.registry
    lines = [
        _registry(status),
        _authentication(access, status),
        _deletion(status),
        _mount(access, status.storage, status.mount),
        _notifications(registry, status.notified),
    ]
    if isinstance(status.capabilities, Capabilities) and DELETES_TAGS_ALTHOUGH_DISABLED in status.capabilities.faults:
        lines.append(
            Line(
                _("Faults"),
                Level.BAD,
                _("Deletes tags although deletion is off"),
                _("This version removes a tag when asked to, even with deletion disabled (CVE-2026-41888)."),
                _("Update the registry to 3.1.1 or later."),
            )
        )
    lines += more
    levels = {line.level for line in lines}
    worst = Level.BAD if Level.BAD in levels else Level.WARNING if Level.WARNING in levels else Level.GOOD
    return StatusPage(registry.public_host, registry.url, registry.from_environment, lines, worst)


def family_name(family: Family) -> str:
    """The registry's family, as probed."""
    names = {
        Family.DISTRIBUTION_2: "CNCF Distribution 2.x",
        Family.DISTRIBUTION_3: "CNCF Distribution 3.x",
        Family.ZOT: "zot",
    }
    return names.get(family, _("another registry"))


def _registry(status: Status) -> Line:
    if isinstance(status.ping, RegistryError):
        problem = problem_of(status.ping)
        return Line(_("Registry"), Level.BAD, problem.title, problem.sentence, problem.advice)
    capabilities = status.capabilities
    family = capabilities.family if isinstance(capabilities, Capabilities) else status.ping.family
    milliseconds = max(1, round(status.ping.seconds * 1000))
    found = _("Answers in %(ms)s ms. No header tells the exact version.") % {"ms": milliseconds}
    return Line(_("Registry"), Level.GOOD, family_name(family), found)


def _authentication(access: Access, status: Status) -> Line:
    if isinstance(status.ping, RegistryError):
        refused = isinstance(status.ping, Unauthorized)  # by ourselves: the default credential cannot be had
        found = _("The registry was not asked.") if refused else _("The registry did not answer.")
        return Line(_("Authentication"), Level.WARNING, _("Not known"), found)
    schemes = {
        AuthScheme.NONE: _("Asks nobody for a password"),
        AuthScheme.BASIC: _("Name and password (htpasswd)"),
        AuthScheme.BEARER: _("Tokens from a token server"),
        AuthScheme.OTHER: _("A scheme that is not spoken here"),
    }
    verdict = schemes[status.ping.scheme]
    who = {
        ActingWith.OWN: _("You act as %(name)s, your own credential."),
        ActingWith.GROUP: _("You act as %(name)s, the credential of your group %(group)s."),
        ActingWith.DEFAULT: _("Everybody here acts as %(name)s, the default credential."),
        ActingWith.NOBODY: _("You act without a credential."),
    }[access.acting.acting_with] % {"name": access.acting.name, "group": access.acting.group}
    if status.ping.status == _OK:
        if status.ping.scheme is AuthScheme.NONE:
            return Line(
                _("Authentication"),
                Level.WARNING,
                verdict,
                who + " " + _("Whoever reaches the registry's address may push and delete."),
                _("Switch on htpasswd or a token server on the registry if it can be reached from outside."),
            )
        return Line(_("Authentication"), Level.GOOD, verdict, who)
    fix = (
        _("Set your credential on the account page.")
        if access.registry.act_with == Registry.ActWith.OWN
        else _("An administrator can set the credential of your group under Registries.")
        if access.registry.act_with == Registry.ActWith.GROUP
        else _("Set DASHBOARD_REGISTRY_USERNAME and DASHBOARD_REGISTRY_PASSWORD.")
        if access.registry.from_environment
        else _("Enter another default credential under Registries.")
    )
    return Line(_("Authentication"), Level.BAD, _("Refused"), f"{verdict}. {who} " + _("It answered 401."), fix)


def _deletion(status: Status) -> Line:
    name = _("Deletion")
    if not isinstance(status.capabilities, Capabilities):
        return Line(name, Level.WARNING, _("Not known"), _("The registry did not say whether it deletes."))
    deletion = status.capabilities.deletion
    if deletion is Deletion.BY_TAG:
        return Line(
            name,
            Level.GOOD,
            _("On, by tag and by digest"),
            _("A single tag can be removed without touching its siblings."),
        )
    if deletion is Deletion.BY_DIGEST:
        found = _("A tag that shares its digest is untagged by a throw-away manifest, so that its siblings stay.")
        return Line(name, Level.GOOD, _("On, by digest only"), found)
    if deletion is Deletion.DISABLED:
        fix = _("Set REGISTRY_STORAGE_DELETE_ENABLED=true (storage.delete.enabled: true) and restart the registry.")
        return Line(name, Level.WARNING, _("Off"), _("The registry answers 405 to every deletion."), fix)
    if deletion is Deletion.READ_ONLY:
        return Line(
            name,
            Level.WARNING,
            _("Read-only mode"),
            _("The registry takes neither pushes nor deletions."),
            _("Switch storage.maintenance.readonly off and restart the registry."),
        )
    if deletion is Deletion.REFUSED:
        return Line(
            name, Level.WARNING, _("Not permitted to this credential"), _("The registry refused the question itself.")
        )
    return Line(name, Level.WARNING, _("Not known"), _("The registry's answer does not tell whether it deletes."))


def _mount(access: Access, storage: Source | StorageError | None, state: IndexState) -> Line:
    name = _("Storage")
    registry = access.registry
    if storage is None:
        return Line(
            name,
            Level.WARNING,
            _("Not mounted here"),
            _("The storage page has nothing to read."),
            _("Mount the registry's storage, read-only is enough, and set DASHBOARD_STORAGE_ROOT.")
            if registry.from_environment
            else _("Mount the registry's storage, read-only is enough, and name its directory under Registries."),
        )
    if isinstance(storage, StorageError):
        problem = problem_of(storage)
        return Line(name, Level.BAD, problem.title, problem.sentence, problem.advice)
    if isinstance(storage, Bucket):
        return Line(name, Level.GOOD, _("In a bucket"), in_bucket(storage))
    found = _("%(root)s holds a registry's layout and can be read.") % {"root": registry.storage_root}
    if state.mount == IndexState.Mount.DIFFERS:
        found = _("%(root)s is not what this registry serves.") % {"root": registry.storage_root}
        if access.administers:  # the name may be of a repository that others must not know of
            found += " " + _("They do not agree on %(repository)s:%(tag)s.") % {
                key: legible(str(state.mount_difference.get(key, "")), 300) for key in ("repository", "tag")
            }
        fix = _("Mount this registry's own storage. Until both agree, lists are read over the API.")
        return Line(name, Level.BAD, _("Of another registry"), found, fix)
    if state.mount == IndexState.Mount.BELONGS:
        found += " " + _("It agrees with what the registry says; lists are read from it.")
        return Line(name, Level.GOOD, _("Mounted, this registry's"), found)
    if state.mount == IndexState.Mount.UNKNOWN and state.refreshed_at is not None:
        found += " " + _("Whether it is this registry's cannot be told yet; lists are read over the API.")
        return Line(name, Level.GOOD, _("Mounted"), found)
    return Line(name, Level.GOOD, _("Mounted"), found)


def _notifications(registry: Registry, notified: Notified) -> Line:
    name = _("Notifications")
    arrival = notified.arrival
    if not notified.has_token:
        found = _("A push shows at the next refresh, and nobody knows when an image was pulled.")
        fix = (
            _("Set DASHBOARD_EVENTS_TOKEN, add this to the registry's configuration, and restart both:")
            if registry.from_environment
            else _("Give this registry a token for its notifications, and add this to its configuration:")
        )
        return Line(name, Level.WARNING, _("Not set up"), found, fix, endpoint(registry))
    if arrival.last_at is None:
        found = _("A token is set; the registry has sent nothing.")
        fix = _("Add this to the registry's configuration and restart it, then push or pull something:")
        return Line(name, Level.WARNING, _("None yet"), found, fix, endpoint(registry))
    found = _("The last came %(when)s; today: %(count)s.") % {
        "when": relative(arrival.last_at),
        "count": count(arrival.count_today),
    }
    if notified.pulls_since is not None:
        since = date_format(timezone.localtime(notified.pulls_since), "j F Y")
        found += " " + _("Pulls are known of since %(date)s.") % {"date": since}
    else:
        found += " " + _("None of a pull so far.")
    if arrival.waiting:
        found += " " + _("Waiting for the worker: %(count)s.") % {"count": count(arrival.waiting)}
    return Line(name, Level.GOOD, _("Arriving"), found)


def endpoint(registry: Registry, token: str = "") -> str:
    """What the registry's configuration needs: with the token where it was just made, else it is shown to nobody."""
    return _ENDPOINT % {
        "url": urljoin(settings.BASE_URL, reverse("events", args=[registry.slug])),
        "token": token or ("<DASHBOARD_EVENTS_TOKEN>" if registry.from_environment else "<" + _("the token") + ">"),
    }
