"""Usage snapshots: what a scan of the storage found, and when."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .registry import Registry


class UsageSnapshot(models.Model):
    """The accounting of one scan, in the shape of `storage_report --json`, with the file system's figures in bytes."""

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="snapshots")
    began_at = models.DateTimeField()
    seconds = models.FloatField()
    root = models.CharField(max_length=1000)
    disk_bytes = models.PositiveBigIntegerField()
    free_bytes = models.PositiveBigIntegerField()
    report = models.JSONField()

    class Meta:
        verbose_name = _("usage snapshot")
        verbose_name_plural = _("usage snapshots")
        get_latest_by = "began_at"
        indexes = [models.Index(fields=["registry", "-began_at"])]

    def __str__(self) -> str:
        return f"{self.registry_id} {self.began_at:%Y-%m-%d %H:%M}"
