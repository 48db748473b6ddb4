"""What a registry forgets and we keep: what each tag pointed to, what was notified, who pushed, what was pulled.

Rows name repositories and tags as text: they outlive the index, which may be emptied.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .index import MAX_DIGEST
from .registry import Registry


class TagPeriod(models.Model):
    """A tag pointed to a digest from `began_at` to `ended_at` (None: it still does). A time is a push or a reading."""

    class Learnt(models.TextChoices):
        """How it became known."""

        EVENT = "event", _("notified")
        REFRESH = "refresh", _("read")
        STORAGE = "storage", _("found in the storage")

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="+")
    repository = models.CharField(max_length=255)
    tag = models.CharField(max_length=128)
    digest = models.CharField(max_length=MAX_DIGEST)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    learnt = models.CharField(max_length=10, choices=Learnt)

    class Meta:
        verbose_name = _("period of a tag")
        verbose_name_plural = _("periods of tags")
        constraints = [
            models.UniqueConstraint(
                fields=["registry", "repository", "tag"],
                condition=models.Q(ended_at=None),
                name="one_open_period_per_tag",
            )
        ]
        indexes = [
            models.Index(fields=["registry", "repository", "tag", "-began_at"], name="period_of_tag"),
            models.Index(fields=["registry", "repository", "digest"], name="period_of_digest"),
        ]

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag} {self.digest}"


class Notification(models.Model):
    """One event that a registry sent, as it came; pruned after a time. It makes us read again, little more is believed.

    `event_id` is the registry's own, so that one sent twice is taken once.
    """

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="+")
    event_id = models.CharField(max_length=100)
    received_at = models.DateTimeField()
    processed_at = models.DateTimeField(null=True, blank=True)
    payload = models.JSONField()

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [models.UniqueConstraint(fields=["registry", "event_id"], name="notification_once")]
        indexes = [
            models.Index(fields=["registry", "received_at"], name="notification_by_time"),
            models.Index(fields=["registry", "id"], condition=models.Q(processed_at=None), name="notification_waiting"),
        ]

    def __str__(self) -> str:
        return self.event_id


class NotificationState(models.Model):
    """Since when a registry notifies us. It outlives the notifications, which are pruned.

    `pulls_began_at`: since when it notifies pulls too, which its configuration may leave out; before that nobody knows
    whether something was pulled. All three are times of receipt, by our clock.
    """

    registry = models.OneToOneField(Registry, on_delete=models.CASCADE, related_name="+")
    began_at = models.DateTimeField()
    pulls_began_at = models.DateTimeField(null=True, blank=True)
    last_at = models.DateTimeField()

    class Meta:
        verbose_name = _("state of notifications")
        verbose_name_plural = _("states of notifications")

    def __str__(self) -> str:
        return f"{self.registry_id} {self.began_at:%Y-%m-%d}"


class RegistryEvent(models.Model):
    """A manifest was pushed, or one or a tag of it deleted, by somebody else than this dashboard: as it was notified.

    `tag` is "" where it was done by digest, `digest` "" where a tag alone was deleted. `at` is the registry's clock
    where that can be true, else when it came. `actor` is "" where the registry knows no names. `event_id` is the
    registry's own, so that one sent twice is kept once.
    """

    class Action(models.TextChoices):
        """What was done."""

        PUSH = "push", _("pushed")
        DELETE = "delete", _("deleted")

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="+", db_index=False)
    event_id = models.CharField(max_length=100)
    at = models.DateTimeField()
    action = models.CharField(max_length=10, choices=Action)
    repository = models.CharField(max_length=255)
    tag = models.CharField(max_length=128, blank=True)
    digest = models.CharField(max_length=MAX_DIGEST, blank=True)
    actor = models.CharField(max_length=255, blank=True)
    address = models.CharField(max_length=100, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = _("event of a registry")
        verbose_name_plural = _("events of registries")
        constraints = [models.UniqueConstraint(fields=["registry", "event_id"], name="event_once")]
        indexes = [
            models.Index(fields=["registry", "at"], name="event_by_time"),
            models.Index(fields=["registry", "repository", "at"], name="event_of_repository"),
            models.Index(fields=["registry", "repository", "digest"], name="event_of_digest"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor} {self.action} {self.repository}"


class PullDay(models.Model):
    """Pulls of one digest of a repository on one day (UTC), by GET and by HEAD. `tag` is "" for a pull by digest.

    Our own requests are left out; a pull of an index's child is credited to the index where that is known.
    """

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="+")
    repository = models.CharField(max_length=255)
    tag = models.CharField(max_length=128, blank=True)
    digest = models.CharField(max_length=MAX_DIGEST)
    day = models.DateField()
    gets = models.PositiveIntegerField(default=0)
    heads = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField()

    class Meta:
        verbose_name = _("pulls of a day")
        verbose_name_plural = _("pulls of days")
        constraints = [
            models.UniqueConstraint(
                fields=["registry", "repository", "tag", "digest", "day"], name="pulls_once_per_day"
            )
        ]
        indexes = [
            models.Index(fields=["registry", "repository", "digest"], name="pulls_of_digest"),
            models.Index(fields=["registry", "last_at"], name="pulls_by_time"),
            models.Index(fields=["registry", "repository", "last_at"], name="pulls_of_repository"),
        ]

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest} {self.day}"
