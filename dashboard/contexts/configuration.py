"""An image's configuration as its page shows it: facts, environment, labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext

from dashboard.registry.manifests import ImageConfig

from .formats import legible

_SECRET_NAME = re.compile(r"(pass(word|wd|phrase)?|secret|token|api_?key|private|credential|auth|dsn)", re.IGNORECASE)
OCI_PREFIX = "org.opencontainers.image."
"""What the names of the labels begin with that OCI defines; they are shown without it."""
MAX_LABELS = 500


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable; one that looks like a secret is masked until asked for."""

    name: str
    value: str
    secret: bool


def facts_of(config: ImageConfig) -> list[tuple[str, str]]:
    """What the configuration says, line by line, where it says something."""
    lines = [
        (gettext("Entrypoint"), " ".join(config.entrypoint)),
        (gettext("Command"), " ".join(config.command)),
        (gettext("User"), config.user),
        (gettext("Working directory"), config.working_dir),
        (gettext("Ports"), ", ".join(config.ports)),
        (gettext("Volumes"), ", ".join(config.volumes)),
        (gettext("Stop signal"), config.stop_signal),
        (gettext("Author"), config.author),
    ]
    return [(name, legible(value)) for name, value in lines if value]


def environment_of(config: ImageConfig) -> list[Variable]:
    """The environment variables, in the order of the configuration."""
    return [variable_of(text) for text in config.environment]


def variable_of(text: str) -> Variable:
    """`NAME=value` apart, and whether the name is that of a secret. An empty value hides nothing."""
    name, _, value = text.partition("=")
    return Variable(legible(name, 300), legible(value), secret=bool(value and _SECRET_NAME.search(name)))


def health_check_of(config: ImageConfig) -> tuple[str, str]:
    """The command of the health check and how often it runs ("30 s"); "" for what is not told."""
    every = f"{config.health_interval_ns / 1e9:g} s" if config.health_interval_ns else ""
    return legible(" ".join(config.health_check[1:])), every


def labels_of(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Labels by their shortened names, at most MAX_LABELS."""
    short = sorted((key.removeprefix(OCI_PREFIX), value) for key, value in labels.items())
    return [(legible(key, 300), legible(value)) for key, value in short[:MAX_LABELS]]
