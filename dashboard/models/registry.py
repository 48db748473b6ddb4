"""Registries: where each is, how people act on it, and where its storage is mounted."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from . import encryption

SLUG_PATTERN = r"[a-z0-9]+(?:-[a-z0-9]+)*"


class Registry(models.Model):
    """One server with a v2 API, and perhaps its storage.

    The storage is a directory mounted here (`storage_root`) or a bucket (`storage_url`), never both.

    The registry of the environment keeps its secrets there; those of any other are here, encrypted
    (`models/encryption.py`): the default credential's password, bound to the origin it was given for, and the token
    that its notifications carry. A name without its password means that it has to be entered again.
    """

    class ActWith(models.TextChoices):
        """Which credential people act with: their own, their group's or the default; never one in place of another."""

        OWN = "own", _("each person's own credential")
        GROUP = "group", _("the credential of a group of theirs")
        DEFAULT = "default", _("the default credential")

    slug = models.CharField(max_length=64, unique=True, validators=[RegexValidator(rf"\A{SLUG_PATTERN}\Z")])
    url = models.CharField(max_length=500)
    public_host = models.CharField(max_length=255)
    ca_file = models.CharField(max_length=500, blank=True)
    storage_root = models.CharField(max_length=1000, blank=True)
    storage_url = models.CharField(max_length=1000, blank=True)
    act_with = models.CharField(max_length=10, choices=ActWith, default=ActWith.DEFAULT)
    sign_in = models.BooleanField(default=False, help_text=_("people may sign in with their name on this registry"))
    allow_removal = models.BooleanField(
        default=False, help_text=_("administrators may remove the directories of emptied repositories")
    )
    allow_upload_removal = models.BooleanField(
        default=False, help_text=_("administrators may remove abandoned uploads")
    )
    refresh_minutes = models.PositiveIntegerField(default=5, help_text=_("minutes between two refreshes of the index"))
    default_username = models.CharField(max_length=255, blank=True)
    default_origin = models.CharField(max_length=500, blank=True, editable=False)
    encrypted_default_password = models.TextField(blank=True, editable=False)
    encrypted_events_token = models.TextField(blank=True, editable=False)
    from_environment = models.BooleanField(default=False, editable=False)

    class Meta:
        verbose_name = _("registry")
        verbose_name_plural = _("registries")
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.public_host

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a stored credential is bound to."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}".lower()

    @property
    def storage_address(self) -> str:
        """Where its storage is read: a directory mounted here, or a bucket; "" if nowhere."""
        return self.storage_root or self.storage_url

    def set_default_password(self, password: str) -> None:
        """Encrypts and keeps the default credential's password for the present origin ("": none); does not save."""
        self.encrypted_default_password = encryption.encrypt(password) if password else ""
        self.default_origin = self.origin if password else ""

    def default_password(self) -> str:
        """The default credential's password; "" if there is none, or it was given for another origin.

        Raises encryption.SecretUnreadable if its key is gone.
        """
        if not self.encrypted_default_password or self.default_origin != self.origin:
            return ""
        return encryption.decrypt(self.encrypted_default_password)
