"""The deployment files fit the program: its variables, its files, and a real registry for the mounted configuration.

No container engine runs here. What can be held against the truth is: the compose files are merged as compose merges
them and compared with the settings; the registry's YAML starts a real registry.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from registryui import env
from tests.support import registries
from tests.support.htpasswd import write_htpasswd
from tests.support.tls import make_certificates

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ("bootstrap", "web", "worker")
OVERRIDES = ("deploy/htpasswd.yml", "deploy/tls.yml")


def compose(*overrides: str) -> dict[str, Any]:
    """The compose file with overrides merged: mappings by key, lists one after the other."""
    merged: dict[str, Any] = {}
    for name in ("docker-compose.yml", *overrides):
        merged = merge(merged, yaml.safe_load((ROOT / name).read_text()))
    return merged


def merge(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {
            key: merge(old[key], new[key]) if key in old and key in new else {**old, **new}[key]
            for key in {**old, **new}
        }
    if isinstance(old, list) and isinstance(new, list) and old[:1] != ["CMD"]:
        return old + new
    return new


def known_variables() -> set[str]:
    """What the settings read, and the file form of each secret."""
    importlib.import_module("registryui.settings")
    return set(env.VARIABLES) | {f"{name}_FILE" for name, kind in env.VARIABLES.items() if kind == "secret"}


@pytest.mark.parametrize("overrides", [(), OVERRIDES[:1], OVERRIDES[1:], OVERRIDES])
def test_every_variable_that_a_dashboard_container_gets_is_one_that_the_settings_read(
    overrides: tuple[str, ...],
) -> None:
    services = compose(*overrides)["services"]
    for name in DASHBOARD:
        given = set(services[name]["environment"])
        assert given
        assert given <= known_variables(), f"{name}: {sorted(given - known_variables())} mean nothing to the dashboard"


def test_every_setting_in_the_example_is_used_by_compose_and_every_one_of_compose_is_in_the_example() -> None:
    used = set()
    for name in ("docker-compose.yml", *OVERRIDES):
        used |= set(re.findall(r"\$\{([A-Z_]+)", (ROOT / name).read_text()))
    shown = set(re.findall(r"^(?:# )?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert shown - {"COMPOSE_FILE"} == used


def test_the_registry_gets_only_its_own_variables_and_the_dashboard_none_of_them() -> None:
    services = compose(*OVERRIDES)["services"]
    assert all(name.startswith(("REGISTRY_", "OTEL_")) for name in services["registry"]["environment"])
    for name in DASHBOARD:
        assert not [variable for variable in services[name]["environment"] if variable.startswith("REGISTRY_")]


def test_bootstrap_ends_well_before_the_servers_start_and_the_registry_is_up_before_it() -> None:
    services = compose()["services"]
    assert services["bootstrap"]["command"] == ["python", "manage.py", "bootstrap"]
    assert services["bootstrap"]["restart"] == "no"
    assert services["bootstrap"]["depends_on"] == {"registry": {"condition": "service_healthy"}}
    assert "healthcheck" in services["registry"]
    for name in ("web", "worker"):
        assert services[name]["depends_on"] == {"bootstrap": {"condition": "service_completed_successfully"}}


def test_the_dashboard_reads_the_registrys_storage_and_cannot_write_it() -> None:
    services = compose()["services"]
    assert "registry-data:/var/lib/registry" in services["registry"]["volumes"]
    for name in DASHBOARD:
        service = services[name]
        assert "registry-data:/registry:ro" in service["volumes"]
        assert service["environment"]["DASHBOARD_STORAGE_ROOT"] == "/registry"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("overrides", [(), OVERRIDES])
def test_secrets_come_as_files_that_the_services_mount(overrides: tuple[str, ...]) -> None:
    merged = compose(*overrides)
    declared = set(merged["secrets"])
    for name in DASHBOARD:
        service = merged["services"][name]
        assert set(service["secrets"]) <= declared
        for variable, value in service["environment"].items():
            plain = variable.removesuffix("_FILE")
            if variable.endswith("_FILE") and env.VARIABLES.get(plain) == "secret":
                assert value.removeprefix("/run/secrets/") in service["secrets"], f"{name}: {variable} is not mounted"
            elif env.VARIABLES[variable] == "secret":
                assert variable == "DATABASE_URL", f"{variable} is a secret in plain sight"


def test_services_volumes_and_mounted_files_that_are_named_exist() -> None:
    merged = compose(*OVERRIDES)
    assert set(merged["services"]) == {"registry", *DASHBOARD}
    for service in merged["services"].values():
        for mount in service["volumes"]:
            source = mount.split(":")[0]
            if source.startswith("./deploy/secrets/"):
                continue  # made by the person who switches it on, as the file's first lines say
            if source.startswith("."):
                assert (ROOT / source).is_file(), mount
            else:
                assert source in merged["volumes"], mount


def test_the_secrets_script_makes_good_keys_once_in_a_closed_directory(tmp_path: Path) -> None:
    place = shutil.copy(ROOT / "deploy" / "make-secrets", tmp_path / "make-secrets")
    shown = subprocess.run(["sh", place], capture_output=True, text=True, check=True, umask=0o077).stdout
    secrets = tmp_path / "secrets"
    made = {file.name: file.read_text().strip() for file in secrets.iterdir()}
    assert set(made) == set(compose()["secrets"])
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets.iterdir()} == {0o644}, "read by the container's user"
    Fernet(made["credential_keys"])
    assert len(made["secret_key"]) >= 50
    assert re.fullmatch(r"[a-z2-9]{16}", made["admin_password"])
    assert not any(value in shown for value in made.values()), "a secret was printed"
    subprocess.run(["sh", place], capture_output=True, check=True)
    assert {file.name: file.read_text().strip() for file in secrets.iterdir()} == made


@contextmanager
def running(directory: Path, variables: dict[str, str]) -> Iterator[str]:
    """Distribution 3.1 with the mounted configuration; directory and port are this test's. Yields host:port."""
    program = registries.binary("3.1")
    if program is None:
        pytest.skip(registries.missing("3.1"))
    settings = yaml.safe_load((ROOT / "deploy" / "registry.yml").read_text())
    assert settings["storage"]["filesystem"]["rootdirectory"] == "/var/lib/registry"
    assert settings["http"]["addr"] == ":5000"
    address = f"127.0.0.1:{registries.free_port()}"
    settings["storage"]["filesystem"]["rootdirectory"] = str(directory / "registry")
    settings["http"]["addr"] = address
    configuration = directory / "registry.yml"
    configuration.write_text(yaml.safe_dump(settings))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "OTEL_"))}
    with (directory / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "serve", configuration], env={**kept, **variables}, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        end = time.monotonic() + 15
        while not answers(address):
            assert process.poll() is None, (directory / "registry.log").read_text()[-2000:]
            assert time.monotonic() < end, "the registry does not answer"
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=10)


