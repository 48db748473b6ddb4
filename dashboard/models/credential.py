"""Credentials: the name and password of a person, or of a group, on a registry."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.utils.translation import gettext_lazy as _

from . import encryption
from .registry import Registry


class Credential(models.Model):
    """The credential of a person or of a group on a registry: encrypted, bound to its origin, never shown again.

    `checked_at`: when the registry last answered about it. `asked_again_at`: when it was last asked about one that is
    kept, answered or not.
    """

    class State(models.TextChoices):
        """What the registry said of it when it was last asked."""

        ACCEPTED = "accepted", _("accepted")
        REFUSED = "refused", _("refused")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="credentials"
    )
    group = models.ForeignKey(Group, null=True, blank=True, on_delete=models.CASCADE, related_name="credentials")
    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="credentials")
    origin = models.CharField(max_length=500)
    username = models.CharField(max_length=255)
    encrypted_secret = models.TextField()
    state = models.CharField(max_length=10, choices=State)
    checked_at = models.DateTimeField()
    asked_again_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")
        constraints = [
            models.UniqueConstraint(fields=["user", "registry"], name="one_credential_per_person_and_registry"),
            models.UniqueConstraint(fields=["group", "registry"], name="one_credential_per_group_and_registry"),
            models.CheckConstraint(
                name="credential_of_a_person_or_a_group",
                condition=models.Q(user=None, group__isnull=False) | models.Q(group=None, user__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.username} @ {self.origin}"

    def set_secret(self, secret: str) -> None:
        """Encrypts and keeps `secret`; does not save."""
        self.encrypted_secret = encryption.encrypt(secret)

    def secret(self) -> str:
        """The secret. Raises encryption.SecretUnreadable if its key is gone."""
        return encryption.decrypt(self.encrypted_secret)
