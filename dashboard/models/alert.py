"""Thresholds of a registry's storage, the alerts that they raise, and what is sent about these."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from .registry import Registry


class Thresholds(models.Model):
    """When people are to be told about a registry's storage. None: that is not watched. Percents are whole numbers.

    A registry without a row has the defaults. Growth is in bytes a day, over the last seven days.
    """

    DEFAULT_FREE_PERCENT = 10
    DEFAULT_ORPHANS_PERCENT = 30
    DEFAULT_SCAN_HOURS = 48

    registry = models.OneToOneField(Registry, on_delete=models.CASCADE, related_name="thresholds")
    free_percent = models.PositiveSmallIntegerField(null=True, blank=True, default=DEFAULT_FREE_PERCENT)
    free_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    growth_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    orphans_percent = models.PositiveSmallIntegerField(null=True, blank=True, default=DEFAULT_ORPHANS_PERCENT)
    orphans_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    scan_hours = models.PositiveIntegerField(null=True, blank=True, default=DEFAULT_SCAN_HOURS)

    class Meta:
        verbose_name = _("thresholds of a registry")
        verbose_name_plural = _("thresholds of registries")

    def __str__(self) -> str:
        return f"thresholds of {self.registry_id}"


class Alert(models.Model):
    """A threshold that was passed, from `since` until `resolved_at` (None: it still is). `figures`: of the last look.

    At most one open alert per (registry, code), by constraint: two workers cannot raise the same one.
    """

    class Code(models.TextChoices):
        """Which threshold."""

        FREE = "free-space", _("little free space")
        GROWTH = "growth", _("fast growth")
        ORPHANS = "orphans", _("many orphans")
        SCAN_AGE = "scan-age", _("no recent scan")

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="alerts")
    code = models.CharField(max_length=20, choices=Code)
    since = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    figures = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        constraints = [
            models.UniqueConstraint(
                fields=["registry", "code"],
                condition=models.Q(resolved_at__isnull=True),
                name="one_open_alert_per_registry_code",
            )
        ]

    def __str__(self) -> str:
        return f"{self.registry_id} {self.code}"


class AlertMessage(models.Model):
    """What is to be sent about an alert, once, by one way: that it began, or that it is over.

    `next_at` is when it may be tried (again); whoever sends it moves that on first, so that nobody else does. The id is
    sent along, so that a receiver can tell a repetition.
    """

    class Way(models.TextChoices):
        """How it is sent."""

        EMAIL = "email", _("e-mail")
        WEBHOOK = "webhook", _("webhook")

    class Event(models.TextChoices):
        """What it tells."""

        BEGAN = "began", _("it began")
        OVER = "over", _("it is over")

    class State(models.TextChoices):
        """Where it is."""

        WAITING = "waiting", _("waiting")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="messages")
    way = models.CharField(max_length=10, choices=Way)
    event = models.CharField(max_length=10, choices=Event)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    created_at = models.DateTimeField()
    next_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = _("message about an alert")
        verbose_name_plural = _("messages about alerts")
        constraints = [models.UniqueConstraint(fields=["alert", "way", "event"], name="told_once_by_each_way")]
        indexes = [models.Index(fields=["state", "next_at"], name="alert_messages_due")]

    def __str__(self) -> str:
        return f"{self.event} by {self.way}: {self.state}"
