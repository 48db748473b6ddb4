"""The password file of a registry (htpasswd) as Distribution reads it, and changes of it that stay readable.

Distribution reads line by line: blank lines and those that begin with `#` count for nothing, anything else is
`name:hash`, of which the last of a name counts. One line without a colon, and it reads nothing of the file and answers
400. Only bcrypt opens the door; other hashes are read and never match. It reads anew when the file's time changes.

A user who is switched off becomes a comment of ours that holds the line, so that the same password works again later.
Every other line stays as it is, byte for byte. Pure: text in, text out.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from dataclasses import dataclass

import bcrypt

MAX_NAME_BYTES = 255
MAX_PASSWORD_BYTES = 72
"""bcrypt takes no more: it would ignore the rest."""
MAX_LINE_BYTES = 60_000
"""Distribution's reader gives up at 64 KiB."""
COST = 10
"""The registry pays it at each request: every step doubles."""

DISABLED = "# disabled: "
MALFORMED = "# no user: "
"""What the lines begin with that we made comments of."""

_SPACE = "".join(
    map(chr, (*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000))
)
"""What Go takes for white space: Python's own has four characters more."""
_BCRYPT = re.compile(r"\$2[abxy]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_READABLE = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 4, 5


class Refused(ValueError):
    """Nothing was changed. `code`: NAME, PASSWORD, EXISTS, UNKNOWN, NOT_READABLE."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


NAME, PASSWORD, EXISTS, UNKNOWN, NOT_READABLE = "name", "password", "exists", "unknown", "not-readable"


@dataclass(frozen=True, slots=True)
class RegistryUser:
    """A name in the file. `enabled`: its line is no comment; `bcrypt`: its hash is of the kind that the registry takes.

    `manageable` is False for a name that no form can hold, such as one with control characters.
    """

    name: str
    enabled: bool
    bcrypt: bool
    manageable: bool


@dataclass(frozen=True, slots=True)
class _Line:
    """A line as it stands, and the user it is about (None: none), switched on or off."""

    raw: str
    name: str | None = None
    hash: str = ""
    enabled: bool = False
    malformed: bool = False


@dataclass(frozen=True)
class PasswordFile:
    """The lines of a file, in their order; every change gives a new one. Bytes that are no UTF-8 come as surrogates."""

    lines: tuple[_Line, ...]

    @property
    def text(self) -> str:
        """The whole file, as it is to be written."""
        return "\n".join(line.raw for line in self.lines)

    @property
    def malformed(self) -> tuple[int, ...]:
        """Numbers of the lines, from 1, that keep the registry from reading the file."""
        return tuple(number for number, line in enumerate(self.lines, 1) if line.malformed)

    def users(self) -> list[RegistryUser]:
        """The names in the order of their first lines, each once."""
        names = dict.fromkeys(line.name for line in self.lines if line.name is not None)
        found = ((name, self.lines[self._counts(name)]) for name in names)
        return [
            RegistryUser(name, line.enabled, _BCRYPT.fullmatch(line.hash) is not None, is_name(name))
            for name, line in found
        ]

    def user(self, name: str) -> RegistryUser | None:
        """The user of that name."""
        return next((user for user in self.users() if user.name == name), None)

    def add(self, name: str, hashed: str) -> PasswordFile:
        """With a new user at the end. Raises Refused."""
        _must_be_bcrypt(hashed)
        if not is_name(name):
            raise Refused(NAME)
        self._must_be_readable()
        if any(line.name == name for line in self.lines):
            raise Refused(EXISTS)
        lines = list(self.lines)
        ended = bool(lines) and not lines[-1].raw.strip(_SPACE)
        before, rest = (lines[:-1], lines[-1:]) if ended else (lines, [_Line("")])
        return PasswordFile((*before, _entry(name, hashed), *rest))

    def set_hash(self, name: str, hashed: str) -> PasswordFile:
        """With another hash for `name`, who stays as switched on or off as before. Raises Refused."""
        _must_be_bcrypt(hashed)
        line = self._line(name)
        return self._replace(name, _entry(name, hashed, enabled=line.enabled))

    def disable(self, name: str) -> PasswordFile:
        """With `name` switched off: its line becomes a comment. Raises Refused."""
        return self._replace(name, _entry(name, self._line(name).hash, enabled=False))

    def enable(self, name: str) -> PasswordFile:
        """With `name` switched on again, with the password from before. Raises Refused."""
        return self._replace(name, _entry(name, self._line(name).hash))

    def remove(self, name: str) -> PasswordFile:
        """Without any line of `name`. Raises Refused."""
        self._line(name)
        return PasswordFile(tuple(line for line in self.lines if line.name != name) or (_Line(""),))

    def mend(self) -> PasswordFile:
        """With the lines that keep the registry from reading it made comments."""
        return PasswordFile(
            tuple(_Line(f"{MALFORMED}{line.raw.strip(_SPACE)}") if line.malformed else line for line in self.lines)
        )

    def _counts(self, name: str) -> int:
        """The line of `name` that counts: the last that is switched on, else the last."""
        of_name = [(line.enabled, number) for number, line in enumerate(self.lines) if line.name == name]
        return max(of_name)[1]

    def _line(self, name: str) -> _Line:
        if not is_name(name):
            raise Refused(NAME)
        self._must_be_readable()
        if all(line.name != name for line in self.lines):
            raise Refused(UNKNOWN)
        return self.lines[self._counts(name)]

    def _replace(self, name: str, line: _Line) -> PasswordFile:
        """`line` in place of the one that counts; others of the name go: switching it off must not bring them back."""
        place = self._counts(name)
        return PasswordFile(
            tuple(
                line if number == place else old
                for number, old in enumerate(self.lines)
                if number == place or old.name != name
            )
        )

    def _must_be_readable(self) -> None:
        if self.malformed:
            raise Refused(NOT_READABLE)


def parse(text: str) -> PasswordFile:
    """The file's text line by line. Raises Refused (NOT_READABLE) for a line that is too long for the registry."""
    raws = text.split("\n")
    if any(len(raw.encode("utf-8", "surrogateescape")) > MAX_LINE_BYTES for raw in raws):
        raise Refused(NOT_READABLE)
    return PasswordFile(tuple(_parse(raw) for raw in raws))


def is_name(text: str) -> bool:
    """Whether a user may be called that: no colon (it ends the name), nothing invisible, no `#` first, no white space
    at the ends, at most MAX_NAME_BYTES in UTF-8.
    """
    if not text or text[0] == "#" or ":" in text or text != text.strip(_SPACE):
        return False
    if any(unicodedata.category(character) in _INVISIBLE for character in text):
        return False
    return len(text.encode()) <= MAX_NAME_BYTES


def is_password(text: str) -> bool:
    """Whether it may be a password: 1 to MAX_PASSWORD_BYTES in UTF-8, without control characters."""
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        return False
    return 1 <= len(text.encode()) <= MAX_PASSWORD_BYTES


def hash_password(password: str, *, cost: int = COST) -> str:
    """The bcrypt hash with a new salt, in the form `$2y$`. Raises Refused (PASSWORD)."""
    if not is_password(password):
        raise Refused(PASSWORD)
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=cost)).decode("ascii")
    return "$2y$" + hashed.removeprefix("$2b$")


def generate_password() -> str:
    """A new password of 99 random bits, in groups without letters and digits that look alike."""
    groups = ("".join(secrets.choice(_READABLE) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def _parse(raw: str) -> _Line:
    text = raw.strip(_SPACE)
    if text.startswith(DISABLED):
        name, colon, hashed = text.removeprefix(DISABLED).partition(":")
        if colon and is_name(name):
            return _Line(raw, name, hashed)
    if not text or text[0] == "#":
        return _Line(raw)
    name, colon, hashed = text.partition(":")
    return _Line(raw, name, hashed, enabled=True) if colon else _Line(raw, malformed=True)


def _must_be_bcrypt(hashed: str) -> None:
    if _BCRYPT.fullmatch(hashed) is None:
        raise Refused(PASSWORD)


def _entry(name: str, hashed: str, *, enabled: bool = True) -> _Line:
    """A line of ours; the hash is a new one, or what stood in one line."""
    return _Line(f"{'' if enabled else DISABLED}{name}:{hashed}", name, hashed, enabled)
