"""The first start: the one-time code that makes the first administrator."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class SetUpCode(models.Model):
    """The hash of the code that `bootstrap` printed last, and how often a wrong one was tried. At most one row."""

    hashed = models.CharField(max_length=64)
    made_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name = _("set-up code")
        verbose_name_plural = _("set-up codes")

    def __str__(self) -> str:
        return f"set-up code of {self.made_at:%Y-%m-%d %H:%M}"
