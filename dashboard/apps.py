"""The app's configuration: registers the system checks and what listens to signals."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DashboardConfig(AppConfig):
    """Strata."""

    name = "dashboard"
    verbose_name = _("Strata")

    def ready(self) -> None:
        """Loads the system checks and receivers of signals, which register themselves."""
        import_module("dashboard.checks")
        import_module("dashboard.services.activity.sign_ins")
        import_module("dashboard.services.confirmed")
        import_module("dashboard.services.sessions")
