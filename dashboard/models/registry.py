"""Registries: where each is, how people act on it, and where its storage is mounted."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

SLUG_PATTERN = r"[a-z0-9]+(?:-[a-z0-9]+)*"


class Registry(models.Model):
    """One server with a v2 API, and perhaps its storage directory.

    The registry of the environment keeps its secrets there; those of any other are here, encrypted
    (`models/encryption.py`): the default credential's password and the token that its notifications carry.
    """

    class ActWith(models.TextChoices):
        """Which credential people act with: their own or the registry's default; never one in place of the other."""

        OWN = "own", _("each person's own credential")
        DEFAULT = "default", _("the default credential")

    slug = models.CharField(max_length=64, unique=True, validators=[RegexValidator(rf"\A{SLUG_PATTERN}\Z")])
    url = models.CharField(max_length=500)
    public_host = models.CharField(max_length=255)
    ca_file = models.CharField(max_length=500, blank=True)
    storage_root = models.CharField(max_length=1000, blank=True)
    act_with = models.CharField(max_length=10, choices=ActWith, default=ActWith.DEFAULT)
    sign_in = models.BooleanField(default=False, help_text=_("people may sign in with their name on this registry"))
    refresh_minutes = models.PositiveIntegerField(default=5, help_text=_("minutes between two refreshes of the index"))
    default_username = models.CharField(max_length=255, blank=True)
    encrypted_default_password = models.TextField(blank=True, editable=False)
    encrypted_events_token = models.TextField(blank=True, editable=False)
    from_environment = models.BooleanField(default=False, editable=False)

    class Meta:
        verbose_name = _("registry")
        verbose_name_plural = _("registries")
        permissions = [("delete_image", "May delete tags and images")]
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.public_host

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a stored credential is bound to."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}".lower()
