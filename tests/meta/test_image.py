"""The container image: what it holds, who it runs as, how its health is asked, and how gunicorn is started in it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).resolve().parents[2]


def dockerfile() -> list[tuple[str, str]]:
    """Instructions and their arguments, continuation lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_has_two_stages_and_runs_as_an_ordinary_user() -> None:
    instructions = dockerfile()
    assert [rest for name, rest in instructions if name == "FROM"] == [
        "python:3.11-slim AS packages",
        "python:3.11-slim",
    ]
    [user] = [rest for name, rest in instructions if name == "USER"]
    assert int(user.split(":")[0]) > 0
    assert [name for name, _ in instructions].index("USER") > max(
        position for position, (name, _) in enumerate(instructions) if name in {"RUN", "COPY"}
    ), "nothing in the image belongs to the user that serves"


def test_the_image_holds_every_file_that_the_program_needs() -> None:
    copied = set()
    for name, rest in dockerfile():
        if name == "COPY" and not rest.startswith("--from"):
            *sources, _ = shlex.split(rest)
            copied |= set(sources)
    assert all((ROOT / source).exists() for source in copied)
    assert {"manage.py", "gunicorn.conf.py", "registryui", "dashboard", "templates", "static"} <= copied
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in kept, "what is not named stays out of the build: secrets, state, the history"
    assert {line[1:] for line in kept if line.startswith("!")} == copied


def test_the_images_packages_are_installed_with_hashes_alone() -> None:
    [install] = [rest for name, rest in dockerfile() if name == "RUN" and "pip" in rest and "install" in rest]
    assert "--require-hashes -r /tmp/requirements.txt" in install


@contextmanager
def server(code: int) -> Iterator[str]:
    """A server that answers /healthz with this status; yields host:port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as running_server:
        thread = Thread(target=running_server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{running_server.server_address[1]}"
        running_server.shutdown()
        thread.join()


def test_the_images_health_check_tells_a_healthy_server_from_a_sick_one() -> None:
    [check] = [rest for name, rest in dockerfile() if name == "HEALTHCHECK"]
    command = json.loads(check.partition("CMD ")[2])
    assert command[0] == "python"

    def healthy(address: str) -> bool:
        code = command[2].replace("127.0.0.1:8000", address)
        return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0

    with server(200) as address:
        assert healthy(address)
    assert not healthy(address), "nobody listens"
    with server(500) as address:
        assert not healthy(address)


def test_gunicorns_configuration_is_accepted_and_opens_no_control_socket() -> None:
    command = [sys.executable, "-m", "gunicorn", "--print-config", "-c", "gunicorn.conf.py", "registryui.wsgi"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    settings = dict(re.findall(r"^(\w+) += (.*)$", shown.stdout, re.MULTILINE))
    assert settings["control_socket_disable"] == "True"
    assert settings["preload_app"] == "False"
    assert settings["worker_class"].endswith("ThreadWorker") or settings["worker_class"] == "gthread"
