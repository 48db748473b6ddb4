"""A real registry behind deploy/registry-gate, and commands that collect it: the ready one, and ones that go wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from .registries import Kind, binary, free_port

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Gate:
    """A registry at `url`, its storage at `root`, and `command`, which is DASHBOARD_GC_COMMAND."""

    url: str
    root: Path
    directory: Path
    command: Path
    process: subprocess.Popen[bytes]

    def command_that(self, **cases: str) -> Path:
        """Another command: shell for some words (`dry_run` for dry-run); what is not given is passed on.

        `$ready` is the ready command.
        """
        path = self.directory / f"command-{len(list(self.directory.glob('command-*')))}"
        lines = [f"  {word.replace('_', '-')}) {shell} ;;" for word, shell in cases.items()]
        said = f'echo "$1" >>{self.directory}/said'
        path.write_text(
            "\n".join(
                [
                    "#!/bin/sh",
                    f"ready={self.command}",
                    said,
                    'case "$1" in',
                    *lines,
                    '  *) exec "$ready" "$1" ;;',
                    "esac",
                    "",
                ]
            )
        )
        path.chmod(0o755)
        return path

    def said(self) -> list[str]:
        """The words that such commands were called with."""
        path = self.directory / "said"
        return path.read_text().split() if path.exists() else []


@contextmanager
def gate(kind: Kind, directory: Path) -> Iterator[Gate]:
    """Runs it."""
    directory.mkdir(parents=True, exist_ok=True)
    root, port, between = directory / "data", free_port(), directory / "gate"
    root.mkdir()
    configuration = directory / "registry.yml"
    configuration.write_text(
        yaml.safe_dump(
            {
                "version": 0.1,
                "log": {"level": "warn", "accesslog": {"disabled": True}},
                "storage": {"filesystem": {"rootdirectory": str(root)}, "delete": {"enabled": True}},
                "http": {"addr": f"127.0.0.1:{port}", "secret": "made-up-for-tests"},
            }
        )
    )
    command = directory / "gc-command"
    command.write_text(f'#!/bin/sh\nSTRATA_GC_DIRECTORY={between} exec {ROOT}/deploy/gc-compose "$@"\n')
    command.chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("REGISTRY_", "OTEL_"))}
    environment["OTEL_TRACES_EXPORTER"] = "none"
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [ROOT / "deploy" / "registry-gate", between, str(binary(kind)), configuration],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url)
        yield Gate(url, root, directory, command, process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=5)


def wait_for(url: str, seconds: float = 15) -> None:
    """Until a registry answers."""
    until = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(f"{url}/v2/", timeout=2):
                return
        except OSError:
            assert time.monotonic() < until, f"no registry answers at {url}"
            time.sleep(0.05)
