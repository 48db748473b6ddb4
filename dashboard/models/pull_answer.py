"""What a registry with rights per repository was seen to let a credential pull."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .registry import Registry


class PullAnswer(models.Model):
    """Whether the holder of a credential (a hash: of where, whose and which name) may pull a repository."""

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="+")
    holder = models.CharField(max_length=64)
    repository = models.CharField(max_length=255)
    allowed = models.BooleanField()
    asked_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("answer about pulling")
        verbose_name_plural = _("answers about pulling")
        constraints = [
            models.UniqueConstraint(fields=["registry", "holder", "repository"], name="one_answer_per_repository"),
        ]

    def __str__(self) -> str:
        return self.repository
