"""The page of a registry's own users, those of its password file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from dashboard.models import Registry
from dashboard.registry import htpasswd
from dashboard.services import registry_users
from dashboard.services.credentials import Verdict
from dashboard.services.registry_users import Shown, Written

from . import links
from .errors import problem_of
from .formats import legible
from .settings_registries import Said, edit_url

MAX_NAME = 255
ACTIVE, DISABLED, NOT_BCRYPT = "active", "disabled", "not-bcrypt"

_REFUSALS = {
    htpasswd.NAME: _("A name without colon and control characters, that does not begin with #; at most 255 bytes."),
    htpasswd.PASSWORD: _("A password of 1 to 72 bytes: bcrypt takes no more."),
    htpasswd.EXISTS: _("There is a user of that name already. Change its password, or choose another name."),
    htpasswd.UNKNOWN: _("There is no user of that name in the file any more."),
    htpasswd.NOT_READABLE: _("The file has a line that keeps the registry from reading it. Mend it first."),
}
_PROBLEMS = {
    registry_users.MISSING: (
        _("The password file is not there"),
        _("DASHBOARD_HTPASSWD_FILE names %(path)s. A registry without its file refuses everybody."),
    ),
    registry_users.NO_FILE: (
        _("The password file is no plain file"),
        _("%(path)s is a directory, or a link that leads out of its directory. Name the file itself."),
    ),
    registry_users.TOO_LARGE: (
        _("The password file is too large"),
        _("%(path)s is larger than 1 MiB. Is it the right file?"),
    ),
    registry_users.UNREADABLE: (
        _("The password file cannot be read"),
        _("The dashboard's user may not read %(path)s, or it has a line that is too long for the registry."),
    ),
    registry_users.NOT_WRITABLE: (
        _("The password file cannot be replaced"),
        _("The dashboard's user needs to write in the directory of %(path)s: it puts a new file in its place."),
    ),
    registry_users.MOUNTED_ALONE: (
        _("The password file cannot be replaced"),
        _("%(path)s is mounted by itself. Mount its directory instead, here and for the registry."),
    ),
    registry_users.OWNER: (
        _("The password file cannot be replaced"),
        _("%(path)s belongs to another user and not everybody may read it: the registry could not read a new one."),
    ),
    registry_users.CHANGED: (
        _("The file has changed since it was shown"),
        _("Nothing was written. Below is %(path)s as it is now: look, and try again."),
    ),
    registry_users.BUSY: (
        _("Somebody else is changing the file"),
        _("Nothing was written to %(path)s. Try again in a moment."),
    ),
}


@dataclass(frozen=True, slots=True)
class UserLine:
    """A user of the registry. `name` as it is in the file, `shown` as it can be read; `state`: active, disabled or
    not-bcrypt. `url` is "" for a name that no form can hold. `ours`: the dashboard's own default credential.
    """

    name: str
    shown: str
    state: str
    people: str
    ours: bool
    url: str


@dataclass(frozen=True, slots=True)
class FileTrouble:
    """Why the file cannot be used, or was not changed."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class UsersPage:
    """Everything that registry_users.html shows beside its forms. `chosen` is the user to be changed.

    `readable` is False where the file could not be read: then there is nothing to change. `own`: people act with a
    credential of their own, so that one can be made for them.
    """

    host: str
    url: str
    edit_url: str
    home_url: str
    path: str
    readable: bool
    seen: str
    lines: Sequence[UserLine]
    malformed: str
    chosen: UserLine | None
    own: bool
    trouble: FileTrouble | None


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A generated password, to be shown this once, what the registry said of it, and for whom it is kept already."""

    name: str
    said: Said | None
    followed: str
    password: str = field(repr=False)


def users_page(registry: Registry, shown: Shown | None, *, chosen: str = "", code: str = "") -> UsersPage:
    """The view model. `shown` None: the file could not be read; `code` of a FileProblem; `chosen` a user's name."""
    url = users_url(registry)
    lines = [_line(user, shown, url) for user in shown.users] if shown else []
    return UsersPage(
        host=registry.public_host,
        url=url,
        edit_url=edit_url(registry),
        home_url=links.repositories(registry),
        path=settings.HTPASSWD_FILE,
        readable=shown is not None,
        seen=shown.seen if shown else "",
        lines=lines,
        malformed=_malformed(shown.malformed) if shown else "",
        chosen=next((line for line in lines if line.url and line.name == chosen), None),
        own=registry.act_with == Registry.ActWith.OWN,
        trouble=_trouble(code) if code else None,
    )


