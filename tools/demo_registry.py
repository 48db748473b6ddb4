"""The registry that `make run` brings along: its port and its configuration.

Loopback, no authentication, deletion enabled. Without a blob descriptor cache, which would outlive a garbage
collection and answer for blobs that are gone. Without upload purging, so that the unfinished upload of the demo stays.
"""

from __future__ import annotations

import json
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from . import keys
from .common import SetupProblem

HOST = "127.0.0.1"
FIRST_PORT = 5000
PORTS_TRIED = 100

CONFIGURATION = """\
# Written by `make run` at each start.
version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: {storage}
  delete:
    enabled: true
  maintenance:
    uploadpurging:
      enabled: false
http:
  addr: {address}
  secret: {secret}
"""


@dataclass(frozen=True, slots=True)
class DemoRegistry:
    """Where the demo registry listens and keeps its things."""

    directory: Path
    port: int

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def storage(self) -> Path:
        return self.directory / "storage"

    @property
    def configuration(self) -> Path:
        return self.directory / "registry.yml"


def prepare(directory: Path) -> DemoRegistry:
    """Choose the port (the one of the last start if it is free) and write the configuration. Raises SetupProblem."""
    directory.mkdir(parents=True, exist_ok=True)
    registry = DemoRegistry(directory, _choose_port(directory / "port"))
    registry.storage.mkdir(exist_ok=True)
    secret = keys.keep(directory, "http_secret", lambda: secrets.token_hex(32)).read_text().strip()
    values = {"storage": str(registry.storage), "address": registry.address, "secret": secret}
    registry.configuration.touch(mode=0o600)
    registry.configuration.write_text(
        CONFIGURATION.format(**{name: json.dumps(value) for name, value in values.items()})  # JSON text is YAML text
    )
    return registry


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address. Raises PermissionError below 1024."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            raise
        except OSError:
            return False
    return True


def _choose_port(kept: Path) -> int:
    try:
        last = int(kept.read_text())
    except (OSError, ValueError):
        last = FIRST_PORT
    candidates: list[int] = [last, *range(FIRST_PORT, FIRST_PORT + PORTS_TRIED)]
    for port in candidates:
        if 1024 <= port <= 65535 and is_free(port):
            kept.write_text(f"{port}\n")
            return port
    raise SetupProblem(f"No free port for the demo registry between {FIRST_PORT} and {FIRST_PORT + PORTS_TRIED - 1}.")
