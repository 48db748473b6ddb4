"""The safe way to free more, clicked: from the collection's page to what is untagged for long, and its deletion."""

from __future__ import annotations

import os
import time

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from dashboard.registry.references import parse_repository
from tests.support.images import Pushed, push_image

from .conftest import Site, sign_in
from .test_delete_click import until

HOME = "/registries/default/"
REPOSITORY = parse_repository("click/recipe")


def age(site: Site, image: Pushed, days: int) -> None:
    """An image was pushed so many days ago."""
    base = site.storage / "docker/registry/v2/repositories" / REPOSITORY / "_manifests/revisions"
    then = time.time() - days * 86_400
    os.utime(base / image.digest.replace(":", "/") / "link", (then, then))


def is_clean(page: Page) -> None:
    """Axe finds nothing, and nothing is wider than the screen."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_recipe_leads_to_the_deletion_of_what_is_old_enough(demo: Site, page: Page) -> None:
    old = [push_image(demo.registry, REPOSITORY, layers=(b"old", b"%d" % number * 900)) for number in range(5)]
    young = push_image(demo.registry, REPOSITORY, layers=(b"young",))
    for image in old:
        age(demo, image, 20)
    tagged = push_image(demo.registry, REPOSITORY, "1.0", layers=(b"tagged",))  # notified: it is read again
    sign_in(page, demo, "maria")

    def is_read() -> bool:
        page.goto(f"{demo.url}{HOME}{REPOSITORY}/-/untagged/?older=7")
        return page.locator("table.untagged tbody tr").count() == len(old)

    until(is_read)
    page.goto(f"{demo.url}{HOME}-/collection/")
    expect(page.locator("#old-enough")).to_contain_text("untagged for at least 7 days")
    is_clean(page)
    page.get_by_role("link", name="Delete untagged images").click()
    expect(page.locator("#f-age")).to_have_value("7")
    row = page.locator("table.shares tbody tr", has_text=str(REPOSITORY))
    expect(row.locator("td.num").first).to_have_text("5")
    is_clean(page)
    page.locator("#f-age").select_option("90")
    expect(page.locator("table.shares", has_text=str(REPOSITORY))).to_have_count(0)
    page.locator("#f-age").select_option("7")
    row.get_by_role("link", name=f"Delete all 5 of {REPOSITORY}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Delete 5 untagged images")
    is_clean(page)
    page.set_viewport_size({"width": 390, "height": 844})
    is_clean(page)
    page.locator("#typed").fill(str(REPOSITORY))
    page.locator("#confirm-button").click()
    expect(page.get_by_role("heading", level=2, name="5 untagged images deleted")).to_be_visible(timeout=30_000)
    is_clean(page)
    assert not any(demo.registry.has_manifest(REPOSITORY, image.digest) for image in old)
    assert demo.registry.has_manifest(REPOSITORY, young.digest)
    assert demo.registry.head_manifest(REPOSITORY, "1.0").digest == tagged.digest
    page.get_by_role("link", name="Other untagged images").click()
    expect(page.locator("#f-age")).to_have_value("7")
    is_clean(page)
