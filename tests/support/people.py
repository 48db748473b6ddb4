"""Roles for the people of tests."""

from __future__ import annotations

from django.utils import timezone

from dashboard.models import AccessRule, Registry, Role, User


def let(user: User, role: Role, pattern: str = "**", registry: Registry | None = None) -> AccessRule:
    """Gives a role in such repositories of a registry, or of every one."""
    same = {"who": AccessRule.Who.USER, "user": user, "registry": registry, "pattern": pattern, "role": role}
    return AccessRule.objects.create(**same, created_at=timezone.now())
