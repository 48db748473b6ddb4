"""The audit: what was done to registries through this dashboard, by whom, and how it ended. Rows are only ever added.

Nothing here refers to another row, so that nobody's removal blocks, changes or cascades: names are kept as text.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from .index import MAX_DIGEST


class AuditEntry(models.Model):
    """One thing done or refused. `digest_before` and `digest_after`: what the tags pointed to, "" for nothing.

    `answers` tell what the registry said, in order ("DELETE manifest: 202"). `bytes` are what a collection frees by it,
    where that is known. `batch` is the deletion that several entries belong to, `reason` what the person wrote.
    """

    class Action(models.TextChoices):
        """What was asked for."""

        DELETE = "delete", _("deleted")
        UNTAG = "untag", _("untagged")
        RESTORE = "restore", _("restored")
        RETAG = "retag", _("tagged")
        MOVE = "move", _("pointed elsewhere")
        REMOVE_DIRECTORY = "remove-directory", _("directory removed")
        COLLECT = "collect", _("garbage collected")
        REMOVE_UPLOAD = "remove-upload", _("upload removed")
        DEEP_CHECK = "deep-check", _("deep check begun")
        RULE = "rule", _("protection changed")
        ACCESS = "access", _("access changed")
        PERSON = "person", _("person changed")
        CREDENTIAL = "credential", _("credential changed")
        REGISTRY_USER = "registry-user", _("registry user changed")
        SIGN_IN = "sign-in", _("signed in")

    class Outcome(models.TextChoices):
        """How it ended."""

        DONE = "done", _("done")
        REFUSED = "refused", _("refused")
        FAILED = "failed", _("failed")

    at = models.DateTimeField(db_index=True)
    user = models.CharField(max_length=150, blank=True)
    address = models.CharField(max_length=45, blank=True)
    registry = models.CharField(max_length=64, blank=True)
    acted_as = models.CharField(max_length=255, blank=True)
    action = models.CharField(max_length=20, choices=Action)
    outcome = models.CharField(max_length=10, choices=Outcome)
    code = models.CharField(max_length=60, blank=True)
    repository = models.CharField(max_length=255, blank=True)
    tags = models.JSONField(default=list, blank=True)
    digest_before = models.CharField(max_length=MAX_DIGEST, blank=True)
    digest_after = models.CharField(max_length=MAX_DIGEST, blank=True)
    method = models.CharField(max_length=30, blank=True)
    answers = models.JSONField(default=list, blank=True)
    bytes = models.PositiveBigIntegerField(null=True, blank=True)
    batch = models.UUIDField(null=True, blank=True, db_index=True)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        indexes = [
            models.Index(fields=["registry", "-at"], name="audit_of_registry"),
            models.Index(fields=["registry", "repository", "-at"], name="audit_of_repository"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.user} {self.action} {self.repository}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Adds the row. Raises RuntimeError for one that is there already: what happened does not change."""
        if not self._state.adding:
            raise RuntimeError("an audit entry is never changed")
        super().save(*args, **kwargs)
