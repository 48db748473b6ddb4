"""People: our own user model, from the first migration."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.db import models
from django.utils.translation import gettext_lazy as _


def canonical_name(name: str) -> str:
    """What two user names have in common that a person would take for the same: NFKC, case folded, trimmed."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


class UserManager(DjangoUserManager["User"]):
    """Finds people also by the canonical form of their name."""

    def like(self, name: str) -> models.QuerySet[User]:
        """Everybody whose name a person would take for `name`, active or not."""
        return self.filter(canonical_username=canonical_name(name))


class User(AbstractUser):
    """Somebody who signs in. `origin_registry` is set for those whom a registry's password let in first."""

    canonical_username = models.CharField(max_length=300, unique=True, editable=False)
    origin_registry = models.ForeignKey(
        "dashboard.Registry", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")

    def clean(self) -> None:
        """Normalises the name as Django does, and derives its canonical form."""
        super().clean()
        self.canonical_username = canonical_name(self.username)

    def save(self, *args: object, **kwargs: object) -> None:
        """Keeps the canonical name in step with the name."""
        self.canonical_username = canonical_name(self.username)
        fields = kwargs.get("update_fields")
        if isinstance(fields, Iterable) and "username" in (names := set(fields)):
            kwargs["update_fields"] = names | {"canonical_username"}
        super().save(*args, **kwargs)  # type: ignore[arg-type]  # passed through unchanged


class ExternalIdentity(models.Model):
    """Whom a user is for those who sign people in elsewhere: an OpenID Connect provider, or a proxy in front.

    The subject decides, never a name: names are changed and given to others. `groups` are the names of those
    memberships that came from there at the last sign-in; they go when they are not told any more.
    """

    issuer = models.CharField(max_length=500)
    subject = models.CharField(max_length=255)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    groups = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = _("identity elsewhere")
        verbose_name_plural = _("identities elsewhere")
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="one_user_for_each_subject")]

    def __str__(self) -> str:
        return f"{self.subject} ({self.issuer})"
