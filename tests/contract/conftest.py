"""The registries under contract: real ones where their programs are, and the fake in both versions.

Each kind and mode is started once per test process, when the first test wants it; every test uses names of its own.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dashboard.registry.client import Credential, RegistryClient, RegistrySession
from dashboard.registry.references import RepositoryName, parse_repository
from tests.fake_registry import FakeRegistry
from tests.support.htpasswd import write_htpasswd
from tests.support.registries import Kind, RunningRegistry, binary, missing, start_registry
from tests.support.tls import Certificates, make_certificates
from tests.support.token_server import TokenServer, TokenUser

SUBJECTS = ("2.8", "3.1", "fake-2.8", "fake-3.1")

ADMIN = Credential("admin", "admin's password")
READER = Credential("reader", "reader's password")
STRANGER = Credential("admin", "not the password")

ALL = frozenset({"pull", "push", "delete", "*"})
RIGHTS = {
    "admin": TokenUser(ADMIN.password, {"repository:*": ALL, "registry:catalog": ALL}),
    "reader": TokenUser(READER.password, {"repository:contract*": frozenset({"pull"})}),
}


@dataclass
class Subject:
    """A registry under test. `version` is "2.8" or "3.1", real or not."""

    version: str
    client: RegistryClient
    running: RunningRegistry | None = None
    fake: FakeRegistry | None = None
    certificates: Certificates | None = None
    token_server: TokenServer | None = None
    default: Credential | None = None
    names: Iterator[int] = field(default_factory=itertools.count)

    def session(self, credential: Credential | None = None, *, budget: float | None = 30.0) -> RegistrySession:
        """As this person; by default as whoever may do everything."""
        return self.client.session(credential or self.default, budget=budget)

    def nobody(self) -> RegistrySession:
        """Without a credential."""
        return self.client.session(None, budget=30.0)

    def repository(self, prefix: str = "contract") -> RepositoryName:
        """A name that no other test uses."""
        return parse_repository(f"{prefix}/r{next(self.names)}-{os.getpid()}")


Start = Callable[[str, str], Subject]


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts, or hands out again, the registry of a kind and a mode."""
    started: dict[tuple[str, str], Subject] = {}
    with ExitStack() as stack:

        def get(kind: str, mode: str) -> Subject:
            if (kind, mode) not in started:
                directory = tmp_path_factory.mktemp(f"{kind}-{mode}")
                started[kind, mode] = _start(kind, mode, directory, stack)
            return started[kind, mode]

        yield get


def _start(kind: str, mode: str, directory: Path, stack: ExitStack) -> Subject:
    if kind.startswith("fake-"):
        return _start_fake(kind.removeprefix("fake-"), mode, stack)
    assert kind in ("2.8", "3.1")
    real: Kind = "2.8" if kind == "2.8" else "3.1"
    if binary(real) is None:
        pytest.skip(missing(real))
    certificates = None
    if mode.startswith("tls"):
        hosts = ("registry.other.test",) if mode == "tls-other-name" else ()
        certificates = make_certificates(directory / "tls", *hosts)
    htpasswd = None
    if mode == "htpasswd":
        htpasswd = write_htpasswd(directory / "htpasswd", admin=ADMIN.password, reader=READER.password)
    server = stack.enter_context(TokenServer(directory / "token", RIGHTS)) if mode == "token" else None
    running = start_registry(
        real,
        directory,
        delete=mode != "no-delete",
        readonly=mode == "readonly",
        htpasswd=htpasswd,
        tls=certificates,
        token=server.auth if server else None,
        cache=mode == "cached",
    )
    stack.callback(running.stop)
    client = RegistryClient(running.url, ca_file=str(certificates.authority) if certificates else None)
    stack.callback(client.close)
    default = ADMIN if mode in ("htpasswd", "token") else None
    return Subject(kind, client, running=running, certificates=certificates, token_server=server, default=default)


def _start_fake(version: str, mode: str, stack: ExitStack) -> Subject:
    fake = stack.enter_context(
        FakeRegistry(
            version,
            delete=mode != "no-delete",
            readonly=mode == "readonly",
            basic={"admin": ADMIN.password, "reader": READER.password} if mode == "htpasswd" else None,
            token_users=RIGHTS if mode == "token" else None,
        )
    )
    client = fake.client()
    stack.callback(client.close)
    default = ADMIN if mode in ("htpasswd", "token") else None
    return Subject(version, client, fake=fake, default=default)


@pytest.fixture(params=SUBJECTS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which registry."""
    name: str = request.param
    return name


@pytest.fixture(params=["2.8", "3.1"])
def real_kind(request: pytest.FixtureRequest) -> str:
    """Which of the real registries."""
    name: str = request.param
    return name


@pytest.fixture
def registry(start: Start, kind: str) -> Subject:
    """An open registry: no authentication, deletion enabled."""
    return start(kind, "open")


@pytest.fixture
def session(registry: Subject) -> RegistrySession:
    """The open registry as nobody."""
    return registry.session()


@pytest.fixture
def repository(registry: Subject) -> RepositoryName:
    """A repository name of this test's own."""
    return registry.repository()