def users_url(registry: Registry) -> str:
    """Where the users of a registry are changed."""
    return reverse("registry-users", args=[registry.slug])


def refusal(code: str) -> str:
    """Why a change was refused."""
    return str(_REFUSALS[code])


def why_no_user(code: str) -> str:
    """Why a user could not be made, a code of FileProblem or Refused, in one or two sentences."""
    if code in _REFUSALS:
        return refusal(code)
    trouble = _trouble(code)
    return f"{trouble.title}. {trouble.text}"


def new_password(written: Written) -> NewPassword:
    """What is shown once."""
    return NewPassword(written.name, said_of(written), said_of_following(written), written.password)


def said_of_following(written: Written) -> str:
    """For whom the new password is kept already; "" for nobody."""
    if not written.followed:
        return ""
    return gettext("It is kept here as the credential of %(people)s, who need do nothing.") % {
        "people": ", ".join(written.followed)
    }


def said_of(written: Written) -> Said | None:
    """What the registry said of a password right after it was written; None where it was not asked."""
    verdict = written.verdict
    if verdict is None:
        return None
    if verdict.error is None and verdict.accepted and not verdict.needless:
        return Said("success", gettext("The registry accepts %(name)s at once.") % {"name": written.name})
    return Said("warning", _objection(verdict, written.name))


def said_of_mapping(written: Written, person: str) -> Said:
    """What became of a registry user made for somebody."""
    verdict = written.verdict
    if verdict is not None and verdict.error is None and verdict.accepted and not verdict.needless:
        text = gettext(
            "%(name)s was made on the registry and is the credential of %(person)s now. Nobody has seen its password."
        )
        return Said("success", text % {"name": written.name, "person": person})
    text = gettext("Nothing was kept: the user was taken back.")
    return Said("error", f"{_objection(verdict, written.name)} {text}" if verdict else text)


def _objection(verdict: Verdict, name: str) -> str:
    if verdict.error is not None:
        return gettext("The registry could not be asked about it: %(why)s.") % {"why": problem_of(verdict.error).title}
    if verdict.needless:
        return gettext("The registry asks nobody for a password: it does not use this file.")
    return gettext("The registry does not accept %(name)s. Does it read this very file?") % {"name": name}


def _line(user: htpasswd.RegistryUser, shown: Shown, url: str) -> UserLine:
    state = DISABLED if not user.enabled else ACTIVE if user.bcrypt else NOT_BCRYPT
    return UserLine(
        name=user.name,
        shown=legible(user.name, MAX_NAME),
        state=state,
        people=", ".join(shown.people.get(user.name, ())),
        ours=user.name == settings.REGISTRY_USERNAME,
        url=f"{url}?{urlencode({'user': user.name})}" if user.manageable else "",
    )


def _malformed(numbers: Sequence[int]) -> str:
    if not numbers:
        return ""
    text = ngettext("Line %(lines)s has no colon.", "Lines %(lines)s have no colon.", len(numbers))
    return text % {"lines": ", ".join(map(str, numbers[:20]))}


def _trouble(code: str) -> FileTrouble:
    title, text = _PROBLEMS[code]
    return FileTrouble(str(title), str(text) % {"path": settings.HTPASSWD_FILE})