def answers(address: str) -> bool:
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def status(method: str, url: str, authority: Path | None = None, user: str = "") -> int:
    """The status that a registry answers with."""
    context = ssl.create_default_context(cafile=str(authority)) if authority else None
    headers = {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"} if user else {}
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def test_the_mounted_configuration_runs_a_registry_that_deletes_and_keeps_no_cache(tmp_path: Path) -> None:
    assert "cache" not in yaml.safe_load((ROOT / "deploy" / "registry.yml").read_text())["storage"]
    with running(tmp_path, compose()["services"]["registry"]["environment"]) as address:
        assert status("GET", f"http://{address}/") == 200, "what the health check asks"
        unused = f"http://{address}/v2/probe/manifests/sha256:{'0' * 64}"
        assert status("DELETE", unused) == 404, "405 would mean that deletion is off"


def test_htpasswd_and_tls_are_switched_on_by_the_variables_of_their_files(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    places = {
        "/etc/distribution/htpasswd": str(write_htpasswd(tmp_path / "htpasswd", strata="secret")),
        "/etc/distribution/registry.pem": str(certificates.certificate),
        "/etc/distribution/registry.key": str(certificates.key),
    }
    registry = compose(*OVERRIDES)["services"]["registry"]
    mounted = {mount.split(":")[1] for mount in registry["volumes"]}
    assert set(places) <= mounted
    variables = {name: places.get(value, value) for name, value in registry["environment"].items()}
    with running(tmp_path, variables) as address:
        url = f"https://{address}"
        assert status("GET", f"{url}/", certificates.authority) == 200, "the health check needs no name"
        assert status("GET", f"{url}/v2/", certificates.authority) == 401
        assert status("GET", f"{url}/v2/", certificates.authority, "strata:wrong") == 401
        assert status("GET", f"{url}/v2/", certificates.authority, "strata:secret") == 200


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here: apt install openssl")
def test_the_certificate_steps_in_the_tls_file_make_a_certificate_that_clients_accept(tmp_path: Path) -> None:
    text = re.sub(r"^# ?", "", (ROOT / "deploy" / "tls.yml").read_text(), flags=re.MULTILINE)
    steps = re.search(r"^ +cd deploy/secrets\n(.*?); cd \.\./\.\.$", text, re.MULTILINE | re.DOTALL)
    assert steps
    subprocess.run(["sh", "-euc", steps[1]], cwd=tmp_path, check=True, capture_output=True)
    for host in ("registry", "registry.example.com", "localhost"):
        verify = ["openssl", "verify", "-CAfile", "ca.pem", "-verify_hostname", host, "registry.pem"]
        assert "OK" in subprocess.run(verify, cwd=tmp_path, check=True, capture_output=True, text=True).stdout


# --- The image


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
