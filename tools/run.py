"""`make run`: a registry with demo images (unless one is named), the dashboard and its worker, until Ctrl-C.

Nothing here needs configuration; every variable of docs/configuration.md that is set is respected. State lies under
`var/` (or DASHBOARD_STATE_DIR). Exit code 2: the port is taken.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import demo_registry, keys, packages
from .common import ROOT, SetupProblem, fail, say
from .supervisor import Stopped, Supervisor

HOST = "127.0.0.1"
PYTHON = sys.executable
MANAGE = (PYTHON, str(ROOT / "manage.py"))
PEOPLE = {"maria": "looks, and deletes images", "jonas": "looks"}


class PortTaken(SetupProblem):
    """The dashboard's port is in use."""


@dataclass(frozen=True, slots=True)
class Run:
    """One start: where it keeps its state, what it was told, and what its children are told."""

    state: Path
    port: int
    given: Mapping[str, str]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def secrets(self) -> Path:
        return self.state / "secrets"

    def default(self, name: str, value: object) -> None:
        """Set a variable for the children unless somebody set it."""
        self.environment.setdefault(name, str(value))

    def secret(self, name: str, file: Path) -> None:
        """Name the file of a secret to the children unless somebody gave that secret."""
        if not self.environment.get(name) and not self.environment.get(f"{name}_FILE"):
            self.environment.pop(name, None)
            self.environment[f"{name}_FILE"] = str(file)

    def read(self, name: str) -> str:
        """A secret as the children are told it. Raises SetupProblem if its file cannot be read."""
        file = self.environment.get(f"{name}_FILE")
        try:
            return Path(file).read_text().strip() if file else self.environment[name].strip()
        except (OSError, UnicodeDecodeError):
            raise SetupProblem(f"{name}_FILE names {file}, which cannot be read.") from None


def main(given: Mapping[str, str]) -> int:
    """Serve until somebody ends it; returns the exit code."""
    state = state_of(given)
    supervisor = Supervisor(logs=state / "log", directory=ROOT)
    supervisor.listen()
    try:
        run = Run(state, _port(given), given, {"PYTHONUNBUFFERED": "1", **given})
        with _alone(state):
            _serve(run, supervisor)
    except Stopped:
        say("\nStopping …")
    except PortTaken as problem:
        return fail(problem, 2)
    except SetupProblem as problem:
        return fail(problem)
    finally:
        supervisor.end()
    return 0


def of_last_start(given: Mapping[str, str]) -> Run:
    """What the last start told its children: for a command beside it, or after it. Raises SetupProblem."""
    state = state_of(given)
    run = Run(state, int(given.get("PORT") or 8000), given, dict(given))
    configure(run)
    if not run.given.get("DASHBOARD_REGISTRY_URL"):
        demo = demo_registry.of_last_start(state / "demo")
        if demo is None:
            raise SetupProblem("Nothing was started here yet: `make run` first, or name a registry.")
        point_at(run, demo)
    return run


def state_of(given: Mapping[str, str]) -> Path:
    """Where a start keeps its state."""
    return Path(given.get("DASHBOARD_STATE_DIR") or ROOT / "var").resolve()


