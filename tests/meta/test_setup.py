"""Set-up works the first time, says in a sentence what is missing, and `make run` leaves nothing behind."""

from __future__ import annotations

import base64
import http.cookiejar
import os
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import yaml

from tests.support.registries import free_port
from tools import debian, demo_registry, environment, keys, packages, run
from tools.common import ROOT, SetupProblem
from tools.supervisor import Supervisor

# --- Keys and passwords


def test_keys_are_made_once_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    made = keys.keep(tmp_path / "secrets", "admin_password", keys.password)
    first = made.read_text()
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700
    assert keys.keep(tmp_path / "secrets", "admin_password", keys.password).read_text() == first


def test_a_key_file_that_was_opened_to_others_is_closed_again(tmp_path: Path) -> None:
    made = keys.keep(tmp_path / "secrets", "secret_key", keys.long_key)
    made.chmod(0o644)
    keys.keep(tmp_path / "secrets", "secret_key", keys.long_key)
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_keys_have_the_strength_that_they_are_used_for() -> None:
    assert len(base64.urlsafe_b64decode(keys.encryption_key())) == 32
    assert len(keys.long_key()) >= 50
    assert re.fullmatch(r"[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}", keys.password())
    assert len({keys.password() for _ in range(50)}) == 50


# --- The demo registry


def test_the_demo_registry_deletes_keeps_no_cache_and_listens_on_loopback_alone(tmp_path: Path) -> None:
    demo = demo_registry.prepare(tmp_path / 'a "directory"')
    settings = yaml.safe_load(demo.configuration.read_text())
    assert settings["storage"]["delete"]["enabled"] is True
    assert settings["storage"]["filesystem"]["rootdirectory"] == str(demo.storage)
    assert "cache" not in settings["storage"]
    assert settings["storage"]["maintenance"]["uploadpurging"]["enabled"] is False
    assert settings["http"]["addr"] == f"127.0.0.1:{demo.port}"
    assert stat.S_IMODE(demo.configuration.stat().st_mode) == 0o600


def test_the_demo_registry_keeps_its_port_and_leaves_a_taken_one(tmp_path: Path) -> None:
    (tmp_path / "port").write_text(str(free_port()))
    first = demo_registry.prepare(tmp_path)
    assert demo_registry.prepare(tmp_path).port == first.port
    with closing(socket.socket()) as somebody:
        somebody.bind(("127.0.0.1", first.port))
        somebody.listen()
        second = demo_registry.prepare(tmp_path)
    assert second.port != first.port
    assert demo_registry.prepare(tmp_path).port == second.port, "the new one is kept"


def test_one_start_waits_for_the_port_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    began = threading.Event()

    def second() -> None:
        with demo_registry.one_at_a_time():
            began.set()

    with demo_registry.one_at_a_time():
        other = threading.Thread(target=second)
        other.start()
        assert not began.wait(0.2)
    assert began.wait(10)
    other.join()


# --- Finding programs


def script(place: Path, text: str) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)
    return place


def test_a_registry_on_the_path_is_taken_only_if_it_is_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "BIN", tmp_path / "bin")
    script(tmp_path / "bin" / "registry-2.8", "exit 0")
    other = script(tmp_path / "path" / "registry", "echo 'npm registry switcher 1.0'")
    monkeypatch.setenv("PATH", f"{other.parent}:/usr/bin:/bin")
    assert packages.registry_for_demo() == tmp_path / "bin" / "registry-2.8"
    script(other, "echo 'registry github.com/distribution/distribution/v3 v3.1.1'")
    assert packages.registry_for_demo() == other


def test_without_any_registry_one_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "BIN", tmp_path / "bin")
    monkeypatch.setattr(debian, "is_debian", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupProblem, match=r"DASHBOARD_REGISTRY_URL=http://"):
        packages.registry_for_demo()
    script(tmp_path / "bin" / "registry-3.1", "exit 0")
    assert packages.registry_for_demo() == tmp_path / "bin" / "registry-3.1"


