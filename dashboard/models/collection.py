"""Garbage collections: those that were run here or noticed, and what the next one would do."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .registry import Registry


class Collection(models.Model):
    """One garbage collection of a registry; run here by the job `job_id`, or noticed by a scan (then without one).

    `step` is written before what it names begins, so that after a crash the row tells what may be going on. `steps`
    are objects {step, seconds, …} of those that ended. Promised is what the collector's own dry run listed, freed what
    was gone from the disk afterwards; None where that was not measured. `log` is what the command printed, cut.
    """

    class State(models.TextChoices):
        """How it stands."""

        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        STOPPED = "stopped", _("stopped before anything was removed")
        FAILED = "failed", _("failed")
        INTERRUPTED = "interrupted", _("interrupted")
        NOTICED = "noticed", _("noticed: run outside of this dashboard")

    LIVE = (State.WAITING, State.RUNNING)

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="collections")
    job_id = models.UUIDField(null=True, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    user_name = models.CharField(max_length=255, blank=True)
    address = models.CharField(max_length=45, blank=True)
    state = models.CharField(max_length=12, choices=State, default=State.WAITING)
    asked_at = models.DateTimeField()
    began_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    step = models.CharField(max_length=20, blank=True)
    steps = models.JSONField(default=list, blank=True)
    promised_blobs = models.PositiveBigIntegerField(null=True, blank=True)
    promised_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    freed_blobs = models.PositiveBigIntegerField(null=True, blank=True)
    freed_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    outcome_code = models.CharField(max_length=60, blank=True)
    outcome = models.JSONField(default=dict, blank=True)
    log = models.TextField(blank=True)

    class Meta:
        verbose_name = _("garbage collection")
        verbose_name_plural = _("garbage collections")
        indexes = [models.Index(fields=["registry", "-asked_at"], name="collection_by_time")]

    def __str__(self) -> str:
        return f"{self.registry_id} {self.state} {self.asked_at:%Y-%m-%d %H:%M}"

    @property
    def is_live(self) -> bool:
        """Waiting or running."""
        return self.state in self.LIVE


class CollectionPreview(models.Model):
    """What collections would do, by the last scan; in the shape of `services/collection/preview.py`.

    `orphans` holds some of the digests that no revision reached then, with their sizes: gone by the next scan, they
    tell of a collection.
    """

    registry = models.OneToOneField(Registry, on_delete=models.CASCADE, related_name="collection_preview")
    read_at = models.DateTimeField()
    seconds = models.FloatField()
    report = models.JSONField()
    orphans = models.BinaryField(default=b"")

    class Meta:
        verbose_name = _("preview of collections")
        verbose_name_plural = _("previews of collections")

    def __str__(self) -> str:
        return f"{self.registry_id} {self.read_at:%Y-%m-%d %H:%M}"
