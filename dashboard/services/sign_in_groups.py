"""Groups of those who sign in with a registry's password, by pattern of their name (DASHBOARD_SIGN_IN_GROUPS)."""

from __future__ import annotations

import fnmatch

from django.conf import settings

MAX_GROUP_NAME = 150


def parsed(text: str) -> tuple[str, str] | None:
    """The pattern and the group of "ci-*=robots"; None if it is not such a text."""
    pattern, _, group = (part.strip() for part in text.partition("="))
    return (pattern, group) if pattern and 0 < len(group) <= MAX_GROUP_NAME else None


def groups_of(name: str) -> list[str]:
    """The groups that every pattern like `name` gives."""
    pairs = (parsed(text) for text in settings.SIGN_IN_GROUPS)
    return list(dict.fromkeys(pair[1] for pair in pairs if pair and fnmatch.fnmatchcase(name, pair[0])))
