"""What scans of the storage found: snapshots over time, and the last one in detail."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .index import MAX_DIGEST
from .registry import Registry


class UsageSnapshot(models.Model):
    """The sums of one scan in bytes, with the figures of the file system (0 where there is none to ask).

    `report` has the shape of `storage_report --json` without its lists of repositories and namespaces, which are rows
    of their own; of snapshots before the last it keeps the sums alone. `is_whole`: every row of it is written.
    """

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="snapshots")
    began_at = models.DateTimeField()
    seconds = models.FloatField()
    root = models.CharField(max_length=1000)
    is_full = models.BooleanField(default=False)
    is_whole = models.BooleanField(default=True)
    disk_bytes = models.PositiveBigIntegerField()
    free_bytes = models.PositiveBigIntegerField()
    tagged_bytes = models.PositiveBigIntegerField(default=0)
    untagged_bytes = models.PositiveBigIntegerField(default=0)
    orphan_bytes = models.PositiveBigIntegerField(default=0)
    upload_bytes = models.PositiveBigIntegerField(default=0)
    report = models.JSONField()

    class Meta:
        verbose_name = _("usage snapshot")
        verbose_name_plural = _("usage snapshots")
        get_latest_by = "began_at"
        indexes = [models.Index(fields=["registry", "-began_at"])]

    def __str__(self) -> str:
        return f"{self.registry_id} {self.began_at:%Y-%m-%d %H:%M}"

    @property
    def data_bytes(self) -> int:
        """Bytes of all well-formed data files."""
        return self.tagged_bytes + self.untagged_bytes + self.orphan_bytes + self.upload_bytes


class MeasuredRepository(models.Model):
    """A repository in a snapshot; bytes as in `storage.figures.RepositoryUsage`.

    `partners`: objects {name, bytes} of those it shares most with, and `more_partners` how many there are besides.
    """

    snapshot = models.ForeignKey(UsageSnapshot, on_delete=models.CASCADE, related_name="repositories", db_index=False)
    name = models.CharField(max_length=255)
    namespace = models.CharField(max_length=255, blank=True)
    sort_key = models.BinaryField(max_length=1200)
    tags = models.PositiveIntegerField()
    bytes = models.PositiveBigIntegerField()
    exclusive_bytes = models.PositiveBigIntegerField()
    shared_bytes = models.PositiveBigIntegerField()
    tagged_bytes = models.PositiveBigIntegerField()
    tagged_exclusive_bytes = models.PositiveBigIntegerField()
    untagged_bytes = models.PositiveBigIntegerField()
    untagged_revisions = models.PositiveIntegerField()
    partners = models.JSONField(default=list)
    more_partners = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("measured repository")
        verbose_name_plural = _("measured repositories")
        constraints = [models.UniqueConstraint(fields=["snapshot", "name"], name="repository_once_per_snapshot")]
        indexes = [
            models.Index(fields=["snapshot", "sort_key"], name="measured_by_name"),
            models.Index(fields=["snapshot", "tags"], name="measured_by_tags"),
            models.Index(fields=["snapshot", "bytes"], name="measured_by_bytes"),
            models.Index(fields=["snapshot", "exclusive_bytes"], name="measured_by_exclusive"),
            models.Index(fields=["snapshot", "shared_bytes"], name="measured_by_shared"),
            models.Index(fields=["snapshot", "untagged_bytes"], name="measured_by_untagged"),
            models.Index(fields=["snapshot", "tagged_exclusive_bytes"], name="measured_by_tagged"),
        ]

    def __str__(self) -> str:
        return self.name


class MeasuredNamespace(models.Model):
    """A namespace in a snapshot, at any depth; bytes as in `storage.figures.NamespaceUsage`. `parent`: that above."""

    snapshot = models.ForeignKey(UsageSnapshot, on_delete=models.CASCADE, related_name="namespaces", db_index=False)
    name = models.CharField(max_length=255)
    parent = models.CharField(max_length=255, blank=True)
    repositories = models.PositiveIntegerField()
    tags = models.PositiveIntegerField()
    bytes = models.PositiveBigIntegerField()
    exclusive_bytes = models.PositiveBigIntegerField()
    tagged_bytes = models.PositiveBigIntegerField()
    tagged_exclusive_bytes = models.PositiveBigIntegerField()
    shared_inside_bytes = models.PositiveBigIntegerField()

    class Meta:
        verbose_name = _("measured namespace")
        verbose_name_plural = _("measured namespaces")
        constraints = [models.UniqueConstraint(fields=["snapshot", "name"], name="namespace_once_per_snapshot")]
        indexes = [models.Index(fields=["snapshot", "parent", "tagged_exclusive_bytes"], name="namespace_by_parent")]

    def __str__(self) -> str:
        return self.name


class MeasuredTag(models.Model):
    """A tag in a snapshot; bytes as in `storage.detail.TagUsage`."""

    repository = models.ForeignKey(
        MeasuredRepository, on_delete=models.CASCADE, related_name="tag_rows", db_index=False
    )
    name = models.CharField(max_length=128)
    bytes = models.PositiveBigIntegerField()
    exclusive_bytes = models.PositiveBigIntegerField()

    class Meta:
        verbose_name = _("measured tag")
        verbose_name_plural = _("measured tags")
        constraints = [models.UniqueConstraint(fields=["repository", "name"], name="tag_once_per_measure")]
        indexes = [models.Index(fields=["repository", "exclusive_bytes"], name="measured_tag_by_exclusive")]

    def __str__(self) -> str:
        return self.name


class LargeBlob(models.Model):
    """One of the largest blobs of a snapshot; as `storage.detail.LargeBlob`. `repositories`: the first few, by name."""

    snapshot = models.ForeignKey(UsageSnapshot, on_delete=models.CASCADE, related_name="large_blobs", db_index=False)
    digest = models.CharField(max_length=MAX_DIGEST)
    bytes = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=10)
    repositories = models.JSONField(default=list)
    repository_count = models.PositiveIntegerField()
    tag_count = models.PositiveIntegerField()

    class Meta:
        verbose_name = _("large blob")
        verbose_name_plural = _("large blobs")
        constraints = [models.UniqueConstraint(fields=["snapshot", "digest"], name="blob_once_per_snapshot")]
        indexes = [models.Index(fields=["snapshot", "bytes"], name="large_blob_by_bytes")]

    def __str__(self) -> str:
        return self.digest


class RepositoryGrowth(models.Model):
    """What a repository took at a scan, kept only where it differs from the scan before; 0 once it is gone."""

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="growth", db_index=False)
    repository = models.CharField(max_length=255)
    at = models.DateTimeField()
    bytes = models.PositiveBigIntegerField()
    exclusive_bytes = models.PositiveBigIntegerField()

    class Meta:
        verbose_name = _("growth of a repository")
        verbose_name_plural = _("growth of repositories")
        constraints = [
            models.UniqueConstraint(fields=["registry", "repository", "at"], name="repository_once_per_scan")
        ]

    def __str__(self) -> str:
        return f"{self.repository} {self.at:%Y-%m-%d %H:%M}"
