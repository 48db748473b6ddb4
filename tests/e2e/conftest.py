"""The dashboard as `make run` serves it, over a real registry, and a browser that clicks on it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from dashboard.registry.client import RegistryClient, RegistrySession
from dashboard.registry.references import parse_repository
from tests.support.registries import binary, free_port, missing, start_registry

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "var" / "screenshots"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium", path=ROOT / "var" / "tools" / "bin")
READY_SECONDS = 120
SEED = parse_repository("seed/one")


@dataclass(frozen=True)
class Site:
    """A running dashboard: its address, its people, and the registry behind it."""

    url: str
    passwords: dict[str, str]
    registry: RegistrySession
    host: str
    storage: Path


@contextmanager
def make_run(directory: Path, **variables: str) -> Iterator[tuple[str, str]]:
    """What `make run` runs once the environment stands, with a state directory of its own: its address and output."""
    port = free_port()
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("DASHBOARD_", "DJANGO_", "DATABASE_URL", "SECRET"))
    }
    environment |= {"DASHBOARD_STATE_DIR": str(directory), "PORT": str(port), **variables}
    log = directory / "make-run.log"
    directory.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        command = [sys.executable, "-m", "tools.run"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + READY_SECONDS
            while "Strata is ready" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            time.sleep(0.2)
            yield f"http://127.0.0.1:{port}", log.read_text()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


def passwords_in(output: str) -> dict[str, str]:
    """The names and passwords that `make run` prints."""
    return dict(re.findall(r"^\s+(admin|maria|jonas)\s+(\S+)\s", output, re.MULTILINE))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`make run` with nothing configured: the demo registry, 2.8."""
    if binary("2.8") is None:
        pytest.skip(missing("2.8"))
    directory = tmp_path_factory.mktemp("demo")
    with make_run(directory) as (url, output):
        host = re.search(r"http://(127\.0\.0\.1:\d+)\s+\(try", output)
        assert host is not None, output
        client = RegistryClient(f"http://{host[1]}")
        yield Site(url, passwords_in(output), client.session(), host[1], directory / "demo" / "storage")
        client.close()


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`make run` with a registry of one's own: Distribution 3.1."""
    if binary("3.1") is None:
        pytest.skip(missing("3.1"))
    directory = tmp_path_factory.mktemp("three")
    running = start_registry("3.1", directory / "registry")
    client = RegistryClient(running.url)
    variables = {"DASHBOARD_REGISTRY_URL": running.url, "DASHBOARD_STORAGE_ROOT": str(running.root)}
    try:
        client.session().upload_blob(SEED, b"so that the storage has a layout")
        with make_run(directory / "state", **variables) as (url, output):
            yield Site(url, passwords_in(output), client.session(), running.host, running.root)
    finally:
        client.close()
        running.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page in a profile of its own; nothing may go wrong in its console, and a failure leaves a screenshot."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(15_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    failed_before = request.session.testsfailed
    yield page
    if request.session.testsfailed > failed_before or complaints:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(
            path=SCREENSHOTS / f"{re.sub(r'[^a-z0-9]+', '-', request.node.name.lower())}.png", full_page=True
        )
    context.close()
    expected = {m.args[0] for m in request.node.iter_markers("console_says")}
    assert not [c for c in complaints if not any(text in c for text in expected)]


def sign_in(page: Page, site: Site, name: str) -> None:
    """Signs in as one of the people of `make run`."""
    page.goto(f"{site.url}/accounts/login/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(site.passwords[name])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Repositories").wait_for()
