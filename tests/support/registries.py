"""Real registries for tests: Distribution 2.8 and 3.1 on loopback, each with a directory and a port of its own.

Used by the contract and the browser tests. A registry that was started is killed with its starter.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from .tls import Certificates
from .token_server import TokenAuth

Kind = Literal["2.8", "3.1"]
KINDS: tuple[Kind, ...] = ("2.8", "3.1")

_PROJECT = Path(__file__).resolve().parents[2]
_VARIABLES = {"2.8": "REGISTRY_2_BIN", "3.1": "REGISTRY_3_BIN"}
_START_SECONDS = 15.0


class RegistryDidNotStart(RuntimeError):
    """The program ended or did not answer; the message holds the end of its log."""


@dataclass
class RunningRegistry:
    """A registry that answers at `url`; its files are under `root`/docker/registry/v2."""

    kind: Kind
    url: str
    root: Path
    config: Path
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def host(self) -> str:
        """Host and port."""
        return self.url.partition("://")[2]

    def stop(self) -> None:
        """End the program and wait for it."""
        atexit.unregister(self.stop)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=5)


def binary(kind: Kind) -> Path | None:
    """The registry program, or None: a caller skips and says `missing(kind)`."""
    named = os.environ.get(_VARIABLES[kind])
    path = Path(named) if named else _PROJECT / "var" / "tools" / "bin" / f"registry-{kind}"
    return path if path.is_file() and os.access(path, os.X_OK) else None


def missing(kind: Kind) -> str:
    """Why a test of this registry was skipped."""
    return f"no registry {kind} here: set {_VARIABLES[kind]} or put it at var/tools/bin/registry-{kind}"


def start_registry(
    kind: Kind,
    directory: Path,
    *,
    delete: bool = True,
    readonly: bool = False,
    htpasswd: Path | None = None,
    tls: Certificates | None = None,
    token: TokenAuth | None = None,
    port: int | None = None,
    notifications: dict[str, Any] | None = None,
    catalog_max: int | None = None,
    cache: bool = False,
    s3: dict[str, Any] | None = None,
) -> RunningRegistry:
    """Start a registry and wait until it answers; `s3` are the options of that driver, in place of a directory.

    Raises FileNotFoundError without the program, RegistryDidNotStart.
    """
    program = binary(kind)
    if program is None:
        raise FileNotFoundError(missing(kind))
    directory.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    root, config, log = directory / "data", directory / "registry.yml", directory / "registry.log"
    root.mkdir(exist_ok=True)
    settings = _settings(root, port, delete=delete, readonly=readonly, htpasswd=htpasswd, tls=tls, token=token)
    if notifications:
        settings["notifications"] = notifications
    if catalog_max:
        settings["catalog"] = {"maxentries": catalog_max}
    if s3 is not None:
        del settings["storage"]["filesystem"]
        settings["storage"] |= {"s3": s3, "redirect": {"disable": True}}
    if cache:
        settings["storage"]["cache"] = {"blobdescriptor": "inmemory"}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    with log.open("ab") as output:
        process = subprocess.Popen(
            [program, "serve", config], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_environment()
        )
    registry = RunningRegistry(kind, f"{'https' if tls else 'http'}://127.0.0.1:{port}", root, config, log, process)
    atexit.register(registry.stop)
    try:
        _wait(registry, tls)
    except BaseException:
        registry.stop()
        raise
    return registry


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _settings(
    root: Path,
    port: int,
    *,
    delete: bool,
    readonly: bool,
    htpasswd: Path | None,
    tls: Certificates | None,
    token: TokenAuth | None,
) -> dict[str, Any]:
    maintenance: dict[str, Any] = {"uploadpurging": {"enabled": False}}
    if readonly:
        maintenance["readonly"] = {"enabled": True}
    http: dict[str, Any] = {"addr": f"127.0.0.1:{port}", "secret": "made-up-for-tests"}
    if tls:
        http["tls"] = {"certificate": str(tls.certificate), "key": str(tls.key)}
    settings: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(root)},
            "delete": {"enabled": delete},
            "maintenance": maintenance,
        },
        "http": http,
    }
    if htpasswd:
        settings["auth"] = {"htpasswd": {"realm": "Tests", "path": str(htpasswd)}}
    if token:
        settings["auth"] = {
            "token": {
                "realm": token.realm,
                "service": token.service,
                "issuer": token.issuer,
                "rootcertbundle": str(token.certificate),
            }
        }
    return settings


def _environment() -> dict[str, str]:
    """Ours without REGISTRY_…, which a registry takes as overrides of its configuration, and AWS_…, which S3 would."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "OTEL_", "AWS_"))}
    return kept | {"OTEL_TRACES_EXPORTER": "none"}


def _wait(registry: RunningRegistry, tls: Certificates | None) -> None:
    context = ssl.create_default_context(cafile=str(tls.authority)) if tls else None
    if context:
        context.check_hostname = False  # a certificate for another name is a case of its own
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if registry.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{registry.url}/v2/", timeout=2, context=context):
                return
        except urllib.error.HTTPError as answered:
            answered.close()
            return
        except OSError:
            time.sleep(0.03)
    raise RegistryDidNotStart(registry.log.read_text(errors="replace")[-2000:])
