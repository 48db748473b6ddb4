"""The registry that `make run` brings along: its port and its configuration.

Loopback, no authentication, deletion enabled, notifications to the dashboard that runs with it. Without a blob
descriptor cache, which would outlive a garbage collection and answer for blobs that are gone. Without upload purging,
so that the unfinished upload of the demo stays.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import keys
from .common import ROOT, SetupProblem

DEPLOY = ROOT / "deploy"
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

# What cannot be delivered is kept in memory and sent again for ever: only for a dashboard that runs as well. Layers are
# left out (`ignore.actions` alone has no effect before 3.1; types of content have).
NOTIFICATIONS = """\
notifications:
  endpoints:
    - name: strata
      url: {url}
      headers:
        Authorization: [{authorization}]
      timeout: 5s
      threshold: 3
      backoff: 1s
      ignore:
        mediatypes: [application/octet-stream]
"""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where the registry sends its notifications, and the token that they carry."""

    url: str
    token: str = field(repr=False)


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

    @property
    def gate(self) -> Path:
        """Where the gate in front of it takes requests (deploy/registry-gate)."""
        return self.directory / "gate"

    @property
    def collects(self) -> Path:
        """The command that collects it: DASHBOARD_GC_COMMAND."""
        return self.directory / "gc-command"


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """From the choice of a port until the registry listens there: another start, of whatever checkout, waits for it."""
    lock = Path(tempfile.gettempdir()) / f"strata-demo-{os.getuid()}.lock"
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def prepare(directory: Path, receiver: Receiver | None = None) -> DemoRegistry:
    """Choose the port (the one of the last start if it is free) and write the configuration. Raises SetupProblem."""
    directory.mkdir(parents=True, exist_ok=True)
    registry = DemoRegistry(directory, _choose_port(directory / "port"))
    registry.storage.mkdir(exist_ok=True)
    secret = keys.keep(directory, "http_secret", lambda: secrets.token_hex(32)).read_text().strip()
    values = {"storage": str(registry.storage), "address": registry.address, "secret": secret}
    registry.configuration.touch(mode=0o600)
    configuration = _filled(CONFIGURATION, values)
    if receiver is not None:
        told = {"url": receiver.url, "authorization": f"Bearer {receiver.token}"}
        configuration += _filled(NOTIFICATIONS, told)
    registry.configuration.write_text(configuration)
    passes_on = f"STRATA_GC_DIRECTORY={shlex.quote(str(registry.gate))} exec {shlex.quote(str(DEPLOY / 'gc-compose'))}"
    registry.collects.write_text(f'#!/bin/sh\n# Written by `make run` at each start.\n{passes_on} "$1"\n')
    registry.collects.chmod(0o700)
    return registry


def _filled(template: str, values: dict[str, str]) -> str:
    return template.format(**{name: json.dumps(value) for name, value in values.items()})  # JSON text is YAML text


def of_last_start(directory: Path) -> DemoRegistry | None:
    """The registry that was started last with this directory; None if there was none."""
    try:
        return DemoRegistry(directory, int((directory / "port").read_text()))
    except (OSError, ValueError):
        return None


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
