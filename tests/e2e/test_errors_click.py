"""When a part of a page cannot be had: the error is shown as a whole page, and silence is told, with Retry."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from .conftest import Site, sign_in

NIGHTLY = "/registries/default/infra/ci/nightly/"
ROWS = "table.tags tbody tr"


@pytest.fixture
def tags(page: Page, demo: Site) -> Page:
    """Jonas, before the tags of a repository."""
    sign_in(page, demo, "jonas")
    page.goto(demo.url + NIGHTLY)
    expect(page.locator("#unanswered")).to_be_hidden()
    return page


def _type(page: Page, text: str) -> None:
    page.locator("#f-name").press_sequentially(text)


@pytest.mark.console_says("404")
@pytest.mark.console_says("Response Status Error Code")
def test_a_fragment_that_is_not_found_becomes_the_page_that_says_so(tags: Page) -> None:
    tags.evaluate("void htmx.ajax('get', '/registries/nowhere/?name=x', {source: '#list'})")
    expect(tags.get_by_role("heading", name="There is no such page")).to_be_visible()
    expect(tags.locator("main")).to_contain_text("There is no registry “nowhere” here.")
    expect(tags).to_have_url(re.compile(r"/registries/nowhere/\?name=x"))


@pytest.mark.parametrize("status", [403, 500])
@pytest.mark.console_says("the server responded with a status of")
@pytest.mark.console_says("Response Status Error Code")
def test_a_fragment_that_is_refused_or_fails_takes_the_whole_page(tags: Page, status: int) -> None:
    def refuse(route: Route) -> None:
        """Fails the fragment alone, so that the page in its place can be told from it."""
        if route.request.headers.get("hx-request"):
            route.fulfill(status=status, body="no")
        else:
            route.continue_()

    tags.route("**/nightly/*", refuse)
    _type(tags, "2026.11.1")
    expect(tags.locator(ROWS)).to_have_count(10)
    expect(tags).to_have_url(re.compile("name=2026.11.1"))


def test_a_session_that_ended_takes_the_whole_page_to_sign_in(tags: Page) -> None:
    tags.context.clear_cookies()
    _type(tags, "2026")
    expect(tags.get_by_role("button", name="Sign in")).to_be_visible()
    expect(tags).to_have_url(re.compile("next="))


@pytest.mark.console_says("ERR_INTERNET_DISCONNECTED")
@pytest.mark.console_says("htmx:sendError")
@pytest.mark.console_says("htmx:afterRequest")
def test_a_network_that_is_gone_is_told_and_retry_goes_on(tags: Page) -> None:
    tags.context.set_offline(True)
    _type(tags, "2026.11.1")
    notice = tags.get_by_role("alert")
    expect(notice).to_contain_text("The dashboard did not answer.")
    notice.get_by_role("button", name="Retry").click()
    expect(notice).to_contain_text("The dashboard did not answer.")
    expect(tags.locator("#f-name")).to_be_focused()
    tags.context.set_offline(False)
    notice.get_by_role("button", name="Retry").click()
    expect(tags.locator(ROWS)).to_have_count(10)
    expect(tags).to_have_url(re.compile("name=2026.11.1"))
    expect(tags.locator("#unanswered")).to_be_hidden()


@pytest.mark.console_says("htmx:timeout")
@pytest.mark.console_says("htmx:afterRequest")
def test_a_dashboard_that_never_answers_is_told_and_an_answer_takes_it_back(tags: Page) -> None:
    """The bound of thirty seconds is made short here."""
    tags.evaluate("htmx.config.timeout = 200")
    tags.route("**/nightly/*", lambda _route: None)
    _type(tags, "2026.11.1")
    notice = tags.get_by_role("alert")
    expect(notice).to_contain_text("The dashboard did not answer.")
    tags.unroute_all(behavior="ignoreErrors")
    tags.evaluate("htmx.config.timeout = 15000")
    _type(tags, "2")
    expect(tags.locator(ROWS).first).to_contain_text("2026.11.12")
    expect(notice).to_be_hidden()
