"""The registry of the environment: its row follows the settings, and is read-only in the interface."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from dashboard.models import Registry


def follow_environment() -> Registry | None:
    """Makes or updates the row of the registry that the environment names; None if it names none."""
    if not settings.REGISTRY_URL:
        Registry.objects.filter(from_environment=True).update(from_environment=False)
        return None
    values = {
        "url": settings.REGISTRY_URL,
        "public_host": settings.REGISTRY_PUBLIC_HOST or urlsplit(settings.REGISTRY_URL).netloc,
        "ca_file": settings.REGISTRY_CA_FILE,
        "storage_root": settings.STORAGE_ROOT,
        "act_with": settings.REGISTRY_ACT_WITH,
        "sign_in": settings.REGISTRY_SIGN_IN,
        "from_environment": True,
    }
    registry, _ = Registry.objects.update_or_create(slug=settings.REGISTRY_SLUG, defaults=values)
    Registry.objects.filter(from_environment=True).exclude(pk=registry.pk).update(from_environment=False)
    return registry
