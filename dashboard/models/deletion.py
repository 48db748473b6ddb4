"""Deletions: the plan that was shown, its execution, and the trash that can bring it back."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .registry import Registry


class DeletionPlan(models.Model):
    """What deleting one tag would do, made by the server, shown to one person, good for an hour.

    `effect` holds what was seen and what would go (services/deletion/plan.py); `fingerprint` is the hash that the form
    carries back, so that what is executed is what was shown.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="+")
    repository = models.CharField(max_length=255)
    tag = models.CharField(max_length=128)
    digest = models.CharField(max_length=140)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    effect = models.JSONField()
    fingerprint = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"


class Deletion(models.Model):
    """One executed deletion. Rows hold names as text, so that nothing else's removal makes them unreadable.

    While it runs it holds a lease that is renewed; one whose lease ran out is finished or rolled back by the worker.
    `step` is written before the request that it names, so that after a crash the row tells what may have happened.
    """

    class Method(models.TextChoices):
        """Whether the digest goes with its tag."""

        REMOVE = "remove", _("the tag and what it names")
        UNTAG = "untag", _("only the name")

    class State(models.TextChoices):
        """How it stands."""

        IN_PROGRESS = "in-progress", _("in progress")
        DONE = "done", _("done")
        REFUSED = "refused", _("refused, nothing changed")
        ROLLED_BACK = "rolled-back", _("failed and put back")
        FAILED = "failed", _("failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    plan = models.OneToOneField(DeletionPlan, on_delete=models.PROTECT, related_name="deletion")
    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="deletions")
    repository = models.CharField(max_length=255)
    tag = models.CharField(max_length=128)
    digest = models.CharField(max_length=140)
    method = models.CharField(max_length=10, choices=Method)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    user_name = models.CharField(max_length=255)
    acted_with = models.CharField(max_length=10)
    acted_as = models.CharField(max_length=255, blank=True)
    state = models.CharField(max_length=12, choices=State, default=State.IN_PROGRESS)
    step = models.CharField(max_length=30, blank=True)
    throwaway_digest = models.CharField(max_length=140, blank=True)
    children = models.JSONField(default=list)
    restorable = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    kept_until = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    outcome_code = models.CharField(max_length=60, blank=True)
    outcome = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("deletion")
        verbose_name_plural = _("deletions")
        constraints = [
            models.UniqueConstraint(
                fields=["registry", "repository"],
                condition=models.Q(state="in-progress"),
                name="one_running_deletion_per_repository",
            )
        ]
        indexes = [models.Index(fields=["registry", "-created_at"])]

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag} {self.state}"


class TrashedManifest(models.Model):
    """The exact bytes of a manifest that a deletion takes away, kept before the first request is sent."""

    deletion = models.ForeignKey(Deletion, on_delete=models.CASCADE, related_name="trash")
    digest = models.CharField(max_length=140)
    media_type = models.CharField(max_length=255)
    raw = models.BinaryField()
    tag = models.CharField(max_length=128, blank=True)
    kept_until = models.DateTimeField()

    class Meta:
        verbose_name = _("trashed manifest")
        verbose_name_plural = _("trashed manifests")
        constraints = [models.UniqueConstraint(fields=["deletion", "digest"], name="trashed_once_per_deletion")]

    def __str__(self) -> str:
        return f"{self.digest} of {self.deletion_id}"