def test_what_the_tests_cannot_have_is_named_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "BIN", tmp_path / "bin")
    monkeypatch.setattr(debian, "is_debian", lambda: False)
    monkeypatch.setattr(packages, "postgresql", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = packages.for_tests()
    assert [sentence.split(":")[0] for sentence in missing] == [
        "registry-2.8",
        "registry-3.1",
        "skopeo",
        "chromium",
        "htpasswd",
        "postgresql",
    ]
    assert "https://go.dev/dl/" in missing[1]


def test_an_unpacked_program_finds_its_libraries_and_gets_its_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "BIN", tmp_path / "bin")
    root = tmp_path / "tool"
    script(root / "usr/bin/tool", 'echo "$LD_LIBRARY_PATH|$FONTCONFIG_FILE|$*"')
    script(root / "usr/lib/x86_64-linux-gnu/libtool.so.1", "")
    debian.wrap("tool", root, "usr/bin/tool", "--policy", "here")
    shown = subprocess.run([tmp_path / "bin/tool", "copy", "a b"], capture_output=True, text=True, check=True).stdout
    libraries, fonts, arguments = shown.strip().split("|")
    assert f"{root}/usr/lib/x86_64-linux-gnu" in libraries.split(":")
    assert Path(fonts).read_text().startswith("<fontconfig>")
    assert arguments == "--policy here copy a b"


def test_installing_as_root_forbids_services_and_puts_the_policy_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy-rc.d"
    seen = tmp_path / "seen"
    apt = script(
        tmp_path / "path" / "apt-get", f'cat "{policy}" > "{seen}"; [ -x "{policy}" ] && echo "$@" >> "{seen}"'
    )
    monkeypatch.setenv("PATH", f"{apt.parent}:/usr/bin:/bin")
    monkeypatch.setattr(debian, "LOGS", tmp_path)
    monkeypatch.setattr(debian.NoServices, "POLICY", policy)
    monkeypatch.setattr(debian.NoServices, "KEPT", tmp_path / "kept")
    debian.install("skopeo")
    assert "exit 101" in seen.read_text()
    assert "install" in seen.read_text()
    assert not policy.exists()
    policy.write_text("what the administrator wrote")
    debian.install("skopeo")
    assert policy.read_text() == "what the administrator wrote"


