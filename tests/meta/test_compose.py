"""The deployment files fit the program: its variables, its files, and a real registry for the mounted configuration.

No container engine runs here. What can be held against the truth is: the compose files are merged as compose merges
them and compared with the settings; the registry's YAML starts a real registry.
"""

from __future__ import annotations

import base64
import importlib
import os
import re
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
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from cryptography.fernet import Fernet
from django.urls import reverse

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


def interpolated(text: str, **given: str) -> str:
    """As compose fills in `${NAME:-default}`, `${NAME:?what to do}` and `$$`. Raises KeyError for a demanded one."""

    def fill(found: re.Match[str]) -> str:
        name, kind, rest = found["name"], found["kind"], found["rest"]
        if found[0] == "$$":
            return "$"
        if kind == "?" and not given.get(name):
            raise KeyError(f"{name}: {rest}")
        return given.get(name) or (rest if kind == "-" else "")

    return re.sub(r"\$\$|\$\{(?P<name>[A-Z_]+):(?P<kind>[-?])(?P<rest>[^}]*)\}", fill, text)


def registry_settings(**given: str) -> dict[str, Any]:
    """The registry's configuration as compose makes it."""
    [mount] = compose()["services"]["registry"]["configs"]
    assert mount["target"] == "/etc/distribution/config.yml"
    settings = yaml.safe_load(interpolated(compose()["configs"][mount["source"]]["content"], **given))
    assert isinstance(settings, dict)
    return settings


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
                # The registry's configuration is made from the same variable, and cannot be from a file.
                assert variable in {"DATABASE_URL", "DASHBOARD_EVENTS_TOKEN"}, f"{variable} is a secret in plain sight"


def test_services_volumes_and_mounted_files_that_are_named_exist() -> None:
    merged = compose(*OVERRIDES)
    assert set(merged["services"]) == {"registry", *DASHBOARD}
    assert {mount["source"] for mount in merged["services"]["registry"]["configs"]} == set(merged["configs"])
    for service in merged["services"].values():
        for mount in service["volumes"]:
            source = mount.split(":")[0]
            if source.startswith("./deploy/secrets/"):
                continue  # made by the person who switches it on, as the file's first lines say
            if source.startswith("."):
                assert (ROOT / source).is_file(), mount
            else:
                assert source in merged["volumes"], mount


def run_make_secrets(directory: Path) -> str:
    """Runs the script in a checkout of its own; what it printed."""
    place = directory / "deploy"
    place.mkdir(exist_ok=True)
    script = shutil.copy(ROOT / "deploy" / "make-secrets", place / "make-secrets")
    return subprocess.run(["sh", script], capture_output=True, text=True, check=True, umask=0o022).stdout


def test_the_secrets_script_makes_good_keys_once_in_a_closed_directory(tmp_path: Path) -> None:
    shown = run_make_secrets(tmp_path)
    secrets, settings = tmp_path / "deploy" / "secrets", tmp_path / ".env"
    made = {file.name: file.read_text().strip() for file in secrets.iterdir()}
    assert set(made) == set(compose()["secrets"])
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets.iterdir()} == {0o644}, "read by the container's user"
    Fernet(made["credential_keys"])
    assert len(made["secret_key"]) >= 50
    assert re.fullmatch(r"[a-z2-9]{16}", made["admin_password"])
    token = re.fullmatch(r"DASHBOARD_EVENTS_TOKEN=([0-9a-f]{64})\n", settings.read_text())
    assert token
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert not any(value in shown for value in (*made.values(), token[1])), "a secret was printed"
    run_make_secrets(tmp_path)
    assert {file.name: file.read_text().strip() for file in secrets.iterdir()} == made
    assert settings.read_text() == token[0]


@pytest.mark.parametrize(
    "kept", ["TIME_ZONE=UTC", "TIME_ZONE=UTC\n", "# DASHBOARD_EVENTS_TOKEN=\nDASHBOARD_EVENTS_TOKEN=\n"]
)
def test_the_secrets_script_adds_the_token_to_settings_that_are_there(tmp_path: Path, kept: str) -> None:
    (tmp_path / ".env").write_text(kept)
    run_make_secrets(tmp_path)
    lines = (tmp_path / ".env").read_text().splitlines()
    assert lines[:-1] == kept.splitlines()
    assert re.fullmatch(r"DASHBOARD_EVENTS_TOKEN=[0-9a-f]{64}", lines[-1]), "compose takes the last"


def test_the_registry_notifies_the_dashboard_by_the_token_that_it_was_given() -> None:
    [endpoint] = registry_settings(DASHBOARD_EVENTS_TOKEN="t0ken")["notifications"]["endpoints"]
    service, dashboard = urlsplit(endpoint["url"]), compose()["services"]
    assert service.hostname in dashboard
    assert dashboard[service.hostname]["ports"][0].endswith(f":{service.port}")
    assert service.path == reverse("events", args=["default"])
    assert "DASHBOARD_REGISTRY_SLUG" not in dashboard["web"]["environment"]
    assert endpoint["headers"] == {"Authorization": ["Bearer t0ken"]}
    given = dashboard["web"]["environment"]["DASHBOARD_EVENTS_TOKEN"]
    assert interpolated(given, DASHBOARD_EVENTS_TOKEN="t0ken") == "t0ken"
    for text in (given, compose()["configs"]["registry"]["content"]):
        with pytest.raises(KeyError, match="deploy/make-secrets"):
            interpolated(text)


@pytest.mark.parametrize("given", ["", "strata.lan"])
def test_the_dashboard_answers_to_the_name_by_which_the_registry_asks_and_to_its_own(given: str) -> None:
    hosts = interpolated(compose()["services"]["web"]["environment"]["ALLOWED_HOSTS"], ALLOWED_HOSTS=given)
    variables = {"ALLOWED_HOSTS": hosts, "DASHBOARD_BASE_URL": "https://strata.example.com"}
    shown = subprocess.run(
        [sys.executable, "-c", "from registryui import settings; print(*settings.ALLOWED_HOSTS)"],
        cwd=ROOT, env={"PATH": os.environ["PATH"], **variables}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert {"web", "strata.example.com", *([given] if given else [])} <= set(shown.split())


@contextmanager
def running(directory: Path, variables: dict[str, str]) -> Iterator[str]:
    """Distribution 3.1 with the mounted configuration; directory and port are this test's. Yields host:port."""
    program = registries.binary("3.1")
    if program is None:
        pytest.skip(registries.missing("3.1"))
    settings = registry_settings(DASHBOARD_EVENTS_TOKEN="t0ken")
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
    assert "cache" not in registry_settings(DASHBOARD_EVENTS_TOKEN="t0ken")["storage"]
    with running(tmp_path, compose()["services"]["registry"]["environment"]) as address:
        assert status("GET", f"http://{address}/") == 200, "what the health check asks"
        unused = f"http://{address}/v2/probe/manifests/sha256:{'0' * 64}"
        assert status("DELETE", unused) == 404, "405 would mean that deletion is off"


def test_htpasswd_and_tls_are_switched_on_by_the_variables_of_their_files(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    places = {
        "/etc/distribution/users/htpasswd": str(write_htpasswd(tmp_path / "htpasswd", strata="secret")),
        "/etc/distribution/registry.pem": str(certificates.certificate),
        "/etc/distribution/registry.key": str(certificates.key),
    }
    registry = compose(*OVERRIDES)["services"]["registry"]
    mounted = {mount.split(":")[1] for mount in registry["volumes"]}
    assert all(mounted & {place, str(Path(place).parent)} for place in places)
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
