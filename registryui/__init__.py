"""The Django project: settings from the environment, addresses, logging, static files, the WSGI entry."""

from __future__ import annotations

__version__ = "0.1.0"