# --- The virtual environment


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`tools.environment` working in a directory of its own."""
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "LOGS", tmp_path / "log")
    monkeypatch.setattr(environment, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(environment, "PYTHON", tmp_path / ".venv/bin/python")
    for name in environment.REQUIREMENTS["development"]:
        (tmp_path / name).write_text("")
    return tmp_path


def test_a_python_without_ensurepip_is_answered_with_the_package_to_install(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert environment.main(["run"]) == 1
    assert "apt install python3-venv" in capsys.readouterr().err
    assert not (elsewhere / ".venv").exists()


def test_packages_are_installed_with_hashes_and_again_only_when_a_lock_file_changes(elsewhere: Path) -> None:
    calls = elsewhere / "calls"
    script(elsewhere / ".venv/bin/python", f'echo "$@" >> "{calls}"')
    script(elsewhere / ".venv/bin/pip", f"# {elsewhere}/.venv")
    assert environment.main(["development"]) == 0
    assert environment.main(["development"]) == 0
    assert environment.main(["run"]) == 0, "what development installed includes what run needs"
    [installed] = calls.read_text().splitlines()
    assert "--require-hashes" in installed
    assert "requirements.txt" in installed
    assert "requirements-postgresql.txt" in installed
    assert "requirements-s3.txt" in installed
    assert "requirements-oidc.txt" in installed
    assert "requirements-dev.txt" in installed
    (elsewhere / "requirements-dev.txt").write_text("new==1\n")
    assert environment.main(["run"]) == 0
    assert len(calls.read_text().splitlines()) == 1, "run does not ask for the tools of development"
    assert environment.main(["development"]) == 0
    assert len(calls.read_text().splitlines()) == 2


def test_a_failing_pip_is_said_in_a_sentence_and_tried_again_next_time(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "ROOT", elsewhere)
    script(elsewhere / ".venv/bin/pip", f"# {elsewhere}/.venv")
    script(elsewhere / ".venv/bin/python", "echo 'ERROR: No matching distribution found for django'; exit 1")
    assert environment.main(["run"]) == 1
    said = capsys.readouterr().err
    assert "No matching distribution found for django" in said
    assert "PIP_INDEX_URL" in said
    assert "Traceback" not in said
    script(elsewhere / ".venv/bin/python", "exit 0")
    assert environment.main(["run"]) == 0


# --- The supervisor


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(logs=tmp_path / "log", directory=tmp_path)
    yield made
    made.end()


def wait_for(is_so: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_that_dies_is_named_with_its_last_words(supervisor: Supervisor) -> None:
    supervisor.start("demo registry", ["/bin/sh", "-c", "echo address already in use; exit 3"], os.environ)
    with pytest.raises(SetupProblem, match=r"The demo registry ended with exit code 3(.|\n)*address already in use"):
        supervisor.wait_until(lambda: False, seconds=10, otherwise="nobody noticed")


def test_a_command_that_fails_stops_the_start_with_its_last_words(supervisor: Supervisor) -> None:
    with pytest.raises(SetupProblem, match=r"The bootstrap ended with exit code 1(.|\n)*SECRET_KEY is missing"):
        supervisor.run("bootstrap", ["/bin/sh", "-c", "echo SECRET_KEY is missing; exit 1"], os.environ)


def test_waiting_has_an_end_that_says_why(supervisor: Supervisor) -> None:
    with pytest.raises(SetupProblem, match="does not answer"):
        supervisor.wait_until(lambda: False, seconds=0.1, otherwise="it does not answer")


def test_the_end_reaches_children_that_ignore_it_and_their_children(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.supervisor.PATIENCE", 0.3)
    pids = tmp_path / "pids"
    deaf = f'trap "" TERM; sleep 60 & echo $! $$ > {pids}.new; mv {pids}.new {pids}; while :; do sleep 0.2; done'
    supervisor.start("deaf", ["/bin/sh", "-c", deaf], os.environ)
    wait_for(pids.exists)
    family = [int(pid) for pid in pids.read_text().split()]
    assert all(is_alive(pid) for pid in family)
    supervisor.end()
    wait_for(lambda: not any(is_alive(pid) for pid in family))


# --- make run


def test_a_taken_port_is_said_in_one_sentence_with_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(socket.socket()) as somebody, handlers_kept():
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        port = somebody.getsockname()[1]
        assert run.main({"PORT": str(port), "DASHBOARD_STATE_DIR": str(tmp_path)}) == 2
    assert capsys.readouterr().err.strip().startswith(f"Port {port} is taken; choose another: make run PORT=")


@pytest.mark.parametrize("port", ["0", "65536", "eighty", "-1", "٨٠٠٠"])
def test_a_port_that_is_none_is_refused(port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with handlers_kept():
        assert run.main({"PORT": port, "DASHBOARD_STATE_DIR": str(tmp_path)}) == 1
    assert "PORT must be a number from 1 to 65535" in capsys.readouterr().err


def test_what_somebody_set_is_left_alone(tmp_path: Path) -> None:
    given = {"SECRET_KEY": "theirs", "DJANGO_SUPERUSER_PASSWORD_FILE": "/theirs", "ALLOWED_HOSTS": "theirs.example"}
    started = run.Run(tmp_path, 8000, given, dict(given))
    run.configure(started)
    assert started.environment["SECRET_KEY"] == "theirs"
    assert "SECRET_KEY_FILE" not in started.environment
    assert started.environment["DJANGO_SUPERUSER_PASSWORD_FILE"] == "/theirs"
    assert started.environment["ALLOWED_HOSTS"] == "theirs.example"
    assert started.environment["DEBUG"] == "false"
    assert "(the one you set)" in run._welcome(
        run.Run(tmp_path, 8000, {"DASHBOARD_REGISTRY_URL": "http://r"}, started.environment), None
    )


@contextmanager
def handlers_kept() -> Iterator[None]:
    """`run.main` listens to signals; the tests' own handlers come back after it."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