def _serve(run: Run, supervisor: Supervisor) -> None:
    configure(run)
    demo = _start_demo_registry(run, supervisor) if not run.given.get("DASHBOARD_REGISTRY_URL") else None
    supervisor.run("bootstrap", [*MANAGE, "bootstrap"], run.environment)
    if demo:
        _fill(run, supervisor, demo)
    gunicorn = ["gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "--bind", f"{HOST}:{run.port}", "registryui.wsgi"]
    supervisor.start("dashboard", [PYTHON, "-m", *gunicorn], run.environment)
    supervisor.wait_until(
        lambda: _answers(run.port, "/healthz"),
        seconds=60,
        otherwise=f"The dashboard does not answer on port {run.port}; see {run.state / 'log' / 'dashboard.log'}.",
    )
    supervisor.start("worker", [*MANAGE, "worker"], run.environment)  # only now: somebody waits for the first page
    say(_welcome(run, demo))
    supervisor.wait_until(lambda: False)


def configure(run: Run) -> None:
    """What the dashboard's processes are told, where nobody said otherwise."""
    run.default("DASHBOARD_STATE_DIR", run.state)
    run.default("DEBUG", "false")
    run.default("ALLOWED_HOSTS", f"{HOST},localhost")
    run.default("DASHBOARD_BASE_URL", f"http://{HOST}:{run.port}")
    run.secret("SECRET_KEY", keys.keep(run.secrets, "secret_key", keys.long_key))
    run.secret("DASHBOARD_CREDENTIAL_KEYS", keys.keep(run.secrets, "credential_keys", keys.encryption_key))
    run.default("DJANGO_SUPERUSER_USERNAME", "admin")
    run.secret("DJANGO_SUPERUSER_PASSWORD", keys.keep(run.secrets, "admin_password", keys.password))
    run.secret("DASHBOARD_EVENTS_TOKEN", keys.keep(run.secrets, "events_token", keys.long_key))


def _start_demo_registry(run: Run, supervisor: Supervisor) -> demo_registry.DemoRegistry:
    program = packages.registry_for_demo()
    slug = run.environment.get("DASHBOARD_REGISTRY_SLUG") or "default"
    receiver = demo_registry.Receiver(f"http://{HOST}:{run.port}/events/{slug}/", run.read("DASHBOARD_EVENTS_TOKEN"))
    # Distribution takes every REGISTRY_ variable as an override of its configuration.
    environment = {name: value for name, value in run.given.items() if not name.startswith("REGISTRY_")}
    environment["OTEL_TRACES_EXPORTER"] = "none"
    log = run.state / "log" / "demo-registry.log"
    with demo_registry.one_at_a_time():
        demo = demo_registry.prepare(run.state / "demo", receiver)
        gate = [str(demo_registry.DEPLOY / "registry-gate"), str(demo.gate), str(program), str(demo.configuration)]
        supervisor.start("demo registry", gate, environment)
        supervisor.wait_until(
            lambda: _answers(demo.port, "/v2/"),
            seconds=20,
            otherwise=f"The demo registry does not answer at {demo.url}; see {log}.",
        )
    point_at(run, demo)
    return demo


def point_at(run: Run, demo: demo_registry.DemoRegistry) -> None:
    """Tell the children of the demo registry."""
    run.environment["DASHBOARD_REGISTRY_URL"] = demo.url
    run.default("DASHBOARD_REGISTRY_PUBLIC_HOST", demo.address)
    run.default("DASHBOARD_STORAGE_ROOT", demo.storage)
    run.default("DASHBOARD_GC_COMMAND", demo.collects)


def _fill(run: Run, supervisor: Supervisor, demo: demo_registry.DemoRegistry) -> None:
    """Fill the demo registry and make its people, once for each registry directory and each database."""
    filled = demo.directory / "filled"
    if filled.exists() and (demo.storage / "docker").is_dir() and filled.read_text() == _database(run):
        return
    for name in PEOPLE:
        keys.keep(run.secrets, f"{name}_password", keys.password)
    say("Filling the demo registry (once) …")
    # Forced, because an earlier start may have been ended in the middle of it.
    supervisor.run("demo", [*MANAGE, "demo", "--force", "--people", str(run.secrets)], run.environment)
    supervisor.run("index", [*MANAGE, "refresh_index"], run.environment)  # later starts leave it to the worker
    filled.write_text(_database(run))


def _database(run: Run) -> str:
    """Tells one database from another that took its place: people have to be made again in a new one."""
    try:
        made = (run.state / "strata.sqlite3").stat().st_ino
    except OSError:
        made = 0
    return f"{run.environment.get('DATABASE_URL', '')} {made}\n"


def _welcome(run: Run, demo: demo_registry.DemoRegistry | None) -> str:
    """What is printed at every start: address, names, passwords."""
    password_file = run.environment.get("DJANGO_SUPERUSER_PASSWORD_FILE", "")
    is_ours = password_file == str(run.secrets / "admin_password")
    password = Path(password_file).read_text().strip() if is_ours else "(the one you set)"
    rows = [("name", "password", ""), (run.environment["DJANGO_SUPERUSER_USERNAME"], password, "administers")]
    if demo:
        rows += [(name, (run.secrets / f"{name}_password").read_text().strip(), may) for name, may in PEOPLE.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = ["", f"  Strata is ready:  {run.environment['DASHBOARD_BASE_URL']}/", ""]
    lines += [f"    {name:<{widths[0]}}   {secret:<{widths[1]}}   {may}".rstrip() for name, secret, may in rows]
    if demo:
        lines += ["", f"  Registry with demo images:  {demo.url}   (try: skopeo copy --dest-tls-verify=false …)"]
    else:
        lines += ["", f"  Registry:  {run.given['DASHBOARD_REGISTRY_URL']}"]
    return "\n".join([*lines, f"  Logs:  {run.state / 'log'}", "  Ctrl-C ends all of it.", ""])


def _port(given: Mapping[str, str]) -> int:
    text = given.get("PORT") or "8000"
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise SetupProblem(f"PORT must be a number from 1 to 65535, not {text!r}.")
    port = int(text)
    try:
        if demo_registry.is_free(port):
            return port
    except PermissionError:
        raise SetupProblem(f"Port {port} needs root; choose one from 1024 on: make run PORT=8000") from None
    raise PortTaken(f"Port {port} is taken; choose another: make run PORT={port + 1 if port < 65535 else 8000}")


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """One run at a time for each state directory: two would share a database and a registry's storage."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupProblem(f"`make run` already runs here, with its state in {state}; end it first.") from None
        yield


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(os.environ))
