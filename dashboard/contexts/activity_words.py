"""The words of the activity: what was done, by which method, and why it did not happen or ended otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from dashboard.models import AuditEntry
from dashboard.services.activity.asked import What

from .formats import count, legible

_Action = AuditEntry.Action

FILTERS: Mapping[What, Promise] = {
    What.ALL: _("Everything"),
    What.PUSHES: _("Pushes"),
    What.PULLS: _("Pulls"),
    What.DELETIONS: _("Deletions"),
    What.RESTORES: _("Restores"),
    What.MOVES: _("Tags pointed elsewhere"),
    What.PROTECTION: _("Protection"),
    What.SIGN_INS: _("Sign-ins"),
    What.PEOPLE: _("People and access"),
    What.FAILED: _("Refused or failed"),
}

ICONS: Mapping[str, str] = {
    _Action.DELETE: "trash",
    _Action.UNTAG: "trash",
    _Action.REMOVE_DIRECTORY: "trash",
    _Action.REMOVE_UPLOAD: "trash",
    _Action.RESTORE: "undo",
    _Action.RETAG: "tag",
    _Action.MOVE: "tag",
    _Action.COLLECT: "trash",
    _Action.DEEP_CHECK: "scan",
    _Action.RULE: "shield",
    _Action.ACCESS: "shield",
    _Action.PERSON: "user",
    _Action.CREDENTIAL: "user",
    _Action.REGISTRY_USER: "user",
    _Action.SIGN_IN: "user",
}

_DONE: Mapping[str, Promise] = {
    _Action.DELETE: _("deleted"),
    _Action.UNTAG: _("untagged"),
    _Action.REMOVE_DIRECTORY: _("removed the directory"),
    _Action.REMOVE_UPLOAD: _("removed an abandoned upload"),
    _Action.RESTORE: _("restored"),
    _Action.RETAG: _("tagged"),
    _Action.MOVE: _("pointed elsewhere"),
    _Action.COLLECT: _("collected the garbage"),
    _Action.DEEP_CHECK: _("began a deep check"),
    _Action.RULE: _("changed the protection"),
    _Action.ACCESS: _("changed the access"),
    _Action.PERSON: _("changed a person"),
    _Action.CREDENTIAL: _("changed a credential"),
    _Action.REGISTRY_USER: _("changed a user of the registry"),
    _Action.SIGN_IN: _("signed in"),
}
_TRIED: Mapping[str, Promise] = {
    _Action.DELETE: _("tried to delete"),
    _Action.UNTAG: _("tried to untag"),
    _Action.REMOVE_DIRECTORY: _("tried to remove the directory"),
    _Action.REMOVE_UPLOAD: _("tried to remove an upload"),
    _Action.RESTORE: _("tried to restore"),
    _Action.RETAG: _("tried to tag"),
    _Action.MOVE: _("tried to point elsewhere"),
    _Action.COLLECT: _("tried to collect the garbage"),
    _Action.DEEP_CHECK: _("tried to begin a deep check"),
    _Action.RULE: _("tried to change the protection"),
    _Action.ACCESS: _("tried to change the access"),
    _Action.PERSON: _("tried to change a person"),
    _Action.CREDENTIAL: _("tried to change a credential"),
    _Action.REGISTRY_USER: _("tried to change a user of the registry"),
    _Action.SIGN_IN: _("tried to sign in"),
}
_DEEDS: Mapping[str, Promise] = {
    "access-added": _("gave access"),
    "group-credential-set": _("set the credential of a group"),
    "group-credential-removed": _("removed the credential of a group"),
    "own-credential-set": _("set their own credential"),
    "own-credential-removed": _("removed their own credential"),
    "credential-refused": _("was refused with a kept credential"),
    "credentials-followed": _("gave kept credentials the new password"),
    "credential-imported": _("took their credential over from Docker"),
    "access-removed": _("took access away"),
    "registry-user-added": _("added a user of the registry"),
    "registry-user-disabled": _("disabled a user of the registry"),
    "registry-user-enabled": _("enabled a user of the registry"),
    "registry-user-mapped": _("made a user of the registry for somebody"),
    "registry-user-mended": _("mended the registry's password file"),
    "registry-user-not-made": _("got no user of the registry with the invitation"),
    "registry-user-password": _("changed the password of a user of the registry"),
    "registry-user-removed": _("removed a user of the registry"),
    "administrator-made": _("made somebody an administrator"),
    "administrator-unmade": _("took administration from somebody"),
    "group-deleted": _("deleted a group"),
    "group-joined": _("took somebody into a group"),
    "group-left": _("took somebody out of a group"),
    "group-made": _("made a group"),
    "group-renamed": _("renamed a group"),
    "invitation-accepted": _("accepted the invitation"),
    "link-made": _("made a link to set a password"),
    "password-set": _("set a new password"),
    "person-changed": _("changed a person"),
    "person-deleted": _("deleted a person"),
    "person-disabled": _("disabled a person"),
    "person-enabled": _("enabled a person"),
    "person-invited": _("invited a person"),
    "set-up": _("set up the dashboard"),
    "rule-added": _("added a rule"),
    "rule-removed": _("removed a rule"),
    "locked-out": _("was locked out after too many failures"),
    "password-changed": _("changed the own password"),
    "password-confirmed": _("gave the password again"),
    "notice-dismissed": _("dismissed the notice of a move"),
}
_METHODS: Mapping[str, Promise] = {
    "remove": _("the name and what it names"),
    "untag": _("only the name"),
    "put": _("the manifest was put under the name"),
}

_CODES: Mapping[str, Promise] = {
    "alias-since": _("Another tag points to the same image since it was planned."),
    "busy": _("Another deletion was running in this repository."),
    "changed": _("It was not what the plan had said."),
    "collecting": _("A garbage collection was running."),
    "dangling": _("The registry broke off half-way and lists tags that point at nothing."),
    "database-busy": _("The dashboard's database was busy."),
    "deleted-late": _("The registry could not take the manifest back."),
    "deletion-disabled": _("Deletion is switched off on the registry."),
    "disabled": _("The account is disabled."),
    "exists": _("The tag existed already."),
    "forbidden": _("The registry does not permit it to this credential."),
    "gave-up": _("It could not be finished for a week."),
    "gone": _("Something that it needs is gone from the registry."),
    "htpasswd-busy": _("Somebody else was changing the password file."),
    "htpasswd-changed": _("The password file had been changed since it was shown."),
    "htpasswd-missing": _("The password file was not there."),
    "htpasswd-mounted-alone": _("The password file is mounted by itself and cannot be replaced."),
    "htpasswd-no-file": _("The password file is no plain file."),
    "htpasswd-not-writable": _("The dashboard may not write where the password file lies."),
    "htpasswd-owner": _("A new password file could not be given to the owner of the old one."),
    "htpasswd-too-large": _("The password file is too large."),
    "htpasswd-unreadable": _("The dashboard may not read the password file."),
    "lost": _("It was done, and the registry lists it otherwise."),
    "moved": _("The tag had moved since it was planned."),
    "name-taken": _("Somebody here has that name already."),
    "name-unusable": _("It was no name that a user can have."),
    "not-configured": _("The provider that signs people in could not be asked."),
    "not-kept": _("It is not kept any more."),
    "not-offered": _("That way was not possible."),
    "not-proved": _("What the provider that signs people in sent was not proved."),
    "not-read-back": _("The registry did not answer when it was read back."),
    "nothing": _("There was nothing to do."),
    "off": _("Deletion is switched off on the registry."),
    "only-untagged": _("Only the name went: something needs the image, or the registry kept it."),
    "overtaken": _("Somebody pushed the tag right after."),
    "parent-since": _("An index lists it since it was planned."),
    "protected": _("A rule protects it."),
    "pushed-meanwhile": _("Somebody pushed the tag again meanwhile; it stays."),
    "put-back": _("The registry refused the second half, so it was put back as it was."),
    "read-only": _("The registry is in read-only mode."),
    "same": _("The tag pointed there already."),
    "siblings-changed": _("Other tags of the image were changed by somebody else meanwhile."),
    "siblings-put-back": _("Tags that were moved onto the image at the last moment were put back."),
    "stale": _("The plan was older than an hour."),
    "still-there": _("The registry accepted it and still lists it."),
    "taken": _("A tag of that name exists by now and points elsewhere."),
    "tick": _("It cannot be brought back, and that was not accepted."),
    "timed-out": _("The registry did not answer in time."),
    "type-the-name": _("The repository's name was not typed."),
    "unauthorized": _("The registry refused the credential."),
    "unread": _("Not everything could be read, so nobody could say what else needs it."),
    "used": _("The plan had been carried out already."),
    "vanished": _("It was gone already."),
}
_SAYS_NOTHING = frozenset({"", "removed", "untagged", *_DEEDS})
"""What the words say already."""

MAX_CODE = 60


def deed(entry: AuditEntry, *, done: bool) -> str:
    """What somebody did, or tried to do."""
    if entry.code in _DEEDS:
        return str(_DEEDS[entry.code])
    return str((_DONE if done else _TRIED).get(entry.action, legible(entry.action, MAX_CODE)))


def deeds(*, restoration: bool, things: int, bad: int, untagged: bool) -> str:
    """What somebody did with many: `things` tags (or images without one, `untagged`), of which `bad` were left."""
    done = things - bad
    if done and bad:
        text = {
            (False, False): gettext("deleted %(n)s of %(all)s tags"),
            (False, True): gettext("deleted %(n)s of %(all)s images"),
            (True, False): gettext("restored %(n)s of %(all)s tags"),
            (True, True): gettext("restored %(n)s of %(all)s images"),
        }[restoration, untagged]
    else:
        text = {
            (False, False, False): ngettext("deleted %(n)s tag", "deleted %(n)s tags", done),
            (False, True, False): ngettext("deleted %(n)s image", "deleted %(n)s images", done),
            (True, False, False): ngettext("restored %(n)s tag", "restored %(n)s tags", done),
            (True, True, False): ngettext("restored %(n)s image", "restored %(n)s images", done),
            (False, False, True): ngettext("tried to delete %(n)s tag", "tried to delete %(n)s tags", bad),
            (False, True, True): ngettext("tried to delete %(n)s image", "tried to delete %(n)s images", bad),
            (True, False, True): ngettext("tried to restore %(n)s tag", "tried to restore %(n)s tags", bad),
            (True, True, True): ngettext("tried to restore %(n)s image", "tried to restore %(n)s images", bad),
        }[restoration, untagged, not done]
    return text % {"n": count(done or bad), "all": count(things)}


def pushed(tags: int) -> str:
    """What somebody pushed: nothing but a digest, or so many tags."""
    if not tags:
        return gettext("pushed by digest")
    return gettext("pushed") if tags == 1 else ngettext("pushed %(n)s tag", "pushed %(n)s tags", tags) % {"n": tags}


def deleted(tags: int) -> str:
    """What somebody else deleted."""
    return gettext("deleted") if tags < 2 else ngettext("deleted %(n)s tag", "deleted %(n)s tags", tags) % {"n": tags}


def pulled(gets: int, heads: int, day: str) -> str:
    """How often it was pulled on a day; where nobody fetched it, how often somebody asked for its digest."""
    if gets:
        text = ngettext("pulled once on %(day)s", "pulled %(n)s times on %(day)s", gets)
        return text % {"n": count(gets), "day": day}
    text = ngettext("looked up once on %(day)s", "looked up %(n)s times on %(day)s", heads)
    return text % {"n": count(heads), "day": day}


def looked_up(heads: int) -> str:
    """How often clients asked besides whether it is still the newest; "" for never."""
    if not heads:
        return ""
    return ngettext("And looked up once.", "And looked up %(n)s times.", heads) % {"n": count(heads)}


def method(name: str) -> str:
    """By which method; "" where there is none."""
    return str(_METHODS.get(name, legible(name, MAX_CODE)))


def reason(code: str) -> str:
    """Why it did not happen, or ended otherwise than asked; "" where there is nothing to say."""
    return "" if code in _SAYS_NOTHING else str(_CODES.get(code, legible(code, MAX_CODE)))
