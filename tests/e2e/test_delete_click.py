"""Deleting without regret, clicked by a person, and looked at with skopeo: aliases and undo, a shared child, roll back,
a whole repository. On both registries."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from dashboard.registry.references import RepositoryName, parse_repository
from tests.support.images import Pushed, push_image, push_index

from .conftest import Site, sign_in

HOME = "/registries/default/"


@pytest.fixture(params=["demo", "three"])
def site(request: pytest.FixtureRequest) -> Site:
    """2.8, which deletes by digest only, and 3.1."""
    found: Site = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> RepositoryName:
    """A name of this test's own."""
    return parse_repository(f"click/{request.node.originalname.removeprefix('test_').replace('_', '-')[:40]}")


def skopeo(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A real client's view."""
    program = shutil.which("skopeo")
    if program is None:
        pytest.skip("no skopeo: apt-get install skopeo")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


def pulled(site: Site, repository: RepositoryName, tag: str, to: Any) -> bool:
    """Whether skopeo copies a tag with all its platforms."""
    source = f"docker://{site.host}/{repository}:{tag}"
    done = skopeo(site, "--insecure-policy", "copy", "--all", "--src-tls-verify=false", source, f"dir:{to}/{tag}")
    return done.returncode == 0


def tags(site: Site, repository: RepositoryName) -> set[str]:
    """What skopeo lists."""
    done = skopeo(site, "list-tags", "--tls-verify=false", f"docker://{site.host}/{repository}")
    return set(json.loads(done.stdout)["Tags"]) if done.returncode == 0 else set()


def until(is_so: Callable[[], bool], *, seconds: float = 30) -> None:
    """Returns once `is_so()`; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "still not"
        time.sleep(0.3)


def open_tags(page: Page, site: Site, repository: RepositoryName) -> None:
    """The tags of a repository, as maria sees them."""
    sign_in(page, site, "maria" if "maria" in site.passwords else "admin")
    page.goto(f"{site.url}{HOME}{repository}/")


def confirm(page: Page, repository: RepositoryName) -> None:
    """Types the name where it is asked for, and clicks."""
    button = page.locator("#confirm-button")
    typed = page.locator("#typed")
    if typed.count():
        expect(button).to_be_disabled()
        typed.fill(repository)
    button.click()
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#result progress")).to_have_count(0, timeout=30_000)


def test_three_of_five_aliases_and_undo(page: Page, site: Site, repository: RepositoryName, tmp_path: Any) -> None:
    image = push_image(site.registry, repository, "1.4.2", "1.4", "1", "latest", "stable", layers=(b"aliased",))
    other = push_image(site.registry, repository, "2.0", layers=(b"other",))
    open_tags(page, site, repository)
    page.get_by_label("Choose 1.4.2", exact=True).check()
    page.get_by_label("Choose 1.4", exact=True).check()
    page.get_by_role("link", name="Size").click()
    expect(page.get_by_label("Choose 1.4", exact=True)).to_be_checked()
    page.get_by_label("Choose latest", exact=True).check()
    expect(page.locator(".bulk")).to_contain_text("3 tags chosen.")
    page.get_by_role("button", name="Delete 3 tags").click()
    for tag in ("1.4.2", "1.4", "latest"):
        expect(page.locator("table.plan tr", has=page.get_by_role("link", name=tag, exact=True))).to_contain_text(
            "Only the name goes. 1, stable have the same digest and stay."
        )
    assert Axe().run(page).violations_count == 0
    confirm(page, repository)
    expect(page.locator("h1")).to_have_text("3 tags deleted")
    assert Axe().run(page).violations_count == 0
    assert tags(site, repository) == {"1", "stable", "2.0"}
    assert all(pulled(site, repository, tag, tmp_path) for tag in ("1", "stable", "2.0"))
    page.get_by_role("button", name="Undo").click()
    page.wait_for_load_state()
    until(lambda: tags(site, repository) == {"1.4.2", "1.4", "1", "latest", "stable", "2.0"})
    assert site.registry.head_manifest(repository, "latest").digest == image.digest
    assert site.registry.head_manifest(repository, "2.0").digest == other.digest
    assert pulled(site, repository, "latest", tmp_path)


def test_a_multi_platform_image_whose_child_is_shared(
    page: Page, site: Site, repository: RepositoryName, tmp_path: Any
) -> None:
    shared = push_image(site.registry, repository, platform="linux/amd64", layers=(b"shared",))
    lone = push_image(site.registry, repository, platform="linux/arm64", layers=(b"lone",))
    push_index(site.registry, repository, "going", children=[shared, lone])
    push_index(site.registry, repository, "staying", children=[shared])
    open_tags(page, site, repository)
    page.get_by_label("Delete tag going").click()
    line = page.locator("table.plan tbody tr").first
    expect(line).to_contain_text("The tag, its index and 1 image go.")
    expect(line).to_contain_text("Of its entries linux/amd64 stays: another tag or index needs it.")
    confirm(page, repository)
    assert tags(site, repository) == {"staying"}
    assert pulled(site, repository, "staying", tmp_path)
    assert site.registry.has_manifest(repository, shared.digest)
    assert not site.registry.has_manifest(repository, lone.digest)
    page.get_by_role("button", name="Undo").click()
    page.wait_for_load_state()
    until(lambda: tags(site, repository) == {"going", "staying"})
    assert pulled(site, repository, "going", tmp_path), "with both its platforms"


def test_roll_latest_back(page: Page, site: Site, repository: RepositoryName, tmp_path: Any) -> None:
    good = push_image(site.registry, repository, "latest", layers=(b"good",))
    open_tags(page, site, repository)
    bad = _overwrite(site, repository)
    page.reload()
    page.get_by_role("link", name="History").click()
    row = page.locator("table.history tbody tr", has_text=good.digest[7:19])
    row.get_by_role("link", name="Point latest back to this").click()
    expect(page.locator("main")).to_contain_text(bad.digest[7:19])
    assert Axe().run(page).violations_count == 0
    page.get_by_role("button", name=re.compile("^Point latest")).click()
    page.wait_for_load_state()
    until(lambda: site.registry.head_manifest(repository, "latest").digest == good.digest)
    assert pulled(site, repository, "latest", tmp_path)
    assert site.registry.has_manifest(repository, bad.digest), "what it pointed to stays, untagged"


def test_a_whole_repository(page: Page, site: Site, repository: RepositoryName, tmp_path: Any) -> None:
    for number in range(5):
        push_image(site.registry, repository, f"v{number}", layers=(b"layer %d" % number,))
    untagged = push_image(site.registry, repository, "v0", layers=(b"newer",))
    neighbour = parse_repository(f"{repository}/below")
    push_image(site.registry, neighbour, "stays", layers=(b"layer 1",))
    open_tags(page, site, repository)
    page.get_by_text("Choose by rule what to delete").click()
    page.get_by_role("link", name="Everything in this repository").click()
    expect(page.locator("h1")).to_have_text(f"Delete everything in {repository}")
    confirm(page, repository)
    until(lambda: tags(site, repository) == set())
    assert not site.registry.has_manifest(repository, untagged.digest)
    assert tags(site, neighbour) == {"stays"}
    assert pulled(site, neighbour, "stays", tmp_path)
    page.goto(f"{site.url}{HOME}-/trash/?repository={repository}")
    expect(page.locator("table.trash tbody tr").first).to_be_visible()
    assert Axe().run(page).violations_count == 0


def _overwrite(site: Site, repository: RepositoryName) -> Pushed:
    return push_image(site.registry, repository, "latest", layers=(b"bad",))
