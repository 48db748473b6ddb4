"""One logging configuration for the web processes and the worker: a line an event, on standard error."""

from __future__ import annotations

import logging
import re
from typing import Any

_SECRET_ADDRESS = re.compile(r"(/invitations/)[^/\s\"'?]+")


class Masked(logging.Filter):
    """Leaves out of each line what stands in an address that is a secret itself: the links by which people come in."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Changes the record; every one passes."""
        message = record.getMessage()
        masked = _SECRET_ADDRESS.sub(r"\1…", message)
        if masked != message:
            record.msg, record.args = masked, None
        return True


def logging_config(*, debug: bool) -> dict[str, Any]:
    """A dictConfig. Request lines are gunicorn's own; libraries speak from WARNING on."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
        "filters": {"masked": {"()": Masked}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["masked"]}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "dashboard": {"level": "DEBUG" if debug else "INFO"},
            "django.request": {"level": "ERROR"},
            "django-q": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
        },
    }
