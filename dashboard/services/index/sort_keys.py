"""Sort keys as bytes: the natural order of names (services/ordering.py), alike on every database.

A key is a sequence of parts, each a class byte and a text, ended by a byte below every other: so a name sorts before
what it begins. A number is preceded by the count of its digits, which orders numbers by value and tells its end.
"""

from __future__ import annotations

from dashboard.registry.references import namespace_of
from dashboard.services.ordering import natural_key

_END = b"\x01"
MAX_TAG_KEY = 700
MAX_NAME_KEY = 1200


def name_key(name: str) -> bytes:
    """The key of a tag or repository by its name, at most MAX_NAME_KEY bytes."""
    parts, spelling = natural_key(name)
    encoded = b"".join(
        _number(number, text) if kind == _NUMBER else b"%d" % kind + text.encode() + _END
        for kind, number, text in parts
    )
    return (encoded + spelling.encode())[:MAX_NAME_KEY]


def _number(value: int, text: str) -> bytes:
    """Of one value, more zeros come first, as in text (but 00 after 0); what is too long to be one is text."""
    digits = b"%d" % value
    if len(digits) == _DIGITS_OF_TEXT:
        return b"%d%02d" % (_NUMBER, len(digits)) + text.encode() + _END
    zeros = len(text) - len(digits)
    return b"%d%02d" % (_NUMBER, len(digits)) + digits + bytes([_NO_ZEROS + (-zeros if value else zeros)])


def tree_key(name: str) -> bytes:
    """The key of a repository in a list by namespace: the repositories of a namespace stand together."""
    return name_key(namespace_of(name)) + _END + name_key(name)


_NUMBER = 2
_NO_ZEROS = ord("z")
_DIGITS_OF_TEXT = 31
"""As natural_key ranks them: above all numbers."""
