"""From the first start to the first colleague, clicked: set-up, an invitation, a credential, a deletion that the rules
allow, and a repository that is not there for them. The registry is a real one with a password file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import bcrypt
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from dashboard.registry.auth import Credential
from dashboard.registry.client import RegistryClient, RegistrySession
from dashboard.registry.references import parse_repository
from tests.support.images import push_image
from tests.support.registries import binary, missing, start_registry

from .conftest import make_run

ROBOT, ADA = ("robot", "a-robots-secret-4711"), ("ada", "adas-registry-secret-0815")
PASSWORD = "a phrase that is long enough"
APP, HIDDEN = parse_repository("team-a/app"), parse_repository("prod/api")


class Place:
    """The dashboard without anybody, the code that it printed, and the registry as the robot sees it."""

    def __init__(self, url: str, code: str, registry: RegistrySession) -> None:
        self.url, self.code, self.registry = url, code, registry


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Nothing but what an operator sets."""
    if binary("2.8") is None:
        pytest.skip(missing("2.8"))
    directory = tmp_path_factory.mktemp("first")
    users = directory / "htpasswd"
    lines = [f"{name}:{bcrypt.hashpw(word.encode(), bcrypt.gensalt(5)).decode()}" for name, word in (ROBOT, ADA)]
    users.write_text("\n".join(lines) + "\n")
    running = start_registry("2.8", directory / "registry", htpasswd=users)
    client = RegistryClient(running.url)
    session = client.session(Credential(*ROBOT))
    for repository in (APP, HIDDEN):
        for tag in ("1.0", "2.0"):
            push_image(session, repository, tag, layers=(f"{repository} {tag}".encode(),))
    variables = {
        "DASHBOARD_REGISTRY_URL": running.url,
        "DASHBOARD_STORAGE_ROOT": str(running.root),
        "DASHBOARD_REGISTRY_USERNAME": ROBOT[0],
        "DASHBOARD_REGISTRY_PASSWORD": ROBOT[1],
        "DASHBOARD_REGISTRY_ACT_WITH": "own",
        "DJANGO_SUPERUSER_USERNAME": "",
    }
    try:
        with make_run(directory / "state", **variables) as (url, _output):
            printed = (directory / "state" / "log" / "bootstrap.log").read_text()
            code = re.search(r"/set-up/ and enter the code (\S+)", printed)
            assert code is not None, printed
            yield Place(url, code[1], session)
    finally:
        client.close()
        running.stop()


def is_clean(page: Page) -> None:
    """Axe finds nothing, and nothing is wider than the screen, on a phone either."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    size = page.viewport_size
    assert size is not None
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size(size)


def set_up(page: Page, place: Place) -> None:
    """Nobody is here: whoever knows the code becomes the administrator, and sees how the registry is."""
    page.goto(place.url)
    expect(page).to_have_url(re.compile("/set-up/"))
    is_clean(page)
    page.get_by_label("Code").fill(place.code)
    page.get_by_label("User name").fill("root")
    for box in page.locator("input[type=password]").all():
        box.fill(PASSWORD)
    page.locator("main form button[type=submit]").click()
    expect(page).to_have_url(re.compile("/-/status/"))
    expect(page.locator("main")).to_contain_text("Name and password (htpasswd)")


def invite(page: Page, place: Place) -> str:
    """A group that may delete in team-a, nobody else may see anything, and somebody in it; the link."""
    page.goto(f"{place.url}/settings/groups/")
    page.get_by_label("Name").fill("Team A")
    page.get_by_role("button", name="Make this group").click()
    page.goto(f"{place.url}/settings/access/")
    is_clean(page)
    page.locator("tr", has_text="everybody who signs in").get_by_role("button", name="Remove").click()
    page.locator("#id_who").select_option("group")
    page.locator("#id_name").fill("Team A")
    page.locator("#id_role").select_option("3")
    page.locator("#id_pattern").fill("team-a/**")
    page.get_by_role("button", name="Give access").click()
    expect(page.locator(".notice.success")).to_contain_text("group Team A is maintainer of team-a/**")
    page.goto(f"{place.url}/settings/people/new/")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Team A").check()
    page.get_by_role("button", name="Make the invitation").click()
    is_clean(page)
    link = re.search(r"https?://[^\s\"<]+/invitations/[^\s\"<]+", page.content())
    assert link is not None
    return link[0]


def begin(page: Page, place: Place, link: str) -> None:
    """The colleague sets a password by the link, and the credential that the registry asks for."""
    page.goto(link)
    is_clean(page)
    for box in page.locator("input[type=password]").all():
        box.fill(PASSWORD)
    page.get_by_role("button", name="Set it and sign in").click()
    expect(page.locator("main")).to_contain_text("What is your name and password on")
    page.get_by_role("link", name="Enter your credential").click()
    page.get_by_label("User name on the registry").fill(ADA[0])
    page.get_by_label("Password or token").fill(ADA[1])
    page.locator("main form button[type=submit]").click()
    expect(page.locator("main")).to_contain_text("as ada, your own credential")


@pytest.mark.console_says("403")
@pytest.mark.console_says("404")
def test_from_set_up_to_the_first_colleague(place: Place, page: Page, browser: Browser) -> None:
    set_up(page, place)
    link = invite(page, place)
    theirs = browser.new_context(viewport={"width": 1440, "height": 900})
    ada = theirs.new_page()
    ada.set_default_timeout(15_000)
    begin(ada, place, link)

    ada.goto(f"{place.url}/registries/default/")
    expect(ada.locator("main")).to_contain_text("team-a")
    assert "prod" not in ada.content()
    answer = ada.goto(f"{place.url}/registries/default/{HIDDEN}/")
    assert answer is not None
    assert answer.status == 404

    ada.goto(f"{place.url}/registries/default/{APP}/-/delete/?tag=1.0")
    expect(ada.locator("main")).to_contain_text("Acting as ada")
    ada.locator("#confirm-button").click()
    expect(ada.get_by_role("heading", level=2, name="1.0 was deleted")).to_be_visible()
    assert list(place.registry.tags(APP)) == ["2.0"]
    assert sorted(place.registry.tags(HIDDEN)) == ["1.0", "2.0"]

    answer = ada.goto(link)
    assert answer is not None
    assert answer.status == 410
    theirs.close()