class Started:
    """A real `make run` (its second line) with a state directory and ports of its own."""

    def __init__(self, state: Path, port: int) -> None:
        self.state, self.port = state, port
        self.output = state / "output"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DASHBOARD_", "DJANGO_"))}
        for name in ("SECRET_KEY", "DATABASE_URL", "DEBUG", "ALLOWED_HOSTS"):
            kept.pop(name, None)
        self.began = time.monotonic()
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tools.run"],
                cwd=ROOT,
                env={**kept, "PORT": str(port), "DASHBOARD_STATE_DIR": str(state)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait(self, seconds: float) -> float:
        """Wait until it says that it is ready; returns the seconds that it took."""
        while "Ctrl-C ends all of it" not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() - self.began < seconds, self.text()
            time.sleep(0.05)
        return time.monotonic() - self.began

    def text(self) -> str:
        return self.output.read_text()

    def password(self, name: str) -> str:
        found = re.search(rf"^ +{name} +(\S+)", self.text(), re.MULTILINE)
        assert found, self.text()
        return found[1]

    def children(self) -> list[int]:
        """Every process below the supervisor."""
        everybody = {}
        for directory in Path("/proc").iterdir():
            if directory.name.isdigit():
                try:
                    fields = (directory / "stat").read_text().rpartition(")")[2].split()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                everybody[int(directory.name)] = int(fields[1])
        found = [self.process.pid]
        for pid in found:
            found += [child for child, parent in everybody.items() if parent == pid]
        return found[1:]

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


def sign_in(port: int, name: str, password: str) -> str:
    """The page that somebody sees after signing in, fetched as a browser would."""
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    browser = urllib.request.build_opener(cookies, urllib.request.ProxyHandler({}))
    address = f"http://127.0.0.1:{port}/"
    with browser.open(address, timeout=20) as page:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.read().decode())
        where = page.url
    assert token, "no sign-in form"
    form = {"username": name, "password": password, "csrfmiddlewaretoken": token[1]}
    sent = urllib.request.Request(where, urllib.parse.urlencode(form).encode(), {"Referer": where})
    with browser.open(sent, timeout=20) as page:
        return str(page.read().decode())


def test_make_run_serves_a_demo_that_people_can_sign_in_to_and_leaves_nothing_behind(tmp_path: Path) -> None:
    try:
        packages.registry_for_demo()
    except SetupProblem as problem:
        pytest.skip(str(problem))
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "port").write_text(str(free_port()))

    first = Started(tmp_path, free_port())
    try:
        first.wait(180)
        family = first.children()
        passwords = {name: first.password(name) for name in ("admin", "maria", "jonas")}
        for name, password in passwords.items():
            page = sign_in(first.port, name, password)
            assert "infra/ci/nightly" in page, f"{name} sees no repositories"
            assert "team/app/worker" in page
        again = subprocess.run(
            [sys.executable, "-m", "tools.run"],
            cwd=ROOT,
            env={**os.environ, "PORT": str(free_port()), "DASHBOARD_STATE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert again.returncode == 1
        assert "already runs here" in again.stderr
    finally:
        assert first.end() == 0
    assert len(family) >= 4, "registry, dashboard, worker and their processes"
    wait_for(lambda: not any(is_alive(pid) for pid in family))
    assert demo_registry.is_free(first.port)

    with closing(sqlite3.connect(f"file:{tmp_path / 'strata.sqlite3'}?mode=ro", uri=True)) as database:
        may_delete = database.execute(
            "SELECT u.username, r.role FROM dashboard_user u JOIN dashboard_accessrule r ON r.user_id = u.id"
        ).fetchall()
    assert may_delete == [("maria", 3)]

    second = Started(tmp_path, first.port)
    try:
        second.wait(60)
        assert "Filling" not in second.text(), "the demo is filled once"
        assert {name: second.password(name) for name in passwords} == passwords
        family = second.children()
    finally:
        assert second.end(signal.SIGTERM) == 0
    wait_for(lambda: not any(is_alive(pid) for pid in family))


def test_make_without_arguments_lists_the_commands() -> None:
    if shutil.which("make") is None:
        pytest.skip("no make here: apt install make")
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for command in ("run", "test", "lint", "lock", "bench"):
        assert re.search(rf"^ +make {command} +\w", shown, re.MULTILINE), f"{command} is not explained"
