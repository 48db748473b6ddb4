"""Ways in without a password: links that invite or let a new password be set, and the code of the first start.

Of each only the SHA-256 hash is kept; the token itself is shown once, to whoever made it.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Invitation(models.Model):
    """A link good for one password of `user`, once, until `expires_at`.

    `registry_user`: the user of the registry's password file that is made when it is accepted; "" for none.
    """

    class Kind(models.TextChoices):
        """What it is for."""

        INVITE = "invite", _("invitation")
        RESET = "reset", _("new password")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="invitations")
    kind = models.CharField(max_length=10, choices=Kind)
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150, blank=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    registry_user = models.CharField(max_length=255, blank=True)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")

    def __str__(self) -> str:
        return f"{self.kind} {self.user_id} {self.created_at:%Y-%m-%d %H:%M}"

    def is_open(self, now: dt.datetime) -> bool:
        """Whether it can still be used."""
        return self.used_at is None and now < self.expires_at


class SetUpCode(models.Model):
    """The one code that makes the first administrator. `tries` counts wrong ones."""

    code_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name = _("set-up code")
        verbose_name_plural = _("set-up codes")

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M}"
