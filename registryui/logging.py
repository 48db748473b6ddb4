"""One logging configuration for the web processes and the worker: a line an event, on standard error."""

from __future__ import annotations

from typing import Any


def logging_config(*, debug: bool) -> dict[str, Any]:
    """A dictConfig. Request lines are gunicorn's own; libraries speak from WARNING on."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "dashboard": {"level": "DEBUG" if debug else "INFO"},
            "django.request": {"level": "ERROR"},
            "django-q": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
        },
    }
