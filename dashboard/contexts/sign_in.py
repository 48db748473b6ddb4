"""Why somebody who was signed in elsewhere does not come in here, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

_WORDS: Mapping[str, tuple[Promise, Promise]] = {
    "name-taken": (
        _("Somebody here has your name already"),
        _("An account of that name was made here before, and nobody's account is taken over. Ask an administrator."),
    ),
    "name-unusable": (
        _("Your name cannot be used here"),
        _("User names have letters, digits and @ . + - _ only, 150 at most. Ask an administrator."),
    ),
    "disabled": (
        _("Your account is disabled"),
        _("An administrator of this dashboard switched it off."),
    ),
    "not-configured": (
        _("The provider cannot be asked now"),
        _("It did not answer as it should. Try again in a minute; an administrator finds the reason in the log."),
    ),
    "refused-there": (
        _("The provider did not sign you in"),
        _("It was cancelled or refused there. Nothing was changed here."),
    ),
    "not-proved": (
        _("That sign-in could not be verified"),
        _("What came back does not fit to what this browser asked for, or is too old. Begin again."),
    ),
}


@dataclass(frozen=True, slots=True)
class NotLetInPage:
    """A heading, and what can be done about it."""

    title: str
    text: str


def not_let_in(code: str) -> NotLetInPage:
    """The words for a code of external_people or oidc_signin."""
    title, text = _WORDS.get(code, _WORDS["not-proved"])
    return NotLetInPage(str(title), str(text))
