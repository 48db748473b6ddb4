"""People made by the machine: the administrator of the environment."""

from __future__ import annotations

from django.conf import settings

from dashboard.models import User


def ensure_administrator() -> str:
    """Makes the administrator that DJANGO_SUPERUSER_USERNAME and _PASSWORD name; "" if there is nothing to do.

    Somebody of that name is left as he is: the environment makes an administrator once and never resets a password.
    """
    name, password = settings.SUPERUSER_USERNAME, settings.SUPERUSER_PASSWORD
    if not name or not password or User.objects.like(name).exists():
        return ""
    User.objects.create_superuser(username=name, password=password)
    return str(name)
