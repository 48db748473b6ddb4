"""An image deleted by a click, a scan, and a collection from the page: what was promised is freed, on the real disk."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from dashboard.registry.references import parse_repository
from tests.support.images import push_image

from .conftest import Site, sign_in
from .test_delete_click import until

HOME = "/registries/default/"
COLLECTION = f"{HOME}-/collection/"
REPOSITORY = parse_repository("click/collected")


def on_disk(site: Site) -> dict[str, int]:
    """The blobs, by a walk of its own."""
    found = site.storage.glob("docker/registry/v2/blobs/sha256/*/*/data")
    return {f"sha256:{path.parent.name}": path.stat().st_size for path in found}


def scan(page: Page, site: Site) -> None:
    """Presses the button and waits for the end."""
    page.goto(f"{site.url}{HOME}-/storage/")
    page.get_by_role("button", name="Scan now").first.click()
    page.get_by_text("The scan has ended.", exact=True).wait_for(timeout=60_000)


def promised(page: Page, site: Site) -> int:
    """Bytes that the page says a collection frees."""
    page.goto(f"{site.url}{COLLECTION}")
    total = page.locator("table.freed tfoot .f-size data")
    return int(total.get_attribute("value") or 0) if total.count() else 0


def test_an_image_is_deleted_and_its_bytes_are_freed_as_promised(demo: Site, page: Page) -> None:
    kept = push_image(demo.registry, REPOSITORY, "kept", layers=(b"base" * 4000, b"kept" * 100))
    gone = push_image(
        demo.registry, REPOSITORY, "gone", layers=(b"base" * 4000, b"gone" * 2500), platform="linux/arm64"
    )
    sign_in(page, demo, "admin")
    page.goto(f"{demo.url}{HOME}{REPOSITORY}/-/delete/?tag=gone")
    page.locator("#confirm-button").click()
    until(lambda: "gone" not in demo.registry.tags(REPOSITORY))
    scan(page, demo)
    before = on_disk(demo)
    own = {gone.digest, gone.config, gone.layers[1]}

    promise = promised(page, demo)

    assert promise >= sum(before[str(digest)] for digest in own)
    expect(page.locator("table.freed")).to_contain_text(str(REPOSITORY))
    axe = Axe().run(page)
    assert axe.violations_count == 0, axe.generate_report()
    button = page.locator("#collect-button")
    expect(button).to_be_disabled()
    page.locator("#typed").fill("default")
    button.click()
    expect(page.get_by_role("heading", name="The collection")).to_be_visible()
    page.get_by_text("The collection has ended.", exact=True).wait_for(timeout=90_000)
    page.get_by_role("link", name="Show the result").click()
    expect(page.locator("#result")).to_contain_text("exactly as promised")
    after = on_disk(demo)
    assert sum(before.values()) - sum(after.values()) == promise
    assert own.isdisjoint(after)
    assert demo.registry.head_manifest(REPOSITORY, "kept").digest == kept.digest
    assert push_image(demo.registry, REPOSITORY, "later", layers=(b"later",)).layers[0] in on_disk(demo)
    axe = Axe().run(page)
    assert axe.violations_count == 0, axe.generate_report()
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("who", ["maria", "jonas"])
def test_others_see_what_it_frees_and_no_button(demo: Site, page: Page, who: str) -> None:
    sign_in(page, demo, who)
    page.goto(f"{demo.url}{COLLECTION}")
    expect(page.get_by_role("heading", name="Garbage collection")).to_be_visible()
    assert page.locator("#collect-button").count() == 0
