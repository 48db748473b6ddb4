"""The index as people meet it: a push is seen at once, lists keep their place, neither a rebuild nor a kill shows."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.support.registries import binary, missing, start_registry
from tests.unit.index import killing
from tests.unit.storage.trees import Tree

from .conftest import ROOT, Site, make_run, sign_in

HOME = "/registries/default/"
SEARCH = "/search/?q="
NIGHTLY = f"{HOME}infra/ci/nightly/"
AXED = ("/search/?q=app", f"{HOME}-/jobs/", "/settings/registries/", f"{HOME}team/app/-/history/")
REBUILT = (
    f"{HOME}?view=flat", HOME, f"{HOME}team/app/", f"{NIGHTLY}?sort=size&page=2", f"{HOME}charts/platform/",
    f"{HOME}team/app/-/history/", f"{SEARCH}app",
)  # fmt: skip
MANY = 210
"""Repositories: more than are read together, so that a refresh has a middle."""


def state_of(site: Site) -> Path:
    """Where this `make run` keeps its state."""
    return site.storage.parents[1]


def told(state: Path, sql: str) -> list[tuple[Any, ...]]:
    """What the database says; nothing while it is not there yet."""
    with closing(sqlite3.connect(f"file:{state / 'strata.sqlite3'}?mode=ro", uri=True)) as opened:
        try:
            return opened.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []


def until(is_so: Callable[[], object], *, seconds: float = 30, pause: float = 0.05) -> None:
    """Returns once `is_so()`; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "still not"
        time.sleep(pause)


def settle(state: Path) -> None:
    """Until there has been a refresh, and nothing is left to do."""
    idle = (
        "SELECT (SELECT count(*) FROM dashboard_job WHERE kind = 'refresh' AND state = 'done'), "
        "(SELECT count(*) FROM dashboard_job WHERE state IN ('waiting', 'running')), "
        "(SELECT count(*) FROM dashboard_notification WHERE processed_at IS NULL)"
    )
    until(lambda: told(state, idle) and told(state, idle)[0][0] and told(state, idle)[0][1:] == (0, 0))


def refreshes(state: Path) -> int:
    """How many refreshes were asked for."""
    return int(told(state, "SELECT count(*) FROM dashboard_job WHERE kind = 'refresh'")[0][0])


def worker_of(state: Path) -> int:
    """The process that the worker's group is named after; 0 while it is not there."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"worker" in words and os.getpgid(int(process.name)) == int(process.name):
                given = (process / "environ").read_bytes().split(b"\0")
                if f"DASHBOARD_STATE_DIR={state}".encode() in given:
                    return int(process.name)
        except (OSError, ProcessLookupError):
            continue
    return 0


def copy(site: Site, source: str, target: str) -> None:
    """`skopeo copy` within the registry."""
    command = ["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"]
    addresses = [f"docker://{site.host}/{name}" for name in (source, target)]
    done = subprocess.run([*command, *addresses], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def manage(environment: Mapping[str, str], *arguments: str) -> str:
    """What a command of `manage.py` says; it must succeed."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def names(page: Page) -> list[str]:
    """The tags that the list shows."""
    return page.locator("table.tags th[scope=row] a.name").all_inner_texts()


# A push is seen


def test_a_pushed_tag_stands_on_the_page_at_the_next_view(page: Page, demo: Site) -> None:
    settle(state_of(demo))
    before = refreshes(state_of(demo))
    sign_in(page, demo, "jonas")
    page.goto(f"{demo.url}{HOME}team/web/")
    assert "seen-at-once" not in names(page)
    copy(demo, "library/busybox:latest", "team/web:seen-at-once")
    page.reload()
    assert names(page)[0] == "seen-at-once", "the newest push first"
    assert refreshes(state_of(demo)) == before, "before any refresh"


def test_a_push_that_nobody_looked_at_is_found_within_seconds_by_notification(page: Page, demo: Site) -> None:
    settle(state_of(demo))
    before = refreshes(state_of(demo))
    sign_in(page, demo, "jonas")
    copy(demo, "library/busybox:latest", "pushed/unseen:told-by-the-registry")
    until(lambda: _found(page, demo, "told-by-the"), seconds=10, pause=0.3)
    page.get_by_role("link", name="pushed/unseen:told-by-the-registry").click()
    expect(page.locator("h1")).to_contain_text("told-by-the-registry")
    assert refreshes(state_of(demo)) == before, "no refresh did it"


def _found(page: Page, site: Site, text: str) -> bool:
    page.goto(f"{site.url}{SEARCH}{text}")
    return page.locator("table.found").count() > 0


# Search and lists


def test_results_show_as_one_types_and_enter_leads_to_all_of_them(page: Page, demo: Site) -> None:
    settle(state_of(demo))
    sign_in(page, demo, "jonas")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("busyb")
    expect(page.locator(".found-box")).to_contain_text("library/busybox")
    page.keyboard.press("Escape")
    expect(page.locator(".found-box")).to_have_count(0)
    page.locator("#search").fill("busybox")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{demo.url}{SEARCH}busybox")
    page.locator("main").get_by_role("link", name="library/busybox", exact=True).click()
    expect(page).to_have_url(f"{demo.url}{HOME}library/busybox/")
    expect(page.locator("table.tags")).to_be_visible()


