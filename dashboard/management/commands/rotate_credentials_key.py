"""`manage.py rotate_credentials_key`: stored secrets encrypted anew under the newest key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from dashboard.services import credentials


class Command(BaseCommand):
    """Put the new key first in DASHBOARD_CREDENTIAL_KEYS, run this, then drop the old one."""

    help = "Encrypts stored registry credentials anew under the newest key of DASHBOARD_CREDENTIAL_KEYS."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Says how many were rotated, and how many no configured key can read."""
        rotated, unreadable = credentials.rotate_all()
        self.stdout.write(f"{rotated} secrets encrypted anew, {unreadable} unreadable (to be entered again)")
