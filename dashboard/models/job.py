"""Jobs: background work as rows. The row is the truth and the lock; queue messages only carry its id."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .registry import Registry


class Job(models.Model):
    """One piece of background work: who asked, how far it is, how it ended.

    `log` holds what happened on the way: objects {at, code, …}, the first MAX_LINES of them.

    At most one live job per (kind, registry, key), by constraint. Whoever works on it holds a lease and renews it; a
    job whose lease ran out is taken up again.
    """

    class Kind(models.TextChoices):
        """What is done."""

        SCAN = "scan", _("storage scan")
        FULL_SCAN = "full-scan", _("full pass of the storage")
        REFRESH = "refresh", _("refresh of the index")
        DEEP_CHECK = "deep-check", _("deep check")
        NOTIFICATIONS = "notifications", _("notifications of the registry")
        DELETION = "deletion", _("deletion")
        RESTORE = "restore", _("restoring from the trash")
        COLLECTION = "collection", _("garbage collection")

    class State(models.TextChoices):
        """Where it is."""

        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    LIVE = (State.WAITING, State.RUNNING)
    MAX_LINES = 100

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=20, choices=Kind)
    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="jobs")
    key = models.CharField(max_length=100, blank=True, default="")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    requested_by_name = models.CharField(max_length=150, blank=True)
    requested_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    progress = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
    outcome_code = models.CharField(max_length=60, blank=True)
    outcome = models.JSONField(default=dict, blank=True)
    log = models.JSONField(default=list, blank=True)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "registry", "key"],
                condition=models.Q(state__in=["waiting", "running"]),
                name="one_live_job_per_kind_registry_key",
            )
        ]
        indexes = [models.Index(fields=["registry", "kind", "-requested_at"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"

    @property
    def is_live(self) -> bool:
        """Waiting or running."""
        return self.state in self.LIVE
