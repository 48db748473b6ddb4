"""Deletions: the plan that was shown, its execution item by item, and the trash that can bring it back."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .registry import Registry


class DeletionPlan(models.Model):
    """What a deletion would do, made by the server, shown to one person, good for an hour.

    `choice` is what was asked for, as the page's query; `effect` holds what was seen and what would go
    (services/deletion/effect.py); `fingerprint` is the hash that the form carries back, so that what is executed is
    what was shown. It outlives the person, because its deletion is told by it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="+")
    repository = models.CharField(max_length=255)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    choice = models.TextField(blank=True)
    effect = models.JSONField()
    fingerprint = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.repository} {self.created_at:%Y-%m-%d %H:%M}"


class ChosenNames(models.Model):
    """Tags and digests that somebody ticked, where they are too many for an address; kept for a day."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="+")
    repository = models.CharField(max_length=255)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField()
    tags = models.JSONField(default=list)
    digests = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.repository} {len(self.tags)} + {len(self.digests)}"


class Deletion(models.Model):
    """A plan that was confirmed, and how far it is. Names are kept as text, so that nothing else's removal hurts them.

    While it runs it holds a lease that is renewed; one whose lease ran out is gone on with by the worker. What happens
    to each digest is in its items. `outcome_code` tells what a running one waits for. `abandoned`: what has not begun
    is left as it is. `put_back` in `outcome` names what vanished unplanned and was put back.
    """

    class State(models.TextChoices):
        """Whether it is over."""

        IN_PROGRESS = "in-progress", _("in progress")
        DONE = "done", _("done")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    plan = models.OneToOneField(DeletionPlan, on_delete=models.PROTECT, related_name="deletion")
    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="deletions")
    repository = models.CharField(max_length=255)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    user_name = models.CharField(max_length=255)
    address = models.CharField(max_length=45, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    acted_with = models.CharField(max_length=10)
    acted_as = models.CharField(max_length=255, blank=True)
    state = models.CharField(max_length=12, choices=State, default=State.IN_PROGRESS)
    abandoned = models.BooleanField(default=False)
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
        return f"{self.repository} {self.state}"


class DeletionItem(models.Model):
    """One digest of a deletion, with those of its tags that go; without tags an untagged revision.

    `step` is written before the request that it names, so that after a crash the row tells what may have happened.
    `children` are the digests that go along. `frees` are the bytes that a collection frees by it, `shared` those that
    something else needs, None where unknown. `restorable` is whether the registry would take it back, as last looked at
    (`looked_at`); if not, `missing` names what is gone. An item is in the trash if it is `done`, was not restored, and
    its deletion's `kept_until` lies ahead.
    """

    class Method(models.TextChoices):
        """Whether the digest goes with its tags."""

        REMOVE = "remove", _("the tag and what it names")
        UNTAG = "untag", _("only the name")

    class State(models.TextChoices):
        """How it stands."""

        WAITING = "waiting", _("waiting")
        DONE = "done", _("done")
        REFUSED = "refused", _("refused, nothing changed")
        ROLLED_BACK = "rolled-back", _("failed and put back")
        FAILED = "failed", _("failed")
        LEFT = "left", _("left as it is")

    deletion = models.ForeignKey(Deletion, on_delete=models.CASCADE, related_name="items")
    position = models.PositiveIntegerField()
    digest = models.CharField(max_length=140)
    media_type = models.CharField(max_length=255, blank=True)
    tags = models.JSONField(default=list)
    method = models.CharField(max_length=10, choices=Method)
    children = models.JSONField(default=list)
    kind = models.CharField(max_length=10, blank=True)
    platforms = models.CharField(max_length=500, blank=True)
    bytes = models.PositiveBigIntegerField(null=True, blank=True)
    frees = models.PositiveBigIntegerField(null=True, blank=True)
    state = models.CharField(max_length=12, choices=State, default=State.WAITING)
    step = models.CharField(max_length=30, blank=True)
    throwaway_digest = models.CharField(max_length=140, blank=True)
    outcome_code = models.CharField(max_length=60, blank=True)
    outcome = models.JSONField(default=dict, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    restorable = models.BooleanField(default=True)
    missing = models.JSONField(default=list, blank=True)
    looked_at = models.DateTimeField(null=True, blank=True)
    restored_at = models.DateTimeField(null=True, blank=True)
    restored_by = models.CharField(max_length=255, blank=True)

    class Meta:
        verbose_name = _("item of a deletion")
        verbose_name_plural = _("items of deletions")
        constraints = [models.UniqueConstraint(fields=["deletion", "position"], name="item_once_per_position")]
        indexes = [models.Index(fields=["deletion", "state"], name="item_by_state")]

    def __str__(self) -> str:
        return f"{', '.join(self.tags[:3]) or self.digest} {self.state}"


class TrashedManifest(models.Model):
    """The exact bytes of a manifest that a deletion takes away, kept before the first request is sent."""

    deletion = models.ForeignKey(Deletion, on_delete=models.CASCADE, related_name="trash")
    digest = models.CharField(max_length=140)
    media_type = models.CharField(max_length=255)
    raw = models.BinaryField()

    class Meta:
        verbose_name = _("trashed manifest")
        verbose_name_plural = _("trashed manifests")
        constraints = [models.UniqueConstraint(fields=["deletion", "digest"], name="trashed_once_per_deletion")]

    def __str__(self) -> str:
        return f"{self.digest} of {self.deletion_id}"
