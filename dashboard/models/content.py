"""Content by digest: manifests and configs, fetched once and kept, for content under a digest never changes."""

from __future__ import annotations

from django.db import models


class Content(models.Model):
    """The bytes of one manifest or config. Says nothing about who holds it: that is asked of the registry each time."""

    digest = models.CharField(max_length=140, primary_key=True)
    media_type = models.CharField(max_length=255, blank=True)
    raw = models.BinaryField()

    def __str__(self) -> str:
        return self.digest
