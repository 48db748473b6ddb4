"""What all tests share: people, a registry behind the fake, no network but loopback, and a count of what ran."""

from __future__ import annotations

import fcntl
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from whitenoise.base import WhiteNoise

from dashboard.models import AccessRule, Registry, Role, User
from dashboard.services import access, connections, request_tally, status
from dashboard.services.index import tag_names
from dashboard.services.static_files import collect_if_changed
from tests.environment import STATE
from tests.fake_registry import FakeRegistry
from tests.support.people import let

PASSWORD = "a password that is long enough"
ANY_DATABASE = (
    "access_matrix", "blob", "canary", "confirm", "delete_faults", "every_page", "group_credentials", "health",
    "hostile", "image", "image_around", "image_configuration", "image_index", "image_kinds", "image_layers", "oidc",
    "own_credentials", "point", "problems", "proxy_sign_in", "registry_sign_in", "registry_users", "registry_welcome",
    "settings_registries", "sign_in", "status", "storage_bucket", "token_registry", "uploads",
)  # fmt: skip
"""Modules of tests/views about pages whose queries are plain: once is enough for them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks for `-m`: contract and browser tests, which speak to real programs, and what a database may decide.

    And for `--dist loadgroup`: a module stays in one process, all browser tests in one too, which share their demo.
    Those begin first, as they take longest.
    """
    plain = tuple(f"tests/views/test_{name}.py::" for name in ANY_DATABASE)
    for item in items:
        uses_database = "db" in getattr(item, "fixturenames", ()) or item.get_closest_marker("django_db")
        if uses_database and not item.nodeid.startswith(plain):
            item.add_marker(pytest.mark.database)
        kind = item.nodeid.split("/")[1]
        if kind in {"contract", "e2e"}:
            item.add_marker(getattr(pytest.mark, kind))
        item.add_marker(pytest.mark.xdist_group("e2e" if kind == "e2e" else item.nodeid.partition("::")[0]))
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests of each kind ran, and against which registries."""
    counts: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            if outcome != "skipped" and report.when != "call":
                continue
            kind = report.nodeid.split("/")[1] if "/" in report.nodeid else "other"
            subject = next((s for s in ("fake-2.8", "fake-3.1", "2.8", "3.1") if f"[{s}" in report.nodeid), "")
            name = f"{kind} {subject}".strip() if kind == "contract" else kind
            name += " on PostgreSQL" if connection.vendor == "postgresql" else ""
            (skipped if outcome == "skipped" else counts)[name] += 1
    terminalreporter.section("tests of each kind")
    for name in sorted(counts | skipped):
        note = f" ({skipped[name]} skipped)" if skipped[name] else ""
        terminalreporter.write_line(f"{name:22} {counts[name]:5}{note}")


@pytest.fixture(scope="session", autouse=True)
def static_files() -> Iterator[None]:
    """The static files as they are served: joined, hashed, compressed; one process at a time collects them.

    Each test client begins as a server does and would read all of them: a process of the tests does it once.
    """
    with (STATE / "static.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        collect_if_changed()
    read = WhiteNoise.update_files_dictionary
    known: dict[tuple[str, str], dict[str, Any]] = {}

    def read_once(self: WhiteNoise, root: str, prefix: str) -> None:
        if (root, prefix) not in known:
            read(self, root, prefix)
            known[root, prefix] = dict(self.files)
        self.files.update(known[root, prefix])

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(WhiteNoise, "update_files_dictionary", read_once)
        yield


@pytest.fixture(autouse=True)
def forgetful(settings: Settings) -> Iterator[None]:
    """Nothing that a process remembers of a registry outlives a test; passwords are hashed quickly."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    for remembered in (access, status, tag_names, request_tally):
        remembered.forget()
    yield
    for remembered in (access, status, tag_names, request_tally):
        remembered.forget()


@pytest.fixture(params=["2.8", "3.1"])
def version(request: pytest.FixtureRequest) -> str:
    """The version that the fake registry plays; override it to play one alone."""
    return str(request.param)


@pytest.fixture
def fake(version: str) -> Iterator[FakeRegistry]:
    """A fake registry behind every client of the test."""
    with (
        FakeRegistry(version) as registry,
        connections.clients_made_by(lambda row: registry.client(name=row.public_host)),
    ):
        yield registry


@pytest.fixture
def everybody_reads(db: None) -> AccessRule:
    """The rule that a new installation begins with."""
    same = {"who": AccessRule.Who.EVERYBODY, "registry": None, "pattern": "**", "role": Role.READER}
    return AccessRule.objects.get_or_create(**same, defaults={"created_at": timezone.now()})[0]


@pytest.fixture
def registry(everybody_reads: AccessRule, fake: FakeRegistry) -> Registry:
    """The registry's row; people act with the default credential, which is none; who signs in may read."""
    return Registry.objects.create(
        slug="default", url=fake.url, public_host="registry.test:5000", from_environment=True
    )


@pytest.fixture
def maria(db: None) -> User:
    """May delete."""
    user = User.objects.create_user("maria", password=PASSWORD)
    let(user, Role.MAINTAINER)
    return user


@pytest.fixture
def jonas(db: None) -> User:
    """Only looks."""
    return User.objects.create_user("jonas", password=PASSWORD)


@pytest.fixture
def admin(db: None) -> User:
    """The administrator."""
    return User.objects.create_superuser("admin", password=PASSWORD)


@pytest.fixture
def as_maria(maria: User) -> Client:
    """A browser that maria signed in with."""
    client = Client()
    client.force_login(maria)
    return client


@pytest.fixture
def as_admin(admin: User) -> Client:
    """A browser that the administrator signed in with."""
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
def as_jonas(jonas: User) -> Client:
    """A browser that jonas signed in with."""
    client = Client()
    client.force_login(jonas)
    return client
