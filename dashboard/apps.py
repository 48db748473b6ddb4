"""The app's configuration: registers the system checks."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DashboardConfig(AppConfig):
    """Strata."""

    name = "dashboard"
    verbose_name = _("Strata")

    def ready(self) -> None:
        """Loads the system checks, which register themselves."""
        import_module("dashboard.checks")