def test_order_and_page_are_in_the_address_and_survive_reload_and_back(page: Page, demo: Site) -> None:
    sign_in(page, demo, "jonas")
    page.goto(demo.url + NIGHTLY)
    page.get_by_role("columnheader", name="Size").get_by_role("link").click()
    expect(page).to_have_url(f"{demo.url}{NIGHTLY}?sort=size")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Size")
    first = names(page)
    page.get_by_role("link", name="Next").click()
    expect(page).to_have_url(f"{demo.url}{NIGHTLY}?sort=size&page=2")
    expect(page.locator("caption")).to_contain_text("Tags 51–100 of 200, the largest first.")
    second = names(page)
    sizes = [int(str(cell.get_attribute("value"))) for cell in page.locator("table.tags .f-size data").all()]
    assert sizes == sorted(sizes, reverse=True)
    assert not set(first) & set(second)
    page.reload()
    assert names(page) == second
    page.go_back()
    expect(page).to_have_url(f"{demo.url}{NIGHTLY}?sort=size")
    assert names(page) == first
    page.go_forward()
    expect(page).to_have_url(f"{demo.url}{NIGHTLY}?sort=size&page=2")
    assert names(page) == second


# The index may be lost


def test_a_rebuild_shows_the_same_pages(page: Page, demo: Site) -> None:
    """The command as an operator gives it beside the worker, who goes on: with the worker's own environment."""
    state = state_of(demo)
    copy(demo, "library/busybox:latest", "team/moved:1.0")
    copy(demo, "team/web:latest", "team/moved:1.0")
    sign_in(page, demo, "jonas")
    page.goto(f"{demo.url}{HOME}-/jobs/")
    page.get_by_role("button", name="Refresh the index now").click()
    settle(state)  # what others hold exclusively is counted anew by a refresh alone
    given = (Path("/proc") / str(worker_of(state)) / "environ").read_text().split("\0")
    environment = dict(each.split("=", 1) for each in given if each)
    before = [_text(page, demo, address) for address in REBUILT]
    counted = told(state, "SELECT count(*), min(id) FROM dashboard_indexedtag")[0]
    settle(state)
    said = manage(environment, "refresh_index", "--rebuild")
    assert re.search(r"default: \d+ repositories, \d+ tags, \d+ changed, in \d+\.\d\d s", said)
    again = told(state, "SELECT count(*), min(id) FROM dashboard_indexedtag")[0]
    assert again[0] == counted[0]
    assert again[1] > counted[1], "every row is a new one"
    for address, text in zip(REBUILT, before, strict=True):
        assert len(text) > 100, address
        assert _text(page, demo, address) == text, address


def _text(page: Page, site: Site, address: str) -> str:
    """All that a page says, with exact times in place of relative ones."""
    page.goto(site.url + address)
    page.evaluate("document.querySelectorAll('time').forEach((each) => (each.textContent = each.title))")
    return page.locator("main").inner_text() + page.locator(".masthead-head").inner_text()


def test_a_worker_killed_in_mid_refresh_ends_in_the_index_of_an_undisturbed_run(tmp_path: Path) -> None:
    if binary("2.8") is None:
        pytest.skip(missing("2.8"))
    _grow(tmp_path / "registry" / "data")
    running = start_registry("2.8", tmp_path / "registry")
    variables = {"DASHBOARD_REGISTRY_URL": running.url, "DASHBOARD_STORAGE_ROOT": str(running.root)}
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    try:
        environment = os.environ | {"DATABASE_URL": "", "DASHBOARD_STATE_DIR": str(undisturbed), **variables}
        manage(environment, "bootstrap")
        shutil.copytree(undisturbed, killed)
        manage(environment, "refresh_index")
        with make_run(killed, **variables):
            until(lambda: _read(killed) > 0, pause=0.002)
            os.killpg(worker_of(killed), signal.SIGKILL)
            left = told(killed, "SELECT state FROM dashboard_job WHERE kind = 'refresh'")
        assert left == [("running",)], "nobody could note its end"
        assert 0 < _read(killed) < MANY, "in the middle"
        with closing(sqlite3.connect(killed / "strata.sqlite3")) as opened, opened:
            opened.execute("UPDATE dashboard_job SET lease_until = '2000-01-01'")  # else a minute passes until it ends
        with make_run(killed, **variables):
            settle(killed)
        assert refreshes(killed) == 1, "the same job was taken up again"
    finally:
        running.stop()
    rows = killing.rows(undisturbed / "strata.sqlite3")
    assert rows["tags"] == 2 * MANY
    assert killing.rows(killed / "strata.sqlite3") == rows


def _read(state: Path) -> int:
    """How many repositories were read, as everybody may see."""
    found = told(state, "SELECT count(*) FROM dashboard_indexedrepository WHERE read_at IS NOT NULL")
    return int(found[0][0]) if found else 0


def _grow(root: Path) -> None:
    tree = Tree(root)
    base = tree.blob("base", 1000)
    for number in range(MANY):
        name = f"team{number % 7}/app{number}"
        old, new = (tree.image(name, [base, tree.blob(f"{number} {n}", 9)], note=f"{number} {n}") for n in range(2))
        tree.tag(name, "moved", old)
        tree.tag(name, "moved", new)
        tree.tag(name, "1.0", old)


# For everybody


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_no_page_scrolls_sideways(page: Page, demo: Site, scheme: str) -> None:
    settle(state_of(demo))
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    sign_in(page, demo, "admin")
    for address in AXED:
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(demo.url + address)
        page.wait_for_load_state("networkidle")
        found = Axe().run(page)
        assert found.violations_count == 0, f"{address}: {found.generate_report()}"
        for width in (1920, 768, 360):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)
