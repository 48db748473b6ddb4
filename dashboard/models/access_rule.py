"""Access rules: who has which role in which repositories. Rules only add; nobody has a role without one."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.utils.translation import gettext_lazy as _

from .registry import Registry


class Role(models.IntegerChoices):
    """What somebody may do; each may all that those before it may."""

    READER = 1, _("reader")
    DEVELOPER = 2, _("developer")
    MAINTAINER = 3, _("maintainer")
    ADMINISTRATOR = 4, _("administrator")


class AccessRule(models.Model):
    """A role in the repositories like `pattern` (registry/patterns.py) of one registry, or of every one (None).

    For a user, a group, everybody who signs in, or visitors, who do not.
    """

    MAX_PATTERN = 255

    class Who(models.TextChoices):
        """Whom a rule is for."""

        USER = "user", _("a user")
        GROUP = "group", _("a group")
        EVERYBODY = "everybody", _("everybody who signs in")
        VISITORS = "visitors", _("visitors without sign-in")

    who = models.CharField(max_length=10, choices=Who)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="access_rules"
    )
    group = models.ForeignKey(Group, null=True, blank=True, on_delete=models.CASCADE, related_name="access_rules")
    registry = models.ForeignKey(Registry, null=True, blank=True, on_delete=models.CASCADE, related_name="access_rules")
    pattern = models.CharField(max_length=MAX_PATTERN)
    role = models.PositiveSmallIntegerField(choices=Role)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150, blank=True)

    class Meta:
        verbose_name = _("access rule")
        verbose_name_plural = _("access rules")
        constraints = [
            models.CheckConstraint(
                name="access_rule_names_whom",
                condition=models.Q(who="user", user__isnull=False, group=None)
                | models.Q(who="group", group__isnull=False, user=None)
                | models.Q(who__in=["everybody", "visitors"], user=None, group=None),
            ),
            models.CheckConstraint(
                name="access_rule_lets_visitors_read", condition=~models.Q(who="visitors") | models.Q(role=1)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject}: {self.get_role_display()} of {self.pattern}"

    @property
    def subject(self) -> str:
        """The name of the user or group; "" for everybody and for visitors."""
        return str(self.user or self.group or "")
