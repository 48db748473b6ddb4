"""The storage as people meet it: into the map by keyboard, to what one repository has alone, sorted lists."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from .conftest import Site, sign_in

STORAGE = "/registries/default/-/storage/"
AXED = (
    STORAGE,
    f"{STORAGE}?in=team",
    f"{STORAGE}repositories/",
    f"{STORAGE}layers/",
    f"{STORAGE}problems/",
    "/registries/default/team/app/-/storage/",
)


def scanned(page: Page, site: Site, name: str = "jonas") -> None:
    """Signs in and waits until the storage was scanned, which the demo does by itself."""
    sign_in(page, site, name)
    page.goto(site.url + STORAGE)
    for _ in range(60):
        if page.locator("table.balance").count():
            return
        page.wait_for_timeout(500)
        page.goto(site.url + STORAGE)
    pytest.fail("it was never scanned")


def tab_to(page: Page, label: re.Pattern[str]) -> None:
    """Presses Tab until what has the focus is called so."""
    for _ in range(200):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.getAttribute('aria-label') || ''")
        if label.search(focused):
            return
    pytest.fail(f"nothing called {label.pattern} can be reached by keyboard")


def test_into_the_map_by_keyboard_and_to_what_a_repository_has_alone(page: Page, demo: Site) -> None:
    scanned(page, demo)
    whole = page.locator("#map-h").inner_text()
    tab_to(page, re.compile(r"^team: .*go in$"))
    page.keyboard.press("Enter")

    expect(page.locator("#map-h")).to_contain_text("tagged in team alone")
    expect(page.locator("#map-h")).to_be_focused()
    expect(page).to_have_url(re.compile(r"\?in=team"))
    page.reload()
    expect(page.locator("#map-h")).to_contain_text("tagged in team alone")

    tab_to(page, re.compile(r"^team/app: "))
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("team/app")
    expect(page.locator(".facts")).to_contain_text("Exclusive")
    expect(page.locator(".facts")).to_contain_text("team/app/worker")
    exclusive = page.locator(".figures dd").nth(1).inner_text()

    page.go_back()
    expect(page.locator("#map-h")).to_contain_text("tagged in team alone")
    page.locator(".map-way a").first.click()
    expect(page.locator("#map-h")).to_have_text(whole)
    row = page.locator("table.by-repository tr", has=page.get_by_role("link", name="team/app", exact=True))
    assert exclusive.split()[0] in row.inner_text(), "the same figure everywhere"


def test_every_repository_is_sorted_and_filtered(page: Page, demo: Site) -> None:
    scanned(page, demo)
    page.get_by_role("link", name=re.compile(r"^All \d+$")).click()
    names = page.locator("table.by-repository .name")
    page.get_by_role("link", name="Repository", exact=True).click()
    expect(names.first).to_have_text("charts/platform")
    page.get_by_label("Filter by name").fill("infra")
    expect(names).to_have_text(["infra/ci/nightly", "infra/gateway", "infra/gateway/filters"])
    expect(page).to_have_url(re.compile("name=infra"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_no_page_scrolls_sideways(page: Page, demo: Site, scheme: str) -> None:
    scanned(page, demo, "maria")
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for address in AXED:
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(demo.url + address)
        page.wait_for_load_state("networkidle")
        found = Axe().run(page)
        assert found.violations_count == 0, f"{address}: {found.generate_report()}"
        for width in (1920, 768, 360):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)
