"""What a person does first: sign in, browse, read an image, delete a tag, look at the disk."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.support.images import push_image

from .conftest import Site, sign_in

PAGES = {
    "repositories": "/registries/default/",
    "tags": "/registries/default/team/app/",
    "image": "/registries/default/team/app/-/tags/latest/",
    "missing-platform": "/registries/default/team/app/-/tags/2.1.0-rc.1/?platform=linux%2Farm64",
    "index": "/registries/default/team/app/-/tags/latest/?show=index",
    "artifact": "/registries/default/charts/platform/-/tags/1.0.0/",
    "delete": "/registries/default/team/app/-/delete/?tag=main",
    "storage": "/registries/default/-/storage/",
    "status": "/registries/default/-/status/",
    "account": "/account/",
}


def test_signing_in_browsing_and_reading_an_image(page: Page, demo: Site) -> None:
    sign_in(page, demo, "jonas")
    page.locator('table.repos a.name[href$="/team/app/"]').press("Enter")
    expect(page.locator("h1")).to_contain_text("team/app")
    page.get_by_role("link", name="latest", exact=True).first.click()
    expect(page.get_by_role("heading", name="Layers")).to_be_visible()
    page.get_by_role("link", name=re.compile("arm.v7")).click()
    expect(page.locator("dl.lading")).to_contain_text("linux/arm/v7")
    assert "platform=linux%2Farm%2Fv7" in page.url
    page.get_by_text("Show the").click()
    expect(page.locator("tr.step").first).to_be_visible()
    secret = page.locator(".masked-value code")
    expect(secret).to_be_hidden()
    page.locator(".masked-value summary").click()
    expect(secret).to_be_visible()
    page.go_back()
    expect(page.locator("dl.lading")).to_contain_text("linux/amd64")


def test_a_missing_platform_is_a_red_tab(page: Page, demo: Site) -> None:
    sign_in(page, demo, "jonas")
    page.goto(demo.url + PAGES["missing-platform"])
    tab = page.locator(".index-tabs a.missing")
    expect(tab).to_contain_text("not in the registry")
    expect(page.get_by_role("heading", name="linux/arm64 is missing")).to_be_visible()
    page.get_by_role("link", name=re.compile("linux.amd64")).click()
    expect(page.get_by_role("heading", name="Layers")).to_be_visible()


def test_filtering_as_one_types_keeps_the_address_and_works_without_a_reload(page: Page, demo: Site) -> None:
    sign_in(page, demo, "jonas")
    page.goto(f"{demo.url}/registries/default/infra/ci/nightly/")
    page.evaluate("window.unbroken = true")
    page.locator("#f-name").press_sequentially("2026.11.1")
    expect(page.locator("table.tags tbody tr")).to_have_count(10)
    expect(page).to_have_url(re.compile("name=2026.11.1"))
    expect(page.locator("#live")).to_have_text("10 tags")
    assert page.evaluate("window.unbroken") is True
    page.reload()
    expect(page.locator("table.tags tbody tr")).to_have_count(10)


def test_the_pull_command_is_copied(page: Page, demo: Site) -> None:
    sign_in(page, demo, "jonas")
    page.goto(f"{demo.url}/registries/default/team/app/-/tags/main/")
    page.get_by_text("skopeo", exact=True).click()
    page.locator(".command button").click()
    assert page.evaluate("navigator.clipboard.readText()") == f"skopeo copy docker://{demo.host}/team/app:main oci:app"


def test_a_push_shows_without_a_restart(page: Page, demo: Site, tmp_path: Path) -> None:
    sign_in(page, demo, "jonas")
    source, target = f"docker://{demo.host}/library/busybox:latest", f"docker://{demo.host}/copied/busybox:from-skopeo"
    command = [
        "skopeo",
        "--insecure-policy",
        "copy",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        source,
        target,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    page.goto(f"{demo.url}/registries/default/copied/busybox/")
    page.get_by_role("link", name="from-skopeo", exact=True).click()
    expect(page.locator("h1")).to_contain_text("from-skopeo")
    page.goto(f"{demo.url}/registries/default/?name=copied")
    expect(page.locator("table.repos")).to_contain_text("copied/")


def test_deleting_one_of_three_tags_leaves_the_others_on_2_8(page: Page, demo: Site) -> None:
    _delete_one_of_three(page, demo)


def test_deleting_one_of_three_tags_leaves_the_others_on_3_1(page: Page, three: Site) -> None:
    _delete_one_of_three(page, three, name="admin")


def _delete_one_of_three(page: Page, site: Site, name: str = "maria") -> None:
    image = push_image(site.registry, "e2e/three", "1.0", "1", "stable", layers=(b"base", b"app"))
    sign_in(page, site, name)
    page.goto(f"{site.url}/registries/default/e2e/three/")
    page.get_by_role("link", name="Delete tag 1", exact=True).click()
    expect(page.locator("main")).to_contain_text("Only the name goes.")
    expect(page.locator(".account")).to_contain_text("Tag stable")
    page.get_by_role("button", name="Delete 1 tag").click()
    expect(page.locator("h1")).to_have_text("1 was deleted")
    page.get_by_role("link", name="To the tags").click()
    expect(page.locator("table.tags a.name")).to_have_text(["stable", "1.0"])
    for tag in ("1.0", "stable"):
        assert site.registry.get_manifest(image.repository, tag).raw == image.raw
    assert sorted(site.registry.tags(image.repository)) == ["1.0", "stable"]


def test_who_only_looks_finds_no_button(page: Page, demo: Site) -> None:
    sign_in(page, demo, "jonas")
    page.goto(demo.url + PAGES["tags"])
    expect(page.locator("table.tags")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("Delete"))).to_have_count(0)


def test_scan_now_shows_its_progress_and_its_end(page: Page, demo: Site) -> None:
    sign_in(page, demo, "jonas")
    page.goto(demo.url + PAGES["storage"])
    page.get_by_role("button", name="Scan now").first.click()
    page.get_by_text("The scan has ended.").or_(page.get_by_text("Scanned just now")).first.wait_for()
    page.goto(demo.url + PAGES["storage"])
    expect(page.locator("table.balance")).to_contain_text("Tagged, exclusive")
    expect(page.locator("table.by-repository")).to_contain_text("team/app")


def test_the_theme_is_kept(page: Page, demo: Site) -> None:
    sign_in(page, demo, "jonas")
    page.locator(".account-menu summary").click()
    page.get_by_text("Dark", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.wait_for_load_state("networkidle")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_everything_works_without_javascript(page: Page, demo: Site) -> None:
    assert page.context.browser is not None
    plain = page.context.browser.new_context(java_script_enabled=False)
    still = plain.new_page()
    push_image(demo.registry, "e2e/plain", "a", "b")
    sign_in(still, demo, "maria")
    still.get_by_text("Open a repository by its name").click()
    still.get_by_label("Name of the repository").fill("e2e/plain")
    still.get_by_role("button", name="Open", exact=True).click()
    still.get_by_label("Filter tags").fill("a")
    still.get_by_role("button", name="Filter").click()
    expect(still.locator("table.tags a.name")).to_have_text(["a"])
    still.get_by_role("link", name="Delete tag a", exact=True).click()
    still.get_by_role("button", name="Delete 1 tag").click()
    still.get_by_role("link", name="To the tags").click()
    expect(still.locator("table.tags a.name")).to_have_text(["b"])
    still.get_by_label("Choose b", exact=True).check()
    still.get_by_role("button", name="Delete the chosen tags").click()
    expect(still.locator("h1")).to_have_text("Delete 1 tag")
    plain.close()


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_no_page_scrolls_sideways(page: Page, demo: Site, name: str) -> None:
    sign_in(page, demo, "maria")
    page.goto(demo.url + PAGES[name])
    page.wait_for_load_state("networkidle")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.evaluate("Promise.allSettled(document.getAnimations().map(each => each.finished)).then(() => true)")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    for width in (1920, 1440, 768, 390, 360):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width


@pytest.mark.parametrize("name", ["/accounts/login/", "/registries/default/no/such/"])
@pytest.mark.console_says("404")
def test_axe_finds_nothing_on_pages_of_bad_news(page: Page, demo: Site, name: str) -> None:
    if name != "/accounts/login/":
        sign_in(page, demo, "jonas")
    page.goto(demo.url + name)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
