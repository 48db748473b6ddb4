"""Deep checks: every blob of a mounted storage hashed anew, how far that is, and what was found damaged."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .index import MAX_DIGEST
from .registry import Registry


class DeepCheck(models.Model):
    """One check of the storage at `root` (docker/registry/v2). It goes on behind `position` until it has `finished_at`.

    `position` is the path of the last blob that was gone through, below `blobs`. `blobs` and `bytes` are what is done
    of `total_blobs` and `total_bytes`, which were counted at the beginning; `seconds` is the time spent on it.
    `damaged` counts all that was found, of which the first MAX_FINDINGS are rows.
    """

    MAX_FINDINGS = 1000

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="deep_checks", db_index=False)
    root = models.CharField(max_length=1100)
    began_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    position = models.CharField(max_length=200, blank=True)
    blobs = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    total_blobs = models.PositiveBigIntegerField(default=0)
    total_bytes = models.PositiveBigIntegerField(default=0)
    seconds = models.FloatField(default=0)
    damaged = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("deep check")
        verbose_name_plural = _("deep checks")
        indexes = [models.Index(fields=["registry", "-began_at"], name="deep_check_by_time")]

    def __str__(self) -> str:
        return f"{self.registry_id} {self.began_at:%Y-%m-%d %H:%M}"


class DamagedBlob(models.Model):
    """What a deep check found wrong. `path` is below `blobs`; `digest` is "" for a directory that was not entered.

    `code` is one of `storage.hashing.CODES`; `found` the digest of what was read, `bytes` its length.
    """

    deep_check = models.ForeignKey(DeepCheck, on_delete=models.CASCADE, related_name="findings", db_index=False)
    path = models.CharField(max_length=200)
    digest = models.CharField(max_length=MAX_DIGEST, blank=True)
    code = models.CharField(max_length=20)
    found = models.CharField(max_length=MAX_DIGEST, blank=True)
    bytes = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name = _("damaged blob")
        verbose_name_plural = _("damaged blobs")
        constraints = [models.UniqueConstraint(fields=["deep_check", "path"], name="damage_once_per_check")]

    def __str__(self) -> str:
        return f"{self.path} {self.code}"
